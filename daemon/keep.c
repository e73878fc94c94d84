/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writes workers into the table that outlives the daemon, and has systemd keep what the next one needs. It reads nothing back:
 * that is adopt.c. */
#include "daemon/keep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "common/cleanup.h"
#include "daemon/depot.h"
#include "daemon/job.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/session.h"
#include "daemon/table.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

#define NAME_TABLE "forksrv.table"
#define NAME_DEPOT_IN "forksrv.depot-in"
#define NAME_DEPOT_OUT "forksrv.depot-out"
#define NAME_WORKER "forksrv.worker-"

/* ---- what was kept ---- */

void kept_init(struct kept *k) {
    *k = (struct kept){.table = -1, .depot_in = -1, .depot_out = -1};
}

void kept_done(struct kept *k) {
    close_fd(k->table);
    close_fd(k->depot_in);
    close_fd(k->depot_out);
    for (unsigned i = 0; i < k->n_pidfds; i++)
        close_fd(k->pidfds[i].fd);
    free(k->pidfds);
    kept_init(k);
}

static void take_pidfd(struct kept *k, int fd, const char *name) {
    if (k->n_pidfds == k->size_pidfds) {
        unsigned size = k->size_pidfds != 0 ? 2 * k->size_pidfds : 64;
        struct kept_pidfd *more = reallocarray(k->pidfds, size, sizeof *more);
        if (more == NULL) {
            close_fd(fd);
            return;
        }
        k->pidfds = more;
        k->size_pidfds = size;
    }
    k->pidfds[k->n_pidfds++] = (struct kept_pidfd){strtoull(name, NULL, 10), fd};
}

bool kept_take(struct kept *k, int fd, const char *name) {
    static const struct {
        const char *name;
        size_t offset;
    } known[] = {{NAME_TABLE, offsetof(struct kept, table)},
                 {NAME_DEPOT_IN, offsetof(struct kept, depot_in)},
                 {NAME_DEPOT_OUT, offsetof(struct kept, depot_out)}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) != 0)
            continue;
        int *place = (int *)(void *)((char *)k + known[i].offset);
        close_fd(*place);
        *place = fd;
        return true;
    }
    if (strncmp(name, NAME_WORKER, strlen(NAME_WORKER)) != 0)
        return false;
    take_pidfd(k, fd, name + strlen(NAME_WORKER));
    return true;
}

/* ---- systemd's store ---- */

/* Without FDPOLL=0 a pidfd would leave the store as soon as its process has ended. */
static void store(const char *name, int fd) {
    char text[128];
    snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
    (void)sd_pid_notify_with_fds(0, false, text, &fd, 1);
}

static void store_worker(struct worker *w) {
    char name[64];
    snprintf(name, sizeof name, NAME_WORKER "%llu", (unsigned long long)w->id);
    store(name, w->pidfd);
    w->stored = true;
}

static void unstore(struct worker *w) {
    if (!w->stored)
        return;
    w->stored = false;
    (void)sd_notifyf(false, "FDSTOREREMOVE=1\nFDNAME=" NAME_WORKER "%llu", (unsigned long long)w->id);
}

static int on_store(sd_event_source *source, uint64_t time, void *data);

static void store_later(struct daemon *d, uint64_t usec) {
    int enabled;
    if (d->store == NULL || sd_event_source_get_enabled(d->store, &enabled) == 0)
        daemon_timer(d, &d->store, usec, on_store, d);
}

/* Old ones that are not there yet, some at a time. */
static int on_store(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct worker *w;
    uint64_t now = daemon_now(d);
    unsigned n = 0;
    bool more = false;
    TAILQ_FOREACH(w, &d->live, link) {
        if (w->record == NULL || w->stored || w->pidfd < 0)
            continue;
        if (n == STORE_BATCH || w->started + STORE_AFTER_USEC > now) {
            more = true;
            continue;
        }
        store_worker(w);
        n++;
    }
    if (more)
        daemon_timer(d, &d->store, n == STORE_BATCH ? STORE_EVERY_USEC : STORE_AFTER_USEC, on_store, d);
    return 0;
}

/* ---- table and depot ---- */

static void make_table(struct daemon *d) {
    int r = table_new(&d->records);
    if (r >= 0)
        r = depot_new(-1, -1, &d->depot);
    if (r < 0) {
        log_line(LOG_WARNING, LOG_KIND_START_UP, NULL, "workers would not be known after a crash of this daemon: %s",
                 strerror(-r));
        table_free(d->records);
        d->records = NULL;
        return;
    }
    store(NAME_TABLE, table_fd(d->records));
    store(NAME_DEPOT_IN, depot_in(d->depot));
    store(NAME_DEPOT_OUT, depot_out(d->depot));
}

static bool open_kept(struct daemon *d, struct kept *k) {
    const char *what;
    int r = table_open(k->table, &d->records, &what);
    if (r < 0) {
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "the table of workers that was kept is not used: %s", what);
        (void)sd_notify(false, "FDSTOREREMOVE=1\nFDNAME=" NAME_TABLE);
        return false;
    }
    k->table = -1;
    bool both = k->depot_in >= 0 && k->depot_out >= 0;
    if (depot_new(both ? k->depot_in : -1, both ? k->depot_out : -1, &d->depot) < 0)
        return true;
    if (both)
        k->depot_in = k->depot_out = -1;
    return true;
}

/* A private instance has nobody who would keep it. */
void keep_init(struct daemon *d, struct kept *k, bool *ret_again) {
    *ret_again = false;
    if (d->private_instance || getenv("NOTIFY_SOCKET") == NULL)
        return;
    if (k->table >= 0)
        *ret_again = open_kept(d, k);
    /* What is in our cgroup without a table is nobody's: the unit was stopped while no daemon ran. */
    if (!*ret_again && d->cgroup.dir >= 0 && unit_is_ours())
        cgroup_clear(&d->cgroup);
    if (d->records == NULL)
        make_table(d);
    if (*ret_again)
        table_get_ids(d->records, &d->last_worker, &d->last_incarnation);
}

void keep_adopted(struct daemon *d) {
    depot_renew(d);
    if (d->n_workers > 0)
        store_later(d, STORE_AFTER_USEC);
}

void keep_for_next(struct daemon *d) {
    struct worker *w;
    d->restarting = true;
    TAILQ_FOREACH(w, &d->live, link) {
        if (!(w->flags & SPAWN_DETACHED) || w->record == NULL || w->pidfd < 0)
            continue;
        if (!w->stored)
            store_worker(w);
        w->stays = true;
        d->n_staying++;
    }
}

void keep_done(struct daemon *d) {
    d->store = sd_event_source_disable_unref(d->store);
    d->returning = sd_event_source_disable_unref(d->returning);
    depot_free(d->depot);
    table_free(d->records);
    d->depot = NULL;
    d->records = NULL;
}

/* ---- a worker's record ---- */

static uint64_t boot_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* There is room for one byte more, which is 0. */
static void cut(char *to, size_t most, const char *from) {
    if (from != NULL)
        memcpy(to, from, strnlen(from, most));
}

void keep_starting(struct worker *w, const struct message *m) {
    struct daemon *d = w->d;
    /* One that is handed over is the service manager's. */
    if (d->records == NULL || w->flags & SPAWN_HAND_OVER)
        return;
    struct record *r = table_take(d->records);
    if (r == NULL)
        return;
    uint64_t limit = m != NULL ? message_u64(m, ATTR_TIME_LIMIT, 0) : 0;
    if (limit == 0 && w->zygote != NULL)
        limit = w->zygote->declaration.time_limit;
    r->start = (struct record_start){
        .id = w->id,
        .session_id = w->session_id,
        .started = w->started,
        .started_at = w->started_at,
        .boot_time = boot_time(),
        .grace = w->grace,
        .limit_at = limit != 0 ? w->started + limit : 0,
        .flags = w->flags,
        .own_cgroup = w->own_cgroup,
    };
    if (m != NULL && message_has(m, ATTR_JOB))
        memcpy(r->start.job, m->attributes[ATTR_JOB].data, LIMIT_JOB);
    cut(r->start.name, LIMIT_NAME, w->name);
    cut(r->start.zygote, LIMIT_ZYGOTE, w->zygote != NULL ? w->zygote->name : NULL);
    cut(r->start.program, LIMIT_SHOWN_PROGRAM - 1, w->program);
    table_set_ids(d->records, d->last_worker, d->last_incarnation);
    record_begins(r);
    w->record = r;
}

void keep_started(struct worker *w, bool in_depot) {
    struct daemon *d = w->d;
    if (w->record == NULL)
        return;
    w->record->pid = w->pid;
    record_lives(w->record);
    if (!in_depot && d->depot != NULL)
        depot_put(d->depot, w->id, w->pidfd);
    depot_started(d);
    store_later(d, STORE_AFTER_USEC);
}

void keep_reason(const struct worker *w) {
    if (w->record != NULL)
        w->record->reason = w->reason;
}

void keep_end(struct worker *w, uint64_t forget_at) {
    struct record *r = w->record;
    unstore(w);
    if (r == NULL)
        return;
    r->reason = w->reason;
    r->end = (struct record_end){
        .kind = (uint32_t)w->end_kind,
        .value = (uint32_t)w->end_value,
        .wall = w->wall,
        .forget_at = forget_at,
        .usage = w->usage,
    };
    record_ends(r);
}

/* One whose end is kept is for the next daemon to forget. */
static bool is_for_next(const struct worker *w) {
    return w->stays || (w->d->restarting && w->state == WORKER_ENDED && w->flags & SPAWN_DETACHED);
}

void keep_forget(struct worker *w) {
    if (is_for_next(w))
        return;
    unstore(w);
    if (w->record != NULL)
        table_give_back(w->d->records, w->record);
    w->record = NULL;
}

void keep_until_told(struct worker *w, struct session *s) {
    if (w->record == NULL)
        return;
    if (s->n_told == s->size_told) {
        unsigned size = s->size_told != 0 ? 2 * s->size_told : 16;
        struct record **more = reallocarray(s->told, size, sizeof(struct record *));
        if (more == NULL)
            return;
        s->told = more;
        s->size_told = size;
    }
    s->told[s->n_told++] = w->record;
    w->record = NULL;
}

void keep_told(struct session *s) {
    for (unsigned i = 0; i < s->n_told; i++)
        table_give_back(s->d->records, s->told[i]);
    s->n_told = 0;
}

struct worker *keep_find_job(const struct daemon *d, const uint8_t *job) {
    struct worker *w;
    TAILQ_FOREACH(w, &d->live, link)
    if (w->record != NULL && memcmp(w->record->start.job, job, LIMIT_JOB) == 0)
        return w;
    TAILQ_FOREACH(w, &d->ended, link)
    if (w->record != NULL && memcmp(w->record->start.job, job, LIMIT_JOB) == 0)
        return w;
    return NULL;
}
