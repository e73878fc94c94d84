/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Moves bytes and fds of a session in both directions without ever blocking in a read or write. fds travel with the first byte of
 * their frame: the queue remembers at which byte of the stream which ones go. */
#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "protocol/frame.h"

enum {
    FDS_AT_ONCE = LIMIT_FDS,
    ROUNDS = 64,       /* reads of one forksrv_process: a busy server must not keep the program from its other work */
    STUCK_USEC = 1000, /* until fds are tried again that the kernel did not take */
};

/* ---- sending ---- */

/* How many bytes can go in one sendmsg from the head on, and with which fds. */
static size_t next_part(const struct forksrv *s, int fds[FDS_AT_ONCE], unsigned *ret_n_fds) {
    *ret_n_fds = 0;
    const struct fd_batch *b = STAILQ_FIRST(&s->out_fds);
    if (b != NULL && b->offset == s->sent) {
        for (; b != NULL && *ret_n_fds + b->count <= FDS_AT_ONCE; b = STAILQ_NEXT(b, link)) {
            memcpy(fds + *ret_n_fds, b->fds, b->count * sizeof *fds);
            *ret_n_fds += b->count;
        }
    }
    return b != NULL ? (size_t)(b->offset - s->sent) : wire_buf_len(&s->out);
}

static void drop_batches(struct forksrv *s, unsigned n_fds) {
    while (n_fds > 0) {
        struct fd_batch *b = STAILQ_FIRST(&s->out_fds);
        STAILQ_REMOVE_HEAD(&s->out_fds, link);
        n_fds -= b->count;
        for (unsigned i = 0; i < b->count; i++)
            close_fd(b->fds[i]);
        free(b);
    }
}

static void consumed(struct forksrv *s, size_t n) {
    s->sent += n;
    wire_buf_consume(&s->out, n, BUFFER_KEEP);
}

/* The server has hung up on us. What it said before that, and why, is still to be read. */
static void give_up_sending(struct forksrv *s) {
    s->deaf = true;
    unsigned n = 0;
    for (struct fd_batch *b = STAILQ_FIRST(&s->out_fds); b != NULL; b = STAILQ_NEXT(b, link))
        n += b->count;
    drop_batches(s, n);
    consumed(s, wire_buf_len(&s->out));
}

/* 1: sent something; 0: would block, or there is nobody to send to. */
static int send_part(struct forksrv *s, size_t size, const int *fds, unsigned n_fds) {
    s->stuck = false;
    ssize_t n = fds_send(s->fd, wire_buf_head(&s->out), size, fds, n_fds);
    if (n > 0) {
        consumed(s, (size_t)n);
        return 1;
    }
    /* ETOOMANYREFS: more fds are on their way through this user's sockets than it may have open. */
    if (n == -ETOOMANYREFS || n == -ENOBUFS || n == -ENOMEM)
        s->stuck = true;
    else if (n == -EPIPE || n == -ECONNRESET)
        give_up_sending(s);
    else if (n != -EAGAIN)
        session_lose(s, (int)n, "cannot write to %s: %s", s->peer, error_text((int)n));
    return 0;
}

void pump_send(struct forksrv *s) {
    while (wire_buf_len(&s->out) > 0 && s->phase == PHASE_OPEN) {
        int fds[FDS_AT_ONCE];
        unsigned n_fds;
        size_t size = next_part(s, fds, &n_fds);
        if (send_part(s, size, fds, n_fds) == 0)
            break;
        drop_batches(s, n_fds);
    }
}

static int keep_fds(struct forksrv *s, uint64_t offset, const int *fds, unsigned n_fds) {
    struct fd_batch *b = malloc(sizeof *b + n_fds * sizeof *fds);
    if (b == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    *b = (struct fd_batch){.offset = offset};
    for (; b->count < n_fds; b->count++) {
        b->fds[b->count] = fcntl(fds[b->count], F_DUPFD_CLOEXEC, 3);
        if (b->fds[b->count] < 0) {
            int r = -errno;
            session_fail(s, r, "fd %d cannot be kept for the worker: %s", fds[b->count], error_text(r));
            while (b->count > 0)
                close_fd(b->fds[--b->count]);
            free(b);
            return r;
        }
    }
    STAILQ_INSERT_TAIL(&s->out_fds, b, link);
    return 0;
}

int pump_queue(struct forksrv *s, size_t size, const int *fds, unsigned n_fds) {
    if (s->deaf) {
        consumed(s, wire_buf_len(&s->out));
        return 0;
    }
    uint64_t offset = s->sent + wire_buf_len(&s->out) - size;
    if (n_fds == 0) {
        if (wire_buf_len(&s->out) >= QUEUE_FLUSH)
            pump_send(s);
        return 0;
    }
    /* fds are only lent to us until we return: what goes out at once need not be duplicated. */
    while (offset > s->sent && s->phase == PHASE_OPEN) {
        int kept[FDS_AT_ONCE];
        unsigned n_kept;
        size_t part = next_part(s, kept, &n_kept);
        if (part > offset - s->sent)
            part = (size_t)(offset - s->sent);
        if (send_part(s, part, kept, n_kept) == 0)
            break;
        drop_batches(s, n_kept);
    }
    if (s->sent == offset && !s->deaf && s->phase == PHASE_OPEN && send_part(s, size, fds, n_fds) == 1)
        return 0;
    if (s->deaf || s->phase == PHASE_LOST)
        return 0;
    int r = keep_fds(s, offset, fds, n_fds);
    if (r < 0)
        wire_buf_truncate(&s->out, s->out.end - size);
    return r;
}

/* ---- receiving ---- */

static int lost_while_reading(struct forksrv *s, ssize_t n) {
    if (n == 0 || n == -ECONNRESET)
        return session_lose(s, -ECONNRESET, "%s closed the session", s->peer);
    if (n == -EMSGSIZE)
        return session_lose(s, -EMFILE, "this program can have no more open files: fds from the server were lost");
    return session_lose(s, (int)n, "cannot read from %s: %s", s->peer, error_text((int)n));
}

/* What is still missing of a frame that began to come in, or room for many. */
static size_t wanted(const struct forksrv *s) {
    const uint8_t *payload;
    size_t whole, have = wire_buf_len(&s->in);
    if (have == 0 || frame_get(wire_buf_head(&s->in), have, LIMIT_FRAME, &payload, &whole) != 0 || whole - have < RECEIVE)
        return RECEIVE;
    return whole - have;
}

/* The server is gone. 1: another one is there in its place; or -ENOTCONN. */
static int hung_up(struct forksrv *s, ssize_t n) {
    if ((n == 0 || n == -ECONNRESET) && comeback_is_wanted(s) && comeback(s) == 0)
        return 1;
    return lost_while_reading(s, n);
}

/* One read. 1: there may be more; 0: no more now; -ENOTCONN. */
static int receive_once(struct forksrv *s) {
    size_t room = wanted(s);
    uint8_t *to = wire_buf_reserve(&s->in, room);
    if (to == NULL) {
        s->in.failed = false;
        return session_lose(s, -ENOMEM, "out of memory");
    }
    ssize_t n = fds_receive(s->fd, to, room, &s->in_fds);
    if (n == -EAGAIN)
        return 0;
    if (n <= 0)
        return hung_up(s, n);
    wire_buf_commit(&s->in, (size_t)n);
    int r = dispatch(s);
    return r < 0 ? r : 1;
}

int pump_receive(struct forksrv *s) {
    int r = 1;
    for (unsigned i = 0; i < ROUNDS && r == 1 && s->phase == PHASE_OPEN; i++)
        r = receive_once(s);
    return r < 0 ? r : 0;
}

/* ---- the handshake of forksrv_open_start ---- */

int pump_greet(struct forksrv *s) {
    if (s->phase != PHASE_GREETING)
        return 0;
    int r = greet_step(s);
    if (r == 0 && deadline_left(s->greet_until) > 0)
        return 0;
    key_used(s);
    if (r == 0) {
        greet_done(s);
        r = session_fail(s, -ETIMEDOUT, "%s did not answer in time", s->peer);
    }
    if (r < 0)
        return session_refused(s, r);
    s->phase = PHASE_OPEN;
    event_queue(s, &s->opened, FORKSRV_EVENT_OPENED, NULL);
    return 0;
}

/* ---- waiting ---- */

/* Until something can be done, or `deadline`, or that of the handshake. */
static int wait_greeting(struct forksrv *s, uint64_t deadline) {
    bool first = deadline_left(s->greet_until) < deadline_left(deadline);
    int r = deadline_poll(s->fd, greet_events(s), first ? s->greet_until : deadline);
    return r == 0 && first ? 1 : r;
}

static int wait_ready(struct forksrv *s, uint64_t deadline) {
    if (s->phase == PHASE_GREETING)
        return wait_greeting(s, deadline);
    short events = POLLIN;
    if (wire_buf_len(&s->out) > 0 && !s->stuck)
        events |= POLLOUT;
    if (s->stuck && deadline_left(deadline) > STUCK_USEC)
        deadline = deadline_after(STUCK_USEC);
    return deadline_poll(s->fd, events, deadline);
}

int pump_until(struct forksrv *s, bool (*done)(const void *), const void *arg, uint64_t deadline) {
    for (;;) {
        if (pump_greet(s) < 0)
            return done(arg) ? 0 : -ENOTCONN;
        pump_send(s);
        if (done(arg))
            return 0;
        if (s->phase == PHASE_LOST)
            return -ENOTCONN;
        bool stuck = s->stuck;
        int r = wait_ready(s, deadline);
        if (r == 0 && !(stuck && deadline_left(deadline) > 0))
            return session_fail(s, -ETIMEDOUT, "%s did not answer in time", s->peer);
        if (r < 0)
            return session_lose(s, r, "poll: %s", error_text(r));
        /* One read: what is wanted may be in it, and another one would most often find nothing. */
        if (r > 0 && s->phase == PHASE_OPEN)
            receive_once(s);
        if (done(arg))
            return 0;
    }
}

static bool has_room(const void *arg) {
    const struct forksrv *s = arg;
    return wire_buf_len(&s->out) < QUEUE_MAX;
}

int pump_room(struct forksrv *s, uint64_t deadline) {
    return has_room(s) ? 0 : pump_until(s, has_room, s, deadline);
}
