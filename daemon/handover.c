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
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/report.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

struct handover {
    int middle;              /* owned: pidfd */
    sd_event_source *source; /* owned */
};

/* The system's manager, or the one that says of itself that it is the user's. A private instance is the child of its client,
 * which would not expect one more. */
void handover_init(struct daemon *d) {
    const char *manager = getenv("MANAGERPID");
    pid_t parent = getppid();
    d->manager = parent == 1 || (manager != NULL && parent == (pid_t)strtol(manager, NULL, 10)) ? parent : 0;
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
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return 0;
    text[n] = 0;
    /* The name before it can have blanks and parentheses. */
    const char *rest = strrchr(text, ')');
    return rest != NULL && strlen(rest) > 4 ? (pid_t)strtol(rest + 4, NULL, 10) : 0;
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
    close_fd(h->middle);
    free(h);
    be_subreaper(w->d);
}

static void fail(struct worker *w, int error, const char *what) {
    char text[LIMIT_TEXT];
    snprintf(text, sizeof text, "%s: %s", stage_name(STAGE_ZYGOTE), what);
    worker_kill(w);
    w->d->counters.failed++;
    if (w->session != NULL)
        report_failed(w->session, w->serial, w, STAGE_ZYGOTE, error, text);
    report_failed_watchers(w, STAGE_ZYGOTE, error, text);
    worker_free(w);
}

/* The process in the middle is gone. */
static int on_middle_gone(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)fd, (void)revents;
    struct worker *w = data;
    handover_free(w);
    if (parent_of(w->pid) == w->d->manager)
        handover_done(w);
    else
        fail(w, ECHILD, "the worker has ended, or another process than the service manager has become its parent");
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
        sd_event_add_io(d->event, &h->source, h->middle, EPOLLIN, on_middle_gone, w) < 0) {
        handover_free(w);
        fail(w, ENOMEM, "the worker cannot be handed over");
        return;
    }
    d->middles[d->next_middle++ % HANDOVER_MIDDLES] = middle;
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    syscall(SYS_pidfd_send_signal, h->middle, SIGKILL, NULL, 0);
}

bool handover_ended(const struct daemon *d, pid_t pid) {
    for (unsigned i = 0; i < HANDOVER_MIDDLES; i++)
        if (d->middles[i] == pid)
            return true;
    return false;
}
