/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers for the service manager: each begins as a child of our parent, in the cgroup of a unit. Once its program runs it is the
 * manager's alone: it is not in our table, nothing that we do ends it, and its end the kernel tells to the manager.
 *
 * What is executed is born as such a child. A zygote forks twice, and the process in the middle is ended, so that the worker is
 * an orphan; for that short time we are no subreaper, and it goes past us to the manager. Other orphans do so meanwhile, too: no
 * more is lost than that we do not reap them; and should their zygote die just then, their ends are asked of the kernel by pidfd.
 */
#include "daemon/handover.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/pidfd.h"
#include "daemon/report.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

struct handover {
    int middle;                         /* owned: pidfd */
    sd_event_source *source, *deadline; /* owned */
};

/* The system's manager, or the one that says of itself that it is the user's. A private instance is the child of its client,
 * which would not expect one more. */
void handover_init(struct daemon *d) {
    const char *manager = getenv("MANAGERPID");
    pid_t parent = getppid();
    bool systemd = access("/run/systemd/system", F_OK) == 0;
    d->manager = (parent == 1 && systemd) || (manager != NULL && parent == (pid_t)strtol(manager, NULL, 10)) ? parent : 0;
}

int handover_check(const struct daemon *d, const struct message *m, const char **ret_what) {
    static const unsigned ours[] = {ATTR_TIME_LIMIT, ATTR_GRACE, ATTR_MEMORY_MAX, ATTR_TASKS_MAX, ATTR_CPU_WEIGHT};
    uint32_t flags = message_u32(m, ATTR_SPAWN_FLAGS, 0);
    if (!(flags & SPAWN_HAND_OVER))
        return 0;
    *ret_what = "a worker can be handed over to a service manager only, and this instance has been started by none";
    /* Its parent may have ended since. */
    if (d->manager == 0 || getppid() != d->manager)
        return -EOPNOTSUPP;
    *ret_what = "HAND_OVER goes with none of DETACHED, OWN_CGROUP, DERIVED, TIME_LIMIT, GRACE and limits: those are the unit's";
    if (flags & (SPAWN_DETACHED | SPAWN_OWN_CGROUP | SPAWN_DERIVED))
        return -EINVAL;
    for (unsigned i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (message_has(m, ours[i]))
            return -EINVAL;
    *ret_what = "HAND_OVER needs INTO_CGROUP: the cgroup of the unit";
    return message_has(m, ATTR_INTO_CGROUP) ? 0 : -EINVAL;
}

void handover_done(struct worker *w) {
    if (!w->told_started)
        report_started(w);
    w->reason = REASON_HANDED_OVER;
    worker_lost(w);
}

/* ---- of a zygote ---- */

/* 0: there is no such process. */
static pid_t parent_of(pid_t pid) {
    enum { PARENT = 4 };
    return (pid_t)process_stat(pid, PARENT);
}

/* A second one may be under way. */
static void be_subreaper(struct daemon *d) {
    if (--d->n_handovers == 0 && d->subreaper)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

void handover_free(struct worker *w) {
    struct handover *h = w->handover;
    if (h == NULL)
        return;
    w->handover = NULL;
    sd_event_source_disable_unref(h->source);
    sd_event_source_disable_unref(h->deadline);
    close_fd(h->middle);
    free(h);
    be_subreaper(w->d);
}

/* Its zygote tells of the end of one that is killed here, as it does of those in the middle. */
static void expect_end(struct daemon *d, pid_t pid) {
    d->middles[d->next_middle++ % HANDOVER_MIDDLES] = pid;
}

static void fail_at(struct worker *w, enum stage stage, int error, const char *what) {
    char text[LIMIT_TEXT];
    snprintf(text, sizeof text, "%s: %s", stage_name(stage), what);
    expect_end(w->d, w->pid);
    worker_kill(w);
    worker_failed(w, stage, error, text);
}

static void fail(struct worker *w, int error, const char *what) {
    fail_at(w, STAGE_ZYGOTE, error, what);
}

static bool has_ended(const struct worker *w, bool *ret_reaped) {
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    bool ended = poll(&p, 1, 0) == 1;
    *ret_reaped = ended && p.revents & POLLHUP;
    return ended;
}

/* The process in the middle is gone. */
static int on_middle_gone(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)fd, (void)revents;
    struct worker *w = data;
    struct daemon *d = w->d;
    struct zygote *z = w->zygote;
    bool reaped;
    handover_free(w);
    pid_t parent = parent_of(w->pid);
    /* One that has ended since, and is gone already: whoever has reaped it was its parent while we were none. */
    if (parent == d->manager || (has_ended(w, &reaped) && (parent == 0 || reaped)))
        handover_done(w);
    else
        fail(w, ECHILD, "another process than the service manager has become the worker's parent");
    zygote_pump(z);
    life_changed(d);
    return 0;
}

/* It may be traced, or wait for a file system that does not answer. We have to be a subreaper again. */
static int on_deadline(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct worker *w = data;
    struct daemon *d = w->d;
    struct incarnation *i = w->parent;
    bool lives = i != NULL && i->state != INCARNATION_GONE;
    handover_free(w);
    fail(w, ETIMEDOUT, "the process between zygote and worker does not end");
    if (lives)
        incarnation_kill(i, "a process of it did not end when a worker was handed over");
    life_changed(d);
    return 0;
}

void handover_forked(struct worker *w) {
    struct daemon *d = w->d;
    pid_t middle = parent_of(w->pid);
    struct handover *h = calloc(1, sizeof *h);
    if (h == NULL || middle == w->parent->pid || parent_of(middle) != w->parent->pid) {
        free(h);
        fail(w, ENOTSUP, "this zygote does not know how to hand a worker over");
        return;
    }
    h->middle = (int)syscall(SYS_pidfd_open, middle, 0);
    w->handover = h;
    d->n_handovers++;
    /* Still its parent: so that is whom we have. */
    if (h->middle < 0 || parent_of(w->pid) != middle ||
        sd_event_add_io(d->event, &h->source, h->middle, EPOLLIN, on_middle_gone, w) < 0 ||
        daemon_timer(d, &h->deadline, HANDOVER_USEC, on_deadline, w) < 0) {
        handover_free(w);
        fail(w, ENOMEM, "the worker cannot be handed over");
        return;
    }
    expect_end(d, middle);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    if (syscall(SYS_pidfd_send_signal, h->middle, SIGKILL, NULL, 0) == 0 || errno == ESRCH)
        return;
    int r = errno;
    handover_free(w);
    fail(w, r, "the process between zygote and worker cannot be ended");
}

bool handover_ended(struct daemon *d, pid_t pid) {
    for (unsigned i = 0; i < HANDOVER_MIDDLES; i++) {
        if (d->middles[i] != pid)
            continue;
        d->middles[i] = 0;
        return true;
    }
    return false;
}

void handover_never(struct worker *w) {
    fail_at(w, STAGE_REQUEST, ECANCELED, "the worker was ended before it began");
}

void handover_unwanted(struct worker *w) {
    fail(w, ECANCELED, "the worker was told to end before it began");
}
