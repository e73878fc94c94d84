/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/admit.h"
#include "daemon/bucket.h"
#include "daemon/cgroup.h"
#include "daemon/config.h"
#include "daemon/key.h"
#include "daemon/limits.h"

/* The whole state of one instance. Single-threaded: everything hangs on one sd-event loop. */

struct session;
struct worker;
struct crowd;
struct launch;
struct starter;
struct swept;
struct zygote;
struct incarnation;
struct waiting;
struct table;
struct depot;

TAILQ_HEAD(session_list, session);
TAILQ_HEAD(worker_list, worker);
TAILQ_HEAD(zygote_list, zygote);
TAILQ_HEAD(incarnation_list, incarnation);
TAILQ_HEAD(waiting_list, waiting);

enum { LISTENERS_MAX = 8 };

struct counters {
    uint64_t accepted, refused, auth_failed, timed_out, dropped, authenticated;
    uint64_t started, failed, ended;
    uint64_t protocol_errors, limits_hit;
    uint64_t zygotes_started, forks;
};

struct daemon {
    sd_event *event; /* owned */
    struct config config;
    struct key key;
    struct cgroup cgroup;
    struct counters counters;
    uid_t uid;
    bool session_flavour; /* reads ~/.config too */
    bool private_instance;
    bool stopping;
    uint64_t started_at; /* monotonic */

    /* listener.c */
    sd_event_source *listeners[LISTENERS_MAX]; /* owned; each owns its fd */
    unsigned n_listeners;
    struct session_list peers; /* not authenticated yet, oldest first */
    unsigned n_peers;
    sd_event_source *deadline; /* of the oldest peer */
    sd_event_source *pause;    /* the listeners wait for failure tokens */
    struct bucket failures;    /* FAILURE_BURST, FAILURE_RATE */

    /* session.c */
    struct session_list sessions;
    unsigned n_sessions, n_watching;
    uint64_t last_session;
    struct session_list busy;  /* have whole requests waiting for their turn */
    struct session_list dirty; /* have answers to send */
    sd_event_source *turn, *flush;
    unsigned unflushed; /* dispatches since the first answer that waits */

    /* admit.c */
    struct bucket starts; /* MaxStartsPerSec= */
    struct load load;     /* what all requests hold that wait */

    /* slots.c */
    struct waiting_list waiting; /* for a slot, oldest first */
    unsigned n_waiting;
    sd_event_source *serve, *serve_later;
    uint64_t serve_at;           /* what serve_later is set to; 0: it is not */
    bool slots_stale;            /* something has changed since they were tried */
    unsigned slots_scanned;      /* that the last look left there, if it started none */
    struct waiting *served_next; /* while they are tried; NULL */

    /* worker.c */
    struct worker **table; /* owned; hash by id */
    size_t table_size;
    uint64_t last_worker;
    unsigned n_workers;             /* live ones */
    struct worker_list live, ended; /* ended: detached ones whose end is kept, oldest first */
    unsigned n_ended;
    unsigned n_gated;        /* wait at their gates */
    sd_event_source *forget; /* of the oldest kept end */

    /* keep.c, adopt.c */
    struct table *records; /* owned: the table that outlives us; NULL: there is none */
    struct depot *depot;   /* owned */
    sd_event_source *store, *returning;
    bool restarting; /* the next daemon takes over what is detached */
    unsigned n_staying;

    /* sweep.c */
    struct swept *swept, *reserved; /* owned; reserved: one for each cgroup that there is */
    sd_event_source *sweep;

    /* start.c, reaper.c */
    struct starter *starter; /* owned */
    int ends;                /* owned: epoll of pidfds and report pipes */
    sd_event_source *reaper, *ask;

    struct launch *launch; /* owned: what every start needs from us */

    /* handover.c */
    pid_t manager; /* our parent, if it is systemd; 0 */
    unsigned n_handovers;
    pid_t middles[HANDOVER_MIDDLES]; /* the last ones that were ended for it */
    unsigned next_middle;

    struct crowd *crowd; /* owned: see crowd.h */

    /* zygote.c, incarnation.c */
    struct zygote_list zygotes;
    struct incarnation_list incarnations; /* also those that are gone, while a worker of theirs lives */
    uint64_t last_incarnation;
    sd_event_source *orphans; /* looks for orphans once more */
    sd_event_source *audit;   /* of workers whose ends zygotes have to tell */
    bool subreaper;           /* since the first zygote */
    uint64_t orphans_at;      /* when orphans were last looked for */

    /* life.c */
    sd_event_source *signals[3], *lifeline;
    sd_event_source *status, *idle, *leave, *last;
    bool idle_armed;
    uint64_t told; /* what STATUS= said last, as a checksum of its numbers */
};

/* Now, on the monotonic clock, as this turn of the loop sees it. */
uint64_t daemon_now(const struct daemon *d);

/* A one-shot timer in usec from now: made on first use, armed again later. */
int daemon_timer(struct daemon *d, sd_event_source **source, uint64_t usec, sd_event_time_handler_t handler, void *data);
/* Makes one that is armed later: what the daemon itself must not miss is made at its start, and cannot fail then. */
int daemon_timer_new(struct daemon *d, sd_event_source **source, sd_event_time_handler_t handler, void *data);
