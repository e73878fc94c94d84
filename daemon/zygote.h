/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/daemon.h"
#include "daemon/declaration.h"
#include "daemon/session.h"
#include "daemon/worker.h"

/* Zygotes: declared by name (struct zygote), run as processes (struct incarnation), and asked to fork (struct fork_request).
 *
 * A request waits in its zygote until an incarnation is ready, is then sent to it, and becomes a worker once the child has said
 * FORKED. A child runs nothing of its work before it has said so: so whoever closes the socket knows that nothing more will
 * start. */

struct plan;
struct output;

/* ---- one request ---- */

struct fork_request {
    TAILQ_ENTRY(fork_request) link; /* in zygote->waiting or incarnation->sent */
    struct worker *worker;
    struct incarnation *sent_to; /* NULL: it waits */
    uint64_t due;                /* once sent: when it must have been forked */
    unsigned tries;
    bool queued;      /* in zygote->waiting */
    bool doubted;     /* a child was killed that may have had it */
    bool unwanted;    /* to be ended as soon as it is there */
    uint8_t *message; /* owned: FORK, without a frame */
    size_t size;
    struct load load; /* what it holds, the fds and the message */
    int channel;      /* owned: our end of a derived zygote's socket; -1 */
    unsigned n_fds;
    int fds[]; /* owned */
};
TAILQ_HEAD(fork_request_list, fork_request);

/* ---- one process ---- */

enum incarnation_state {
    INCARNATION_STARTING,
    INCARNATION_READY,
    INCARNATION_LEAVING, /* told to end, or hung */
    INCARNATION_GONE,    /* the process is; its workers may live on */
};

struct incarnation {
    TAILQ_ENTRY(incarnation) link; /* in d->incarnations */
    struct daemon *d;
    struct zygote *zygote;
    struct worker *derived; /* the worker that it is; NULL: a child of ours */
    uint64_t id;            /* also its cgroup's, with CGROUP_ZYGOTE */
    enum incarnation_state state;
    bool own_cgroup;
    bool mute;     /* it closed its socket */
    bool replaced; /* it ends through no fault of its own: the next one is started at once */
    bool busy;     /* somebody up the stack still needs it */
    char software[LIMIT_NAME + 1];
    char *said; /* owned: why it is about to end, in its own words or ours; NULL */
    pid_t pid;
    int pidfd; /* owned; -1 for a derived one */
    int sock;  /* owned by `io`; -1 */
    struct slot *slot;
    sd_event_source *io, *end, *exec, *deadline;
    struct output *output; /* owned: what it prints */
    uint64_t started, forks;
    /* Spares: how many waited when it said so last, how many it had seen taken by then, and how many have been. */
    unsigned spares_said;
    uint64_t taken_said, taken;
    struct fork_request_list sent; /* oldest first */
    unsigned n_sent;
    struct worker_list children; /* live workers that it forked; newest first */
    unsigned n_children;
};

/* ---- one that is declared ---- */

/* A session that waits for WARM, STOP or RELOAD. */
struct asker {
    TAILQ_ENTRY(asker) link; /* in zygote->askers */
    struct session *session;
    uint32_t serial;
    enum zygote_action action;
    uint64_t last; /* the newest incarnation that there was */
};
TAILQ_HEAD(asker_list, asker);

struct zygote {
    TAILQ_ENTRY(zygote) link; /* in d->zygotes, by name */
    struct daemon *d;
    char name[LIMIT_ZYGOTE + 1];
    struct declaration declaration;
    bool declared;                      /* false: its file is gone */
    bool stopped;                       /* as it was told: it does not come back because of Warm= */
    struct incarnation *current, *next; /* next: a reload warms it */
    struct fork_request_list waiting;
    unsigned n_waiting, n_workers; /* n_workers: all that live or wait */
    struct asker_list askers;
    sd_event_source *idle, *again;
    unsigned crashes;    /* in a row */
    uint64_t not_before; /* the next start */
    uint64_t starts, forks, preload, warm_since;
    char *trouble; /* owned: the last failure or warning, or NULL */
};

/* ---- zygotes.c: the table ---- */

void zygotes_init(struct daemon *d);
void zygotes_done(struct daemon *d);
/* Reads all declarations, again too. Running ones keep what they were started with; those without a file end. Returns the number
 * of wrong lines. */
unsigned zygotes_read(struct daemon *d);
/* How many processes there are, derived ones left out, that have not ended. */
unsigned zygotes_running(const struct daemon *d);
/* Whether that is the pid of one of these, or of a worker. */
bool zygotes_know(const struct daemon *d, pid_t pid);

enum { ZYGOTE_WHAT = 1024 };
/* Its file is read now if it is not known yet. -ENOENT, -EINVAL: there is none, and ret_what says where it was looked for.
 * -ENOMEM, -EIO: there may be one. */
int zygote_find(struct daemon *d, const char *name, struct zygote **ret_zygote, char ret_what[ZYGOTE_WHAT]);
/* Reads its file again. */
unsigned zygote_read(struct zygote *z);

/* ---- zygote.c: when one runs ---- */

/* Starts those that are to be warm always. */
void zygotes_warm(struct daemon *d);
/* The instance stops: no new forks, all incarnations end. */
void zygotes_stop(struct daemon *d);
/* For a new one. */
int zygote_timers(struct zygote *z);
/* Its declaration may be another one, or gone. */
void zygote_was_read(struct zygote *z);
void zygote_forget_askers(struct zygote *z);
/* Queues a request, and starts the zygote at need. It may fail at once, and with it its worker. */
void zygote_request(struct zygote *z, struct fork_request *r);
/* Sends what waits, if it can be sent. */
void zygote_pump(struct zygote *z);
/* Something of it ended: it may be idle now. */
void zygote_check_idle(struct zygote *z);
/* ZYGOTE from a session. */
int zygote_ask(struct session *s, const struct message *m);
void zygote_session_gone(struct session *s);
/* From incarnation.c: READY, and the end with the reason in words (NULL: it was told to). */
void zygote_is_ready(struct zygote *z, struct incarnation *i, const char *warning);
void zygote_is_gone(struct zygote *z, struct incarnation *i, const char *why);

/* ---- incarnation.c: a process, from its start to its last worker's end ---- */

int incarnation_start(struct zygote *z, struct incarnation **ret_incarnation, char ret_text[LIMIT_TEXT]);
/* For a worker that became one. sock: taken over. */
int incarnation_derive(struct worker *w, int sock);
/* Its socket is closed for it: it forks nothing more and ends; its workers live on. */
void incarnation_leave(struct incarnation *i);
/* There is a worker whose end a zygote has to tell. */
void incarnation_audit(struct daemon *d);
/* Sets why it will have ended, for people. */
void incarnation_say(struct incarnation *i, const char *text);
/* After something was sent: it has a time limit for forking it. */
void incarnation_watch_sent(struct incarnation *i);
/* A child of it was killed, perhaps with a request that it had read and not answered. */
void incarnation_doubt(struct incarnation *i);
/* It has closed its socket. */
void incarnation_mute(struct incarnation *i);
/* At once: SIGKILL. why: for people; NULL: it was told to leave. */
void incarnation_kill(struct incarnation *i, const char *why);
/* A derived one's worker ended. */
void incarnation_derived_ended(struct incarnation *i);
/* A live worker of it ended or is freed. */
void incarnation_child_gone(struct incarnation *i, struct worker *w);
void incarnation_free_all(struct daemon *d);

/* ---- conversation.c: what is said on the socket ---- */

/* 0: sent; -EAGAIN: there is no room now; or why it cannot be sent. */
int conversation_send(struct incarnation *i, struct fork_request *r);
int conversation_start(struct incarnation *i, int sock);
/* All that has come in. */
void conversation_drain(struct incarnation *i);
/* Nothing more comes or goes; a child that has not said FORKED cannot say it any more. */
void conversation_end(struct incarnation *i);

/* How many spares wait, as far as is known. */
unsigned conversation_spares(const struct incarnation *i);

/* ---- fork.c: requests ---- */

/* SPAWN with a zygote. As launch_try. */
bool fork_launch(struct session *s, const struct message *m, int *fds, unsigned n_fds, struct refusal *ret_refusal);
/* A fork request of CPython's own client: nothing but fds, at least 2. Takes them over. */
int fork_launch_stock(struct session *s, int *fds, unsigned n_fds, char ret_text[LIMIT_TEXT]);
/* Nothing was started for it: tells so, and frees it with its worker. */
void fork_fail(struct fork_request *r, int error, const char *text);
/* The same at a stage of the child's. */
void fork_fail_at(struct fork_request *r, enum stage stage, int error, const char *text);
void fork_request_free(struct fork_request *r);
/* The worker is to end, for reason w->reason, before it began. */
void fork_cancel(struct fork_request *r);
/* A worker that a derived zygote has forked by itself: one without a process yet. NULL: there may be no more. */
struct worker *fork_born(struct incarnation *i, const struct message *m);

/* ---- census.c ---- */

/* The answer to ZYGOTE_LIST: of one, or of all. */
void census_report(struct session *s, uint32_t serial, struct zygote *one);
