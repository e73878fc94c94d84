/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends of workers: by pidfd, in batches. It learns what the kernel says of an end and passes it on as it is. */
#include "daemon/reaper.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/handover.h"
#include "daemon/life.h"
#include "daemon/log.h"
#include "daemon/oom.h"
#include "daemon/pidfd.h"
#include "daemon/report.h"
#include "daemon/start.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { BATCH = 64, ASK_USEC = 20000, SWEEP_USEC = 100000 };

/* The low bit tells the pipe from the pidfd. Ids, not pointers: an earlier event of the same batch may have freed the worker. */
static uint64_t tag(const struct worker *w, bool report) {
    return w->id << 1 | report;
}

static int watch(struct daemon *d, int fd, uint64_t data) {
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = data};
    return epoll_ctl(d->ends, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

int reaper_watch(struct worker *w) {
    int r = watch(w->d, w->pidfd, tag(w, false));
    if (r >= 0 && w->report >= 0)
        r = watch(w->d, w->report, tag(w, true));
    return r;
}

void reaper_unwatch(const struct daemon *d, int fd) {
    epoll_ctl(d->ends, EPOLL_CTL_DEL, fd, NULL);
}

/* What is left of its group goes, if it was us who ended it; before its pid can be anybody else's. */
static void kill_rest(const struct worker *w) {
    if (w->reason != 0)
        worker_kill_group(w, SIGKILL);
}

int reaper_wait(int pidfd, int *ret_kind, int *ret_value, struct rusage *ret_usage) {
    siginfo_t info;
    info.si_pid = 0;
    if (syscall(SYS_waitid, P_PIDFD, pidfd, &info, WEXITED | WNOHANG, ret_usage) < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    *ret_value = info.si_status;
    *ret_kind = info.si_code == CLD_EXITED ? END_EXITED : info.si_code == CLD_DUMPED ? END_DUMPED : END_KILLED;
    return 1;
}

/* If it has ended meanwhile, that is its manager's business already. That it failed it tells us. */
static void hand_over(struct worker *w) {
    if (starter_failed(w->slot, w->id))
        worker_lost(w);
    else if (!starter_begun(w->slot, w->id))
        handover_never(w);
    else
        handover_done(w);
}

static void on_end(struct worker *w) {
    int kind, value;
    kill_rest(w);
    if (w->flags & SPAWN_HAND_OVER && w->zygote == NULL) {
        hand_over(w);
        return;
    }
    int r = reaper_wait(w->pidfd, &kind, &value, &w->usage);
    bool others = w->zygote != NULL || w->adopted;
    if (r == -ECHILD && others) {
        r = pidfd_end(w->pidfd, &kind, &value);
        /* Somebody else is its parent, and takes his time. */
        if (r == 0 && !w->unwatched) {
            reaper_unwatch(w->d, w->pidfd);
            reaper_ask(w);
        }
    }
    if (r > 0)
        worker_ended_as(w, kind, value);
    if (r >= 0)
        return;
    reaper_unwatch(w->d, w->pidfd);
    /* Nobody else reaps our children: so it is asked for once more. */
    if (!others && !w->unwatched) {
        reaper_ask(w);
        return;
    }
    /* Those of a zygote it may have reaped and then gone without a word, on a kernel that does not know the end any more. */
    log_line(LOG_ERR, LOG_KIND_WORKER, NULL, "the end of worker %llu cannot be known: %s", (unsigned long long)w->id,
             strerror(-r));
    worker_lost(w);
}

/* The pipe's other end is gone: by exec, or by the child's end, which the pidfd then tells, too. */
static void on_report(struct worker *w) {
    reaper_unwatch(w->d, w->report);
    close_fd(w->report);
    w->report = -1;
    worker_at_gate(w, false);
    if (starter_failed(w->slot, w->id))
        return;
    if (w->has_oom_score_adj)
        oom_set(w);
    if (w->flags & SPAWN_HAND_OVER)
        hand_over(w);
    else if (!w->told_started)
        report_started(w);
}

static int on_events(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)revents;
    struct daemon *d = data;
    struct epoll_event events[BATCH];
    int n = epoll_wait(fd, events, BATCH, 0);
    for (int i = 0; i < n; i++) {
        struct worker *w = worker_find(d, events[i].data.u64 >> 1);
        if (w == NULL || w->state != WORKER_LIVE)
            continue;
        if (events[i].data.u64 & 1)
            on_report(w);
        else
            on_end(w);
    }
    starter_collect(d->starter);
    reaper_sweep(d);
    life_changed(d);
    return 0;
}

/* ---- orphans ---- */

/* Processes whose parents have ended, and which came to us because of zygotes. Nothing tells when they end, but it does no harm
 * either; so they are looked for when there is something to do anyway. */
void reaper_sweep(struct daemon *d) {
    siginfo_t info;
    uint64_t now = daemon_now(d);
    if (!d->subreaper || now - d->orphans_at < SWEEP_USEC)
        return;
    d->orphans_at = now;
    for (;;) {
        info.si_pid = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        /* One that we know is told of by its pidfd. It hides those behind it for now. */
        if (zygotes_know(d, info.si_pid))
            return;
        waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    }
}

static int on_orphans(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    reaper_sweep(data);
    return 0;
}

void reaper_sweep_soon(struct daemon *d) {
    daemon_timer(d, &d->orphans, 2 * SWEEP_USEC, on_orphans, d);
}

/* ---- without an epoll entry: by asking ---- */

static int on_ask(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct worker *w, *next;
    bool more = false;
    for (w = TAILQ_FIRST(&d->live); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (!w->unwatched)
            continue;
        uint64_t id = w->id;
        on_end(w);
        more |= worker_find(d, id) != NULL;
    }
    if (more)
        daemon_timer(d, &d->ask, ASK_USEC, on_ask, d);
    life_changed(d);
    return 0;
}

void reaper_ask(struct worker *w) {
    w->unwatched = true;
    daemon_timer(w->d, &w->d->ask, ASK_USEC, on_ask, w->d);
}

int reaper_init(struct daemon *d) {
    d->ends = epoll_create1(EPOLL_CLOEXEC);
    if (d->ends < 0)
        return -errno;
    int r = sd_event_add_io(d->event, &d->reaper, d->ends, EPOLLIN, on_events, d);
    if (r >= 0)
        r = daemon_timer_new(d, &d->orphans, on_orphans, d);
    return r < 0 ? r : daemon_timer_new(d, &d->ask, on_ask, d);
}

void reaper_done(struct daemon *d) {
    d->reaper = sd_event_source_unref(d->reaper);
    d->orphans = sd_event_source_disable_unref(d->orphans);
    d->ask = sd_event_source_unref(d->ask);
    close_fd(d->ends);
    d->ends = -1;
}
