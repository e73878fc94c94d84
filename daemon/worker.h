/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <systemd/sd-event.h>

#include "daemon/daemon.h"
#include "protocol/message.h"

/* The table of workers: those that live, and the ends of detached ones that are kept for a while. */

struct slot;
struct held;
struct fork_request;
struct handover;
struct incarnation;
struct record;
struct zygote;

enum worker_state { WORKER_LIVE, WORKER_ENDED };

/* A session that waits for a worker which it did not start. */
struct waiter {
    LIST_ENTRY(waiter) of_worker;
    LIST_ENTRY(waiter) of_session;
    struct session *session;
    uint32_t serial;
};

struct worker {
    struct daemon *d;
    struct worker *next_in_table;
    TAILQ_ENTRY(worker) link;         /* in d->live or d->ended */
    TAILQ_ENTRY(worker) session_link; /* in session->workers, if session is not NULL */
    TAILQ_ENTRY(worker) child_link;   /* in parent->children, if parent is not NULL */
    uint64_t id;
    enum worker_state state;
    uint32_t flags; /* SPAWN_* */
    uint32_t serial;
    struct session *session; /* who started it; NULL once that is gone */
    uint64_t session_id;
    LIST_HEAD(, waiter) waiters;
    pid_t pid;
    int pidfd;                    /* owned; -1 once ended */
    int report;                   /* owned: end of the pipe that closes at its exec; -1 */
    struct slot *slot;            /* borrowed from the starter; NULL */
    struct held *held;            /* owned: fds that must stay open until the child has its own; NULL */
    struct zygote *zygote;        /* where it comes from; NULL: the exec engine */
    struct fork_request *request; /* owned: it is not forked yet */
    struct incarnation *parent;   /* that forked it; NULL: none, or not yet */
    struct incarnation *derived;  /* owned: the zygote that it has become */
    struct handover *handover;    /* owned: it is on its way to the service manager; NULL */
    unsigned late;                /* looks at it that found it ended */
    bool end_known;               /* its parent has told its end, and not yet what it used */
    int exit_pipe;                /* owned: where its client reads how it has ended; -1 */
    bool pipe_is_ours;            /* nobody else is left who would write there */
    bool has_oom_score_adj;
    int oom_score_adj;
    bool told_started;
    bool own_cgroup;
    bool at_gate;
    bool unwatched;        /* see reaper_ask */
    bool adopted;          /* an earlier daemon has started it: it is nobody's child that we know */
    bool stays;            /* the daemon ends and this one does not */
    bool stored;           /* the service manager has its pidfd, too */
    struct record *record; /* in the table that outlives us; NULL */
    uint64_t grace;
    uint64_t started, wall; /* monotonic; microseconds */
    uint64_t started_at;    /* wall clock */
    sd_event_source *timer; /* owned: time limit, then grace */
    enum end_reason reason; /* set before it is told to end */
    int end_kind, end_value;
    struct rusage usage;
    uint64_t forget_at;
    char *program;   /* owned, with cwd behind it */
    const char *cwd; /* in `program`; NULL */
    char name[LIMIT_NAME + 1];
};

int worker_table_init(struct daemon *d);
void worker_table_done(struct daemon *d);

/* A worker without a process yet, in the table. The session may be NULL. */
int worker_new(struct daemon *d, struct session *s, struct worker **ret_worker);
void worker_free(struct worker *w);
/* One that an earlier daemon has started. */
int worker_restore(struct daemon *d, uint64_t id, struct worker **ret_worker);
/* It is the session's from now on, which hears of its end by that serial. */
void worker_join(struct worker *w, struct session *s, uint32_t serial);
/* A live one has ended: it is kept until then for whoever asks. */
void worker_keep(struct worker *w, uint64_t forget_at);

struct worker *worker_find(const struct daemon *d, uint64_t id);
/* -ESRCH, or -EEXIST if several live ones, or (if none lives) several ended ones have that name. */
int worker_find_name(const struct daemon *d, const char *name, struct worker **ret_worker);

/* It waits at its gate, in a place for starts that others may need; or does so no longer. */
void worker_at_gate(struct worker *w, bool is);

/* See request_may_wait. */
int worker_wait(struct worker *w, struct session *s, uint32_t serial);
/* Takes one of those who wait off its list; NULL after the last one. */
struct session *worker_next_waiter(struct worker *w, uint32_t *ret_serial);
/* The session is going: it starts nothing new, waits for nothing, and its workers end with it. */
void worker_session_gone(struct session *s);

/* SIGTERM to its process group now, SIGKILL to all of it after its grace time. The first reason counts. */
void worker_terminate(struct worker *w, enum end_reason reason);
void worker_kill(struct worker *w);
/* -ESRCH: nobody is left in it. */
int worker_kill_group(const struct worker *w, int signo);
int worker_signal(struct worker *w, int signo, uint32_t flags);
int worker_set_time_limit(struct worker *w, uint64_t usec);

/* Its program never began: tells who wants to know, and frees it. error: positive. */
void worker_failed(struct worker *w, enum stage stage, int error, const char *text);
/* Its process is gone and reaped: tells who wants to know, then keeps or frees it. */
void worker_ended(struct worker *w);
/* The kernel does not know its end any more: neither do we, and say so. */
void worker_lost(struct worker *w);
/* The same from what its parent knows of the end: END_*, and a code or signal. */
void worker_ended_as(struct worker *w, int kind, int value);
