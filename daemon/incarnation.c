/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One process of a zygote: its start, its deadlines, its end, and what that means for the workers that it forked. It does not
 * decide when one is needed, and does not read what one says. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/output.h"
#include "daemon/pidfd.h"
#include "daemon/reaper.h"
#include "daemon/runtime.h"
#include "daemon/start.h"
#include "daemon/sweep.h"
#include "daemon/zygote.h"

static const uint64_t second = 1000000;

static struct incarnation *incarnation_new(struct zygote *z) {
    struct incarnation *i = calloc(1, sizeof *i);
    if (i == NULL)
        return NULL;
    i->d = z->d;
    i->zygote = z;
    i->id = ++z->d->last_incarnation | CGROUP_ZYGOTE;
    i->pidfd = i->sock = -1;
    i->started = daemon_now(z->d);
    TAILQ_INIT(&i->sent);
    TAILQ_INIT(&i->children);
    TAILQ_INSERT_TAIL(&z->d->incarnations, i, link);
    return i;
}

static void send_sigkill(struct incarnation *i) {
    if (i->derived != NULL)
        worker_kill(i->derived);
    else
        syscall(SYS_pidfd_send_signal, i->pidfd, SIGKILL, NULL, 0);
}

static void incarnation_free(struct incarnation *i) {
    struct worker *w;
    conversation_end(i);
    if (i->state != INCARNATION_GONE && i->pidfd >= 0)
        send_sigkill(i);
    while ((w = TAILQ_FIRST(&i->children)) != NULL) {
        TAILQ_REMOVE(&i->children, w, child_link);
        w->parent = NULL;
    }
    TAILQ_REMOVE(&i->d->incarnations, i, link);
    i->end = sd_event_source_disable_unref(i->end);
    i->deadline = sd_event_source_disable_unref(i->deadline);
    close_fd(i->pidfd);
    output_free(i->output);
    free(i->said);
    if (i->own_cgroup)
        sweep_cgroup(i->d, i->id);
    free(i);
}

void incarnation_free_all(struct daemon *d) {
    while (!TAILQ_EMPTY(&d->incarnations))
        incarnation_free(TAILQ_FIRST(&d->incarnations));
    d->audit = sd_event_source_disable_unref(d->audit);
}

/* ---- texts ---- */

static void add_output(struct incarnation *i, char text[LIMIT_TEXT], size_t n) {
    const char *tail = i->output != NULL ? output_tail(i->output) : "";
    if (tail[0] != 0)
        snprintf(text + n, LIMIT_TEXT - n, ". It printed last: %s", tail);
}

static const char *signal_text(int signo) {
    const char *name = sigabbrev_np(signo);
    return name != NULL ? name : "?";
}

/* ---- deadlines: to get ready, to fork, to leave ---- */

static int on_deadline(sd_event_source *source, uint64_t time, void *data);
static int on_audit(sd_event_source *source, uint64_t time, void *data);

/* Before there is a process: one that hangs, or forgets to tell an end, must not depend on memory that there is then. */
static int make_timers(struct incarnation *i) {
    int r = daemon_timer_new(i->d, &i->deadline, on_deadline, i);
    return r < 0 || i->d->audit != NULL ? r : daemon_timer_new(i->d, &i->d->audit, on_audit, i->d);
}

static void not_forked(struct incarnation *i, const struct fork_request *oldest) {
    char why[LIMIT_TEXT];
    if (oldest->doubted) {
        snprintf(why, sizeof why, "a child of it was killed before it could say whether it had a request");
        log_line(LOG_WARNING, LOG_KIND_ZYGOTE, NULL, "zygote %s: %s: it is replaced", i->zygote->name, why);
        i->replaced = true;
    } else {
        snprintf(why, sizeof why, "it did not fork within %d s: it hangs", ZYGOTE_FORK_SEC);
    }
    incarnation_kill(i, why);
}

static int on_deadline(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct incarnation *i = data;
    const struct fork_request *oldest = TAILQ_FIRST(&i->sent);
    uint64_t now = daemon_now(i->d);
    char why[LIMIT_TEXT];
    if (i->mute) {
        incarnation_kill(i, "it closed its socket to the server (file descriptor 3)");
    } else if (i->state == INCARNATION_STARTING) {
        int n = snprintf(why, sizeof why, "it was not warm within StartTimeoutSec= (%llu ms)",
                         (unsigned long long)(i->zygote->declaration.start_timeout / 1000));
        add_output(i, why, (size_t)n);
        incarnation_kill(i, why);
    } else if (i->state != INCARNATION_READY) {
        incarnation_kill(i, NULL);
    } else if (oldest != NULL && oldest->due <= now) {
        not_forked(i, oldest);
    } else if (oldest != NULL) {
        daemon_timer(i->d, &i->deadline, oldest->due - now, on_deadline, i);
    }
    return 0;
}

void incarnation_watch_sent(struct incarnation *i) {
    int enabled;
    if (i->state != INCARNATION_READY || (i->deadline != NULL && sd_event_source_get_enabled(i->deadline, &enabled) > 0))
        return;
    daemon_timer(i->d, &i->deadline, ZYGOTE_FORK_SEC * second, on_deadline, i);
}

/* Each is doubted once: whoever has children killed again and again gains no time by it. */
void incarnation_doubt(struct incarnation *i) {
    uint64_t now = daemon_now(i->d), due = now + ZYGOTE_DOUBT_USEC;
    struct fork_request *r;
    TAILQ_FOREACH(r, &i->sent, link) {
        if (!r->doubted && r->due > due)
            r->due = due;
        r->doubted = true;
    }
    r = TAILQ_FIRST(&i->sent);
    if (i->state == INCARNATION_READY && r != NULL)
        daemon_timer(i->d, &i->deadline, r->due > now ? r->due - now : 0, on_deadline, i);
}

/* ---- ends that nobody tells ---- */

enum { LATE = 2 };

/* A zygote that forgets to tell an end, or hangs, costs nobody the end of a worker. */
static void audit(struct worker *w) {
    int kind, value;
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    if (poll(&p, 1, 0) != 1 || ++w->late < LATE)
        return;
    int r = w->end_known ? 0 : pidfd_end(w->pidfd, &kind, &value);
    if (w->end_known) {
        worker_ended_as(w, w->end_kind, w->end_value);
    } else if (r > 0) {
        worker_ended_as(w, kind, value);
    } else if (r < 0) {
        log_line(LOG_ERR, LOG_KIND_WORKER, NULL, "the end of worker %llu cannot be known: its zygote has not told it",
                 (unsigned long long)w->id);
        worker_lost(w);
    }
}

static int on_audit(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct worker *w, *next;
    bool more = false;
    for (w = TAILQ_FIRST(&d->live); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->parent == NULL || w->parent->state == INCARNATION_GONE)
            continue;
        more = true;
        audit(w);
    }
    if (more)
        daemon_timer(d, &d->audit, ZYGOTE_AUDIT_SEC * second, on_audit, d);
    life_changed(d);
    return 0;
}

void incarnation_audit(struct daemon *d) {
    int enabled;
    if (d->audit == NULL || sd_event_source_get_enabled(d->audit, &enabled) == 0)
        daemon_timer(d, &d->audit, ZYGOTE_AUDIT_SEC * second, on_audit, d);
}

/* ---- the end ---- */

/* Its parent is gone, so it is ours: an end that was told is completed, the others will be seen by pidfd. */
static void adopt(struct worker *w) {
    int kind, value;
    w->pipe_is_ours = w->exit_pipe >= 0;
    if (!w->end_known) {
        if (reaper_watch(w) < 0)
            reaper_ask(w);
        return;
    }
    /* Told, and reaped by its parent or not: what it used is known only in the second case. */
    reaper_wait(w->pidfd, &kind, &value, &w->usage);
    worker_ended_as(w, w->end_kind, w->end_value);
}

static void adopt_children(struct incarnation *i) {
    struct worker *w, *next;
    for (w = TAILQ_FIRST(&i->children); w != NULL; w = next) {
        next = TAILQ_NEXT(w, child_link);
        adopt(w);
    }
}

/* What was sent and not forked, and now never will be: another one may try, once. */
static void give_back(struct incarnation *i, const char *why) {
    struct fork_request *r;
    char text[LIMIT_TEXT];
    while ((r = TAILQ_LAST(&i->sent, fork_request_list)) != NULL) {
        TAILQ_REMOVE(&i->sent, r, link);
        i->n_sent--;
        r->sent_to = NULL;
        TAILQ_INSERT_HEAD(&i->zygote->waiting, r, link);
        i->zygote->n_waiting++;
        r->queued = true;
        if (!r->unwanted && ++r->tries < 2)
            continue;
        snprintf(text, sizeof text, "zygote %s: %s", i->zygote->name,
                 r->unwanted   ? "the worker was told to end before it began"
                 : why != NULL ? why
                               : "it ended twice while it was to fork this worker");
        fork_fail(r, r->unwanted ? ECANCELED : EIO, text);
    }
}

/* The process is gone, and what it had to say has been heard. */
static void gone(struct incarnation *i, const char *why) {
    struct zygote *z = i->zygote;
    char text[LIMIT_TEXT];
    i->busy = true;
    i->state = INCARNATION_GONE;
    i->end = sd_event_source_disable_unref(i->end);
    i->deadline = sd_event_source_disable_unref(i->deadline);
    /* Its texts are about to go with it. */
    if (why != NULL)
        snprintf(text, sizeof text, "%s", why);
    conversation_end(i);
    give_back(i, why);
    adopt_children(i);
    /* Its spares end with it, a moment later, and are ours by then. */
    reaper_sweep_soon(i->d);
    zygote_is_gone(z, i, why != NULL && !i->replaced ? text : NULL);
    i->busy = false;
    if (i->n_children == 0)
        incarnation_free(i);
    life_changed(z->d);
}

/* In words that tell what to do. */
static void describe_end(struct incarnation *i, int kind, int value, char ret_text[LIMIT_TEXT]) {
    enum stage stage;
    int error = i->slot != NULL ? starter_failure(i->d->starter, i->slot, i->id, &stage) : 0;
    const char *when = i->state == INCARNATION_STARTING ? " before it was warm" : "";
    size_t n = 0;
    if (error != 0) {
        snprintf(ret_text, LIMIT_TEXT, "it cannot be started: %s: %s: %s", stage_name(stage), strerror(error),
                 stage == STAGE_CWD ? i->zygote->declaration.working_directory : runtime_program(&i->zygote->declaration));
        return;
    }
    if (kind == END_EXITED)
        n = (size_t)snprintf(ret_text, LIMIT_TEXT, "it ended with code %d%s", value, when);
    else
        n = (size_t)snprintf(ret_text, LIMIT_TEXT, "it was ended by SIG%s%s%s", signal_text(value), when,
                             value == SIGKILL ? " (the kernel does that when memory runs out: its log tells)" : "");
    add_output(i, ret_text, n);
}

/* Spares, and what a preload has left running. Workers have groups of their own. Its pid is its own until it is reaped. */
static void kill_rest(struct incarnation *i) {
    kill(-i->pid, SIGKILL);
    if (i->own_cgroup && i->state == INCARNATION_STARTING)
        cgroup_kill(&i->d->cgroup, i->id);
}

static int on_end(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)fd, (void)revents;
    struct incarnation *i = data;
    struct rusage usage;
    int kind, value;
    kill_rest(i);
    if (reaper_wait(i->pidfd, &kind, &value, &usage) <= 0)
        return 0;
    /* All that it and its children have said before. */
    conversation_drain(i);
    char text[LIMIT_TEXT];
    bool told = i->state == INCARNATION_LEAVING;
    if (!told && i->said == NULL)
        describe_end(i, kind, value, text);
    gone(i, i->said != NULL ? i->said : told ? NULL : text);
    return 0;
}

void incarnation_derived_ended(struct incarnation *i) {
    i->derived->derived = NULL;
    i->derived = NULL;
    /* Its spares. */
    kill(-i->pid, SIGKILL);
    conversation_drain(i);
    gone(i, NULL);
}

void incarnation_say(struct incarnation *i, const char *text) {
    char *copy = strdup(text);
    if (copy == NULL)
        return;
    free(i->said);
    i->said = copy;
}

void incarnation_leave(struct incarnation *i) {
    if (i->state == INCARNATION_LEAVING || i->state == INCARNATION_GONE)
        return;
    i->state = INCARNATION_LEAVING;
    if (i->sock >= 0)
        shutdown(i->sock, SHUT_WR);
    daemon_timer(i->d, &i->deadline, ZYGOTE_LEAVE_SEC * second, on_deadline, i);
}

/* By ending, most often, which is about to be seen and tells more. */
void incarnation_mute(struct incarnation *i) {
    i->mute = i->state == INCARNATION_STARTING || i->state == INCARNATION_READY;
    if (i->mute && daemon_timer(i->d, &i->deadline, ZYGOTE_MUTE_USEC, on_deadline, i) < 0)
        send_sigkill(i);
}

void incarnation_kill(struct incarnation *i, const char *why) {
    if (i->state == INCARNATION_GONE)
        return;
    if (why != NULL && i->said == NULL)
        incarnation_say(i, why);
    i->state = INCARNATION_LEAVING;
    conversation_drain(i);
    conversation_end(i);
    send_sigkill(i);
}

void incarnation_child_gone(struct incarnation *i, struct worker *w) {
    TAILQ_REMOVE(&i->children, w, child_link);
    i->n_children--;
    w->parent = NULL;
    if (i->state == INCARNATION_GONE && i->n_children == 0 && !i->busy)
        incarnation_free(i);
}

/* ---- the start ---- */

static int fail(char ret_text[LIMIT_TEXT], int r, const char *what) {
    snprintf(ret_text, LIMIT_TEXT, "it cannot be started: %s: %s", what, strerror(-r));
    return r;
}

/* Workers whose zygote dies become our children, so that their ends are not lost. */
static void become_subreaper(struct daemon *d) {
    if (!d->subreaper)
        d->subreaper = prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static int start_process(struct incarnation *i, const int fds[RUNTIME_FDS], char ret_text[LIMIT_TEXT]) {
    struct daemon *d = i->d;
    struct plan *plan;
    auto_fd cgroup = -1;
    const char *what;
    int r = runtime_plan(i->zygote, fds, &plan, ret_text);
    if (r < 0)
        return r;
    /* Where there are no cgroups it does without. */
    i->own_cgroup = sweep_make(d, i->id, &(struct cgroup_limits){0}, &cgroup, &what) >= 0;
    r = starter_start(d->starter, plan, i->id, cgroup, &i->pid, &i->pidfd, &i->slot);
    /* Only clone3 starts it in one, and a filter may forbid that: RestrictNamespaces= does. */
    if (i->own_cgroup && (r == -EOPNOTSUPP || r == -EPERM)) {
        sweep_cgroup(d, i->id);
        i->own_cgroup = false;
        r = starter_start(d->starter, plan, i->id, -1, &i->pid, &i->pidfd, &i->slot);
    }
    if (r < 0) {
        free(plan);
        return fail(ret_text, r, "clone");
    }
    r = sd_event_add_io(d->event, &i->end, i->pidfd, EPOLLIN, on_end, i);
    if (r >= 0)
        /* After the ends of others that have come up, and what they had to say. */
        r = sd_event_source_set_priority(i->end, SD_EVENT_PRIORITY_NORMAL + 5);
    return r < 0 ? fail(ret_text, r, "watching it") : 0;
}

static int start(struct incarnation *i, char ret_text[LIMIT_TEXT]) {
    int ends[2];
    auto_fd print = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return fail(ret_text, -errno, "socketpair");
    auto_fd theirs = ends[1];
    int r = conversation_start(i, ends[0]);
    if (r >= 0)
        r = make_timers(i);
    if (r >= 0)
        r = output_new(i->d, i->zygote->name, &i->output, &print);
    if (r < 0)
        return fail(ret_text, r, "its socket, timers and pipe");
    become_subreaper(i->d);
    const int fds[RUNTIME_FDS] = {[RUNTIME_SOCKET] = theirs, [RUNTIME_PRINT] = print};
    r = start_process(i, fds, ret_text);
    return r < 0 ? r : daemon_timer(i->d, &i->deadline, i->zygote->declaration.start_timeout, on_deadline, i);
}

int incarnation_start(struct zygote *z, struct incarnation **ret_incarnation, char ret_text[LIMIT_TEXT]) {
    struct incarnation *i = incarnation_new(z);
    if (i == NULL)
        return fail(ret_text, -ENOMEM, "memory");
    int r = start(i, ret_text);
    if (r < 0) {
        incarnation_free(i);
        return r;
    }
    z->starts++;
    z->d->counters.zygotes_started++;
    *ret_incarnation = i;
    return 0;
}

int incarnation_derive(struct worker *w, int sock) {
    struct incarnation *i = incarnation_new(w->zygote);
    if (i == NULL) {
        close_fd(sock);
        return -ENOMEM;
    }
    i->derived = w;
    i->pid = w->pid;
    i->state = INCARNATION_READY;
    int r = conversation_start(i, sock);
    if (r >= 0)
        r = make_timers(i);
    if (r < 0) {
        incarnation_free(i);
        return r;
    }
    w->derived = i;
    return 0;
}
