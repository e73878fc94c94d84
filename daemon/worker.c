/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of workers and how one is ended: SIGTERM, grace, SIGKILL. It starts none and tells nobody anything itself, except
 * that an end is passed on to report.c. */
#include "daemon/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/crowd.h"
#include "daemon/exitpipe.h"
#include "daemon/handover.h"
#include "daemon/keep.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/reaper.h"
#include "daemon/report.h"
#include "daemon/session.h"
#include "daemon/start.h"
#include "daemon/sweep.h"
#include "daemon/zygote.h"

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1UL << 2)
#endif

enum { TABLE_FIRST = 64 };

static int on_forget(sd_event_source *source, uint64_t time, void *data);

/* ---- the table: ids are consecutive, so that the low bits spread them evenly ---- */

int worker_table_init(struct daemon *d) {
    TAILQ_INIT(&d->live);
    TAILQ_INIT(&d->ended);
    d->table = calloc(TABLE_FIRST, sizeof *d->table);
    d->table_size = d->table != NULL ? TABLE_FIRST : 0;
    return d->table != NULL ? daemon_timer_new(d, &d->forget, on_forget, d) : -ENOMEM;
}

void worker_table_done(struct daemon *d) {
    struct worker *w;
    while ((w = TAILQ_FIRST(&d->live)) != NULL || (w = TAILQ_FIRST(&d->ended)) != NULL)
        worker_free(w);
    free(d->table);
    d->table = NULL;
}

static void table_put(struct daemon *d, struct worker *w) {
    struct worker **place = &d->table[w->id & (d->table_size - 1)];
    w->next_in_table = *place;
    *place = w;
}

static void table_remove(struct daemon *d, struct worker *w) {
    struct worker **place = &d->table[w->id & (d->table_size - 1)];
    while (*place != w)
        place = &(*place)->next_in_table;
    *place = w->next_in_table;
}

/* Without memory for more places it just gets slower. */
static void table_grow(struct daemon *d) {
    size_t size = d->table_size * 2;
    struct worker **table = calloc(size, sizeof *table), **old = d->table, *w;
    if (table == NULL)
        return;
    d->table = table;
    d->table_size = size;
    free(old);
    TAILQ_FOREACH(w, &d->live, link)
    table_put(d, w);
    TAILQ_FOREACH(w, &d->ended, link)
    table_put(d, w);
}

struct worker *worker_find(const struct daemon *d, uint64_t id) {
    struct worker *w = d->table[id & (d->table_size - 1)];
    while (w != NULL && w->id != id)
        w = w->next_in_table;
    return w;
}

static int find_in(const struct worker_list *list, const char *name, struct worker **ret_worker) {
    struct worker *w, *found = NULL;
    TAILQ_FOREACH(w, list, link) {
        if (strcmp(w->name, name) != 0)
            continue;
        if (found != NULL)
            return -EEXIST;
        found = w;
    }
    if (found == NULL)
        return -ESRCH;
    *ret_worker = found;
    return 0;
}

int worker_find_name(const struct daemon *d, const char *name, struct worker **ret_worker) {
    int r = find_in(&d->live, name, ret_worker);
    return r == -ESRCH ? find_in(&d->ended, name, ret_worker) : r;
}

/* ---- one worker ---- */

int worker_restore(struct daemon *d, uint64_t id, struct worker **ret_worker) {
    struct worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -ENOMEM;
    if (d->n_workers + d->n_ended >= d->table_size)
        table_grow(d);
    w->d = d;
    w->id = id;
    w->pidfd = w->report = w->exit_pipe = -1;
    LIST_INIT(&w->waiters);
    table_put(d, w);
    TAILQ_INSERT_TAIL(&d->live, w, link);
    d->n_workers++;
    *ret_worker = w;
    return 0;
}

static void enter_session(struct worker *w, struct session *s) {
    w->session = s;
    w->session_id = s->id;
    TAILQ_INSERT_TAIL(&s->workers, w, session_link);
    s->n_workers++;
}

int worker_new(struct daemon *d, struct session *s, struct worker **ret_worker) {
    int r = worker_restore(d, ++d->last_worker, ret_worker);
    if (r >= 0 && s != NULL)
        enter_session(*ret_worker, s);
    return r;
}

static void close_pidfd(struct worker *w) {
    if (w->pidfd >= 0)
        reaper_unwatch(w->d, w->pidfd);
    if (w->pidfd >= 0 && (w->session == NULL || !session_takes_fd(w->session, w->pidfd)))
        close_fd(w->pidfd);
    w->pidfd = -1;
}

void worker_at_gate(struct worker *w, bool is) {
    if (w->at_gate == is)
        return;
    w->at_gate = is;
    w->d->n_gated += is ? 1 : -1U;
    if (w->session != NULL)
        w->session->n_gated += is ? 1 : -1U;
}

static void leave_session(struct worker *w) {
    if (w->session == NULL)
        return;
    /* Its own end is not long: nobody else opens the gate. */
    w->session->n_gated -= w->at_gate;
    TAILQ_REMOVE(&w->session->workers, w, session_link);
    w->session->n_workers--;
    w->session = NULL;
}

void worker_join(struct worker *w, struct session *s, uint32_t serial) {
    leave_session(w);
    if (w->state == WORKER_LIVE)
        enter_session(w, s);
    w->serial = serial;
}

static void forget_waiter(struct waiter *waiter) {
    LIST_REMOVE(waiter, of_worker);
    LIST_REMOVE(waiter, of_session);
    waiter->session->n_waiters--;
    free(waiter);
}

/* Its zygote may be idle, or done with. */
static void leave_zygote(struct worker *w) {
    struct zygote *z = w->zygote;
    if (w->request != NULL)
        fork_request_free(w->request);
    if (w->derived != NULL)
        incarnation_derived_ended(w->derived);
    if (w->parent != NULL)
        incarnation_child_gone(w->parent, w);
    if (z == NULL || w->state != WORKER_LIVE)
        return;
    z->n_workers--;
    zygote_check_idle(z);
}

static void release(struct worker *w) {
    worker_at_gate(w, false);
    handover_free(w);
    crowd_ended(w);
    leave_zygote(w);
    close_pidfd(w);
    leave_session(w);
    if (w->report >= 0)
        reaper_unwatch(w->d, w->report);
    close_fd(w->report);
    close_fd(w->exit_pipe);
    w->report = w->exit_pipe = -1;
    w->timer = sd_event_source_unref(w->timer);
    while (!LIST_EMPTY(&w->waiters))
        forget_waiter(LIST_FIRST(&w->waiters));
}

void worker_free(struct worker *w) {
    struct daemon *d = w->d;
    release(w);
    table_remove(d, w);
    TAILQ_REMOVE(w->state == WORKER_LIVE ? &d->live : &d->ended, w, link);
    if (w->state == WORKER_LIVE)
        d->n_workers--;
    else
        d->n_ended--;
    keep_forget(w);
    free(w->program);
    free(w);
}

int worker_wait(struct worker *w, struct session *s, uint32_t serial) {
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return -ENOMEM;
    waiter->session = s;
    waiter->serial = serial;
    LIST_INSERT_HEAD(&w->waiters, waiter, of_worker);
    LIST_INSERT_HEAD(&s->waiters, waiter, of_session);
    s->n_waiters++;
    return 0;
}

struct session *worker_next_waiter(struct worker *w, uint32_t *ret_serial) {
    struct waiter *waiter = LIST_FIRST(&w->waiters);
    if (waiter == NULL)
        return NULL;
    struct session *s = waiter->session;
    *ret_serial = waiter->serial;
    forget_waiter(waiter);
    return s;
}

void worker_session_gone(struct session *s) {
    struct worker *w, *next;
    while (!LIST_EMPTY(&s->waiters))
        forget_waiter(LIST_FIRST(&s->waiters));
    for (w = TAILQ_FIRST(&s->workers); w != NULL; w = next) {
        next = TAILQ_NEXT(w, session_link);
        leave_session(w);
        if (w->at_gate) {
            /* Nobody will open it, and it may have blocked the signals that ask. */
            w->reason = REASON_SESSION_ENDED;
            worker_kill(w);
        } else if (!(w->flags & SPAWN_DETACHED))
            worker_terminate(w, REASON_SESSION_ENDED);
    }
}

/* ---- ending it ---- */

static bool is_our_child(const struct worker *w) {
    return w->zygote == NULL && !w->adopted && !(w->flags & SPAWN_HAND_OVER);
}

/* Somebody else may have reaped it by now, so that its pid says nothing. Where the kernel cannot signal a group by pidfd (before
 * 6.9), one that answers to its pidfd still has its pid. */
static int kill_forked_group(const struct worker *w, int signo) {
    if (syscall(SYS_pidfd_send_signal, w->pidfd, signo, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0)
        return 0;
    if (errno == ESRCH)
        return syscall(SYS_pidfd_send_signal, w->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
    if (errno != EINVAL || syscall(SYS_pidfd_send_signal, w->pidfd, 0, NULL, 0) < 0)
        return -errno;
    return kill(-w->pid, signo) < 0 && kill(w->pid, signo) < 0 ? -errno : 0;
}

int worker_kill_group(const struct worker *w, int signo) {
    /* Without a process yet: 0 would mean our own group, and 1 everybody. */
    if (w->pid <= 1)
        return -ESRCH;
    if (!is_our_child(w))
        return kill_forked_group(w, signo);
    /* It leads a group of its own, unless it did not get that far yet. Its pid is its own until we reap it. */
    if (kill(-w->pid, signo) == 0)
        return 0;
    return errno == ESRCH && kill(w->pid, signo) == 0 ? 0 : -errno;
}

void worker_kill(struct worker *w) {
    if (w->own_cgroup)
        cgroup_kill(&w->d->cgroup, w->id);
    int r = worker_kill_group(w, SIGKILL);
    if (r < 0 && r != -ESRCH)
        log_line(LOG_ERR, LOG_KIND_WORKER, NULL, "cannot end worker %llu (pid %d): %s", (unsigned long long)w->id, (int)w->pid,
                 strerror(-r));
}

static int on_timer(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct worker *w = data;
    if (w->reason == 0)
        worker_terminate(w, REASON_TIME_LIMIT);
    else
        worker_kill(w);
    return 0;
}

void worker_terminate(struct worker *w, enum end_reason reason) {
    if (w->reason != 0 || w->state != WORKER_LIVE)
        return;
    w->reason = reason;
    keep_reason(w);
    if (w->request != NULL) {
        fork_cancel(w->request);
        return;
    }
    int r = worker_kill_group(w, SIGTERM);
    /* A stopped one would not hear it. */
    worker_kill_group(w, SIGCONT);
    if (r < 0 || w->grace == 0 || daemon_timer(w->d, &w->timer, w->grace, on_timer, w) < 0)
        worker_kill(w);
}

int worker_set_time_limit(struct worker *w, uint64_t usec) {
    return daemon_timer(w->d, &w->timer, usec, on_timer, w);
}

int worker_signal(struct worker *w, int signo, uint32_t flags) {
    /* Stopped before its exec it would keep a slot of all, and maybe fds of others. Every other signal waits until then. */
    if ((signo == SIGSTOP && starter_is_starting(w->slot, w->id)) || w->pid == 0)
        return -EAGAIN;
    if (flags & SIGNAL_ALL) {
        if (signo != SIGKILL)
            return -EINVAL;
        if (!w->own_cgroup)
            return -EOPNOTSUPP;
        return cgroup_kill(&w->d->cgroup, w->id);
    }
    if (flags & SIGNAL_GROUP)
        return worker_kill_group(w, signo);
    if (!is_our_child(w))
        return syscall(SYS_pidfd_send_signal, w->pidfd, signo, NULL, 0) < 0 ? -errno : 0;
    return kill(w->pid, signo) < 0 ? -errno : 0;
}

/* ---- its end ---- */

static void forget_old(struct daemon *d);

static int on_forget(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    forget_old(data);
    life_changed(data);
    return 0;
}

/* Too many ends, or too old ones. The timer is for the oldest that stays. */
static void forget_old(struct daemon *d) {
    uint64_t now = daemon_now(d);
    struct worker *w;
    while ((w = TAILQ_FIRST(&d->ended)) != NULL && (d->n_ended > d->config.keep_ends || w->forget_at <= now))
        worker_free(w);
    if (w != NULL)
        daemon_timer(d, &d->forget, w->forget_at - now, on_forget, d);
}

/* Most often it is the last one. */
static void insert_ended(struct daemon *d, struct worker *w) {
    struct worker *before = TAILQ_LAST(&d->ended, worker_list);
    while (before != NULL && before->forget_at > w->forget_at)
        before = TAILQ_PREV(before, worker_list, link);
    if (before != NULL)
        TAILQ_INSERT_AFTER(&d->ended, before, w, link);
    else
        TAILQ_INSERT_HEAD(&d->ended, w, link);
    d->n_ended++;
}

void worker_keep(struct worker *w, uint64_t forget_at) {
    struct daemon *d = w->d;
    release(w);
    TAILQ_REMOVE(&d->live, w, link);
    d->n_workers--;
    w->state = WORKER_ENDED;
    w->forget_at = forget_at;
    insert_ended(d, w);
    forget_old(d);
}

static void clean_cgroup(struct worker *w) {
    if (!w->own_cgroup)
        return;
    sweep_cgroup(w->d, w->id);
}

void worker_ended_as(struct worker *w, int kind, int value) {
    w->wall = daemon_now(w->d) - w->started;
    w->end_kind = kind;
    w->end_value = value;
    if (w->reason == 0)
        w->reason = kind == END_EXITED ? REASON_EXITED : REASON_SIGNALLED;
    worker_ended(w);
}

void worker_lost(struct worker *w) {
    w->wall = daemon_now(w->d) - w->started;
    w->end_kind = END_UNKNOWN;
    worker_ended(w);
}

void worker_failed(struct worker *w, enum stage stage, int error, const char *text) {
    clean_cgroup(w);
    w->d->counters.failed++;
    /* Nobody asked for those of a derived zygote. */
    if (w->session != NULL && w->serial != 0)
        report_failed(w->session, w->serial, w, stage, error, text);
    report_failed_watchers(w, stage, error, text);
    worker_free(w);
}

void worker_ended(struct worker *w) {
    struct daemon *d = w->d;
    d->n_staying -= w->stays;
    w->stays = false;
    enum stage stage;
    int error = w->slot != NULL ? starter_failure(d->starter, w->slot, w->id, &stage) : 0;
    if (error != 0) {
        char text[LIMIT_TEXT];
        snprintf(text, sizeof text, "%s: %s: %s", stage_name(stage), strerror(error),
                 stage == STAGE_CWD && w->cwd != NULL ? w->cwd : w->program);
        worker_failed(w, stage, error, text);
        return;
    }
    clean_cgroup(w);
    d->counters.ended++;
    /* Its client may still come back to one that an earlier daemon has started. */
    bool kept = w->flags & SPAWN_DETACHED || (w->adopted && w->session == NULL && w->record != NULL);
    uint64_t forget_at = daemon_now(d) + (w->flags & SPAWN_DETACHED ? d->config.keep_ends_time : d->config.return_time);
    keep_end(w, forget_at);
    if (!w->told_started)
        report_started(w);
    report_ended(w);
    if (w->pipe_is_ours)
        exit_pipe_write(w->exit_pipe, w->end_kind, w->end_value);
    if (kept) {
        worker_keep(w, forget_at);
        return;
    }
    if (w->session != NULL)
        keep_until_told(w, w->session);
    worker_free(w);
}
