/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the table that outlived an earlier daemon. Nothing is guessed: a process is taken for a worker only by a pidfd that was
 * kept, or by a pid that cannot be anybody else's; an end that the kernel does not know any more is told as unknown. */
#include "daemon/adopt.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/crowd.h"
#include "daemon/depot.h"
#include "daemon/keep.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/pidfd.h"
#include "daemon/reaper.h"
#include "daemon/report.h"
#include "daemon/session.h"
#include "daemon/sweep.h"
#include "daemon/table.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

/* ---- which process ---- */

static void take_pidfd(struct daemon *d, uint64_t id, int pidfd, bool stored) {
    struct worker *w = worker_find(d, id);
    if (w == NULL || w->pidfd >= 0 || w->state != WORKER_LIVE) {
        close_fd(pidfd);
        return;
    }
    w->pidfd = pidfd;
    w->stored = stored;
}

static void take_from_depot(void *data, uint64_t id, int pidfd) {
    take_pidfd(data, id, pidfd, false);
}

/* No pidfd of it was kept. A pid comes up again only after all others have been used: one whose process began in the same second
 * is no other's. */
static void find_by_pid(struct worker *w) {
    enum { TICK = 10000, SECOND = 1000000, START = 22 };
    const struct record *r = w->record;
    if (r->pid <= 1)
        return;
    auto_fd pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
    /* In ticks since boot. */
    uint64_t start = pidfd >= 0 ? process_stat(r->pid, START) * (SECOND / (uint64_t)sysconf(_SC_CLK_TCK)) : 0;
    if (start + TICK > r->start.boot_time && start < r->start.boot_time + SECOND)
        w->pidfd = steal_fd(&pidfd);
}

/* ---- workers ---- */

static struct worker *restore(struct daemon *d, struct record *r) {
    const struct record_start *s = &r->start;
    char what[ZYGOTE_WHAT];
    struct worker *w;
    if (worker_restore(d, s->id, &w) < 0)
        return NULL;
    w->record = r;
    w->adopted = true;
    w->session_id = s->session_id;
    w->pid = r->pid;
    w->flags = s->flags;
    w->started = s->started;
    w->started_at = s->started_at;
    w->grace = s->grace;
    w->own_cgroup = s->own_cgroup != 0;
    w->told_started = true;
    w->reason = r->reason < REASON_COUNT ? (enum end_reason)r->reason : 0;
    w->program = strndup(s->program, sizeof s->program);
    memcpy(w->name, s->name, LIMIT_NAME);
    if (s->zygote[0] != 0 && zygote_find(d, s->zygote, &w->zygote, what) >= 0)
        w->zygote->n_workers++;
    return w;
}

static void restore_end(struct worker *w) {
    const struct record_end *e = &w->record->end;
    uint64_t forget_at = e->forget_at, least = daemon_now(w->d) + w->d->config.return_time;
    w->end_kind = (int)e->kind;
    w->end_value = (int)e->value;
    w->wall = e->wall;
    w->usage = e->usage;
    worker_keep(w, forget_at > least ? forget_at : least);
}

/* All of the table, the ended ones done with. */
static unsigned read_table(struct daemon *d) {
    struct record *r;
    uint32_t at = 0;
    unsigned n = 0;
    while ((r = table_next(d->records, &at)) != NULL) {
        /* Its process was never made: whoever asked will ask again. A zygote that was asked may have made one, and told nobody.
         */
        if (r->state != RECORD_ENDED && r->pid == 0 && r->incarnation == 0) {
            table_give_back(d->records, r);
            continue;
        }
        struct worker *w = restore(d, r);
        if (w == NULL)
            continue;
        n++;
        if (r->state == RECORD_ENDED)
            restore_end(w);
    }
    return n;
}

/* It failed before its program began, and told so where we find it. */
static bool has_failed(const struct worker *w) {
    return __atomic_load_n(&w->record->failure, __ATOMIC_ACQUIRE) != 0;
}

static void go_on(struct worker *w) {
    struct daemon *d = w->d;
    uint64_t now = daemon_now(d), limit = w->record->start.limit_at;
    enum end_reason reason = w->reason;
    if (w->pidfd < 0)
        find_by_pid(w);
    if (w->pidfd < 0 && has_failed(w)) {
        worker_free(w);
        return;
    }
    if (w->pidfd < 0) {
        log_line(LOG_ERR, LOG_KIND_WORKER, NULL,
                 "the end of worker %llu cannot be known: it ended while no daemon ran, and nobody had kept a pidfd of it",
                 (unsigned long long)w->id);
        worker_lost(w);
        return;
    }
    record_lives(w->record);
    crowd_move_up(w);
    if (reaper_watch(w) < 0)
        reaper_ask(w);
    w->reason = 0;
    if (reason != 0)
        worker_terminate(w, reason);
    else if (limit > 0)
        (void)worker_set_time_limit(w, limit > now ? limit - now : 0);
}

/* ---- those who do not come back ---- */

static int on_returning(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct worker *w, *next;
    for (w = TAILQ_FIRST(&d->live); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->adopted && w->session == NULL && !(w->flags & SPAWN_DETACHED))
            worker_terminate(w, REASON_SESSION_ENDED);
    }
    return 0;
}

/* Of a worker that had ended. A zygote's is removed once its last worker has. */
static void sweep_old(void *data, uint64_t owner) {
    struct daemon *d = data;
    const struct worker *w = worker_find(d, owner);
    if (w == NULL || w->state != WORKER_LIVE)
        sweep_cgroup(d, owner);
}

void adopt(struct daemon *d, struct kept *k) {
    struct worker *w, *next;
    unsigned n = read_table(d), living = d->n_workers;
    for (unsigned i = 0; i < k->n_pidfds; i++) {
        take_pidfd(d, k->pidfds[i].worker, k->pidfds[i].fd, true);
        k->pidfds[i].fd = -1;
    }
    if (d->depot != NULL)
        depot_empty(d->depot, take_from_depot, d);
    for (w = TAILQ_FIRST(&d->live); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        go_on(w);
    }
    cgroup_each(&d->cgroup, sweep_old, d);
    keep_adopted(d);
    if (living > 0)
        daemon_timer(d, &d->returning, d->config.return_time, on_returning, d);
    log_line(LOG_INFO, LOG_KIND_READY, NULL, "workers of the daemon before this one: %u had not ended when it did, %u had",
             living, n - living);
}

/* ---- clients that come back ---- */

void adopt_return(struct session *s, uint32_t serial, struct worker *w) {
    worker_join(w, s, serial);
    if (w->pid == 0 && w->state == WORKER_LIVE)
        return;
    report_attached(s, serial, w);
    if (w->state == WORKER_ENDED && !(w->flags & SPAWN_DETACHED)) {
        keep_until_told(w, s);
        worker_free(w);
    }
}

bool adopt_knows(const struct daemon *d, const struct message *m) {
    return !message_has(m, ATTR_AGAIN) || (d->records != NULL && table_since(d->records) <= message_u64(m, ATTR_AGAIN, 0));
}

int adopt_again(struct session *s, const struct message *m) {
    struct daemon *d = s->d;
    const struct attribute *job = &m->attributes[ATTR_JOB];
    struct worker *w = job->size == LIMIT_JOB ? keep_find_job(d, job->data) : NULL;
    if (w != NULL) {
        adopt_return(s, m->serial, w);
        return 0;
    }
    return adopt_knows(d, m) ? 1 : -ESTALE;
}
