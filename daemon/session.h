/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "common/fds.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "protocol/handshake.h"
#include "protocol/message.h"

/* A connection: first a peer that has to prove itself, then a session. */

struct record;

struct out_fd {
    size_t offset; /* in `out`, from its head: where the frame starts that it belongs to */
    int fd;
    bool owned; /* else the worker's, which lends it until it ends */
};

struct session {
    struct daemon *d;
    TAILQ_ENTRY(session) link; /* in peers or sessions */
    TAILQ_ENTRY(session) busy_link, dirty_link;
    bool busy, dirty;
    enum session_state state;
    uint64_t id;
    int fd; /* owned */
    struct log_peer peer;
    sd_event_source *io; /* owned */
    uint32_t polled;
    uint64_t deadline;
    struct handshake *handshake; /* owned; NULL once authenticated */
    struct wire_buf in, out;
    struct fd_queue fds;    /* received, not claimed by a message yet */
    struct out_fd *out_fds; /* owned */
    unsigned n_out_fds, size_out_fds;
    struct worker_list workers;  /* that it started */
    unsigned n_workers;          /* live ones of these */
    LIST_HEAD(, waiter) waiters; /* owned: for workers of others */
    unsigned n_gated;            /* see worker_at_gate */
    unsigned n_waiters;
    struct load load;      /* what its requests hold that wait */
    unsigned n_waiting;    /* of these: for a slot */
    uint32_t watch_serial; /* 0: does not watch */
    uint64_t watch_lost;
    struct record **told; /* owned: of workers whose ends are in `out` */
    unsigned n_told, size_told;
    bool ending;             /* closed once `out` is sent, or at the latest by `linger` */
    bool lost;               /* closed with this turn of the loop, whatever is sent */
    sd_event_source *linger; /* owned */
};

/* Takes the fd over; the peer is not authenticated. */
int session_new(struct daemon *d, int fd, const struct log_peer *peer, struct session **ret_session);
/* Ends it at once: its workers of lifetime `session` are told to end. */
void session_free(struct session *s);

/* Bytes that were read for it elsewhere, with the last word of its handshake. drained: the socket had no more. */
void session_take(struct session *s, const uint8_t *p, size_t n, bool drained);

/* It starts nothing more, its workers of lifetime `session` are told to end, and it is closed once its answers are sent. */
void session_end(struct session *s);
/* There is no memory for an answer, or to watch it: its peer must not wait for ever. Whoever calls this may still be at work with
 * its workers and requests: so they are left alone until the end of this turn. */
void session_lose(struct session *s, int error);
/* Queues ERROR for serial and has the session end once that is sent. */
void session_fail(struct session *s, uint32_t serial, int error, const char *text);

/* After something was appended to s->out: it is sent in this turn of the loop, together with what else comes up. */
void session_dirty(struct session *s);
/* The fd belongs to the frame that starts at `offset` of s->out. */
int session_attach_fd(struct session *s, size_t offset, int fd, bool owned);
/* Takes the last one back, if its frame did not come to be. */
void session_detach_fd(struct session *s);
/* The worker that lent the fd closes it: the queue takes it over if it still needs it. Returns whether it did. */
bool session_takes_fd(struct session *s, int fd);

int session_sources(struct daemon *d);
/* Tries to send all that waits. Returns how many sessions still have something. */
unsigned session_flush_all(struct daemon *d);
