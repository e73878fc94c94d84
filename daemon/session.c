/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection's bytes: in, whole frames to whoever handles them; out, batched, with fds on the right byte. It bounds what a peer
 * can make us keep, and knows no message. */
#include "daemon/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/authenticate.h"
#include "daemon/keep.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/report.h"
#include "daemon/request.h"
#include "daemon/slots.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"
#include "protocol/frame.h"

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data);

int session_new(struct daemon *d, int fd, const struct log_peer *peer, struct session **ret_session) {
    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        close_fd(fd);
        return -ENOMEM;
    }
    s->d = d;
    s->fd = fd;
    s->peer = *peer;
    s->state = STATE_UNAUTHENTICATED;
    s->polled = EPOLLIN;
    wire_buf_init(&s->in, FRAME_HEADER + LIMIT_FRAME + SESSION_READ);
    wire_buf_init(&s->out, SESSION_OUT_MAX);
    fd_queue_init(&s->fds);
    TAILQ_INIT(&s->workers);
    LIST_INIT(&s->waiters);
    TAILQ_INSERT_TAIL(&d->peers, s, link);
    d->n_peers++;
    int r = sd_event_add_io(d->event, &s->io, fd, EPOLLIN, on_io, s);
    if (r < 0) {
        session_free(s);
        return r;
    }
    *ret_session = s;
    return 0;
}

static void leave_lists(struct session *s) {
    struct daemon *d = s->d;
    if (s->state == STATE_UNAUTHENTICATED) {
        TAILQ_REMOVE(&d->peers, s, link);
        d->n_peers--;
    } else {
        TAILQ_REMOVE(&d->sessions, s, link);
        d->n_sessions--;
    }
    if (s->busy)
        TAILQ_REMOVE(&d->busy, s, busy_link);
    if (s->dirty)
        TAILQ_REMOVE(&d->dirty, s, dirty_link);
    if (s->watch_serial != 0)
        d->n_watching--;
}

void session_free(struct session *s) {
    struct daemon *d = s->d;
    leave_lists(s);
    slots_session_gone(s);
    zygote_session_gone(s);
    worker_session_gone(s);
    sd_event_source_disable_unref(s->io);
    sd_event_source_disable_unref(s->linger);
    if (s->handshake != NULL)
        handshake_done(s->handshake);
    free(s->handshake);
    for (unsigned i = 0; i < s->n_out_fds; i++)
        if (s->out_fds[i].owned)
            close_fd(s->out_fds[i].fd);
    free(s->out_fds);
    keep_told(s);
    free(s->told);
    fd_queue_done(&s->fds);
    wire_buf_done(&s->in);
    wire_buf_done(&s->out);
    /* A child that has not exec'd yet has this fd, too: closing alone would not tell the peer. */
    shutdown(s->fd, SHUT_RDWR);
    close_fd(s->fd);
    free(s);
    life_changed(d);
}

/* ---- out ---- */

/* Whether it takes its answers, so that it may ask for more. */
static bool has_room(const struct session *s, size_t most) {
    return wire_buf_len(&s->out) < most && s->n_out_fds < SESSION_OUT_FDS;
}

static void poll_for(struct session *s) {
    bool in = has_room(s, s->polled & EPOLLIN ? SESSION_OUT_HIGH : SESSION_OUT_LOW) && !s->busy && !s->ending;
    uint32_t wanted = (in ? EPOLLIN : 0) | (wire_buf_len(&s->out) > 0 && !s->dirty ? EPOLLOUT : 0);
    if (wanted == s->polled)
        return;
    int r = sd_event_source_set_io_events(s->io, wanted);
    if (r < 0)
        session_lose(s, r);
    else
        s->polled = wanted;
}

void session_dirty(struct session *s) {
    struct daemon *d = s->d;
    if (s->dirty)
        return;
    s->dirty = true;
    TAILQ_INSERT_TAIL(&d->dirty, s, dirty_link);
    sd_event_source_set_enabled(d->flush, SD_EVENT_ONESHOT);
}

int session_attach_fd(struct session *s, size_t offset, int fd, bool owned) {
    if (s->n_out_fds == s->size_out_fds) {
        unsigned size = s->size_out_fds != 0 ? s->size_out_fds * 2 : 8;
        struct out_fd *more = reallocarray(s->out_fds, size, sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        s->out_fds = more;
        s->size_out_fds = size;
    }
    s->out_fds[s->n_out_fds++] = (struct out_fd){offset, fd, owned};
    return 0;
}

void session_detach_fd(struct session *s) {
    const struct out_fd *last = &s->out_fds[--s->n_out_fds];
    if (last->owned)
        close_fd(last->fd);
}

bool session_takes_fd(struct session *s, int fd) {
    for (unsigned i = 0; i < s->n_out_fds; i++) {
        if (s->out_fds[i].fd != fd)
            continue;
        s->out_fds[i].owned = true;
        return true;
    }
    return false;
}

/* How much can go in one sendmsg, and with how many fds. fds travel with the first byte, so a frame that has one starts a chunk;
 * more frames, with fds or without, follow as long as the kernel takes it all or nothing. Their receiver takes fds in order. */
static size_t chunk(const struct session *s, unsigned *ret_fds) {
    size_t all = wire_buf_len(&s->out);
    *ret_fds = 0;
    if (s->n_out_fds == 0)
        return all;
    if (s->out_fds[0].offset > 0)
        return s->out_fds[0].offset;
    size_t end = all < SESSION_FD_CHUNK ? all : SESSION_FD_CHUNK;
    unsigned n = 0;
    while (n < s->n_out_fds && n < LIMIT_FDS && s->out_fds[n].offset < end)
        n++;
    *ret_fds = n;
    if (n < s->n_out_fds && s->out_fds[n].offset < end)
        return s->out_fds[n].offset;
    if (all <= SESSION_FD_CHUNK)
        return all;
    /* It may cut a frame, but not one that has fds: those start below `end` and all frames with fds are small. */
    return n < s->n_out_fds ? s->out_fds[n].offset : all;
}

static void sent(struct session *s, size_t n, unsigned n_fds) {
    for (unsigned i = 0; i < n_fds; i++)
        if (s->out_fds[i].owned)
            close_fd(s->out_fds[i].fd);
    s->n_out_fds -= n_fds;
    if (n_fds > 0)
        memmove(s->out_fds, s->out_fds + n_fds, s->n_out_fds * sizeof *s->out_fds);
    for (unsigned i = 0; i < s->n_out_fds; i++)
        s->out_fds[i].offset -= n;
    wire_buf_consume(&s->out, n, SESSION_KEEP);
}

/* Too many fds of this user are in flight (on sockets that somebody does not read): the answers go without theirs. */
static void strip_fds(struct session *s) {
    for (unsigned i = 0; i < s->n_out_fds; i++) {
        s->out.data[s->out.start + s->out_fds[i].offset + FRAME_HEADER + 3] = 0;
        if (s->out_fds[i].owned)
            close_fd(s->out_fds[i].fd);
    }
    s->n_out_fds = 0;
}

/* Its workers leave it, and from then on their pidfds are closed without asking. A number that stayed here would soon be that of
 * something else, and be sent. */
static void own_lent_fds(struct session *s) {
    for (unsigned i = 0; i < s->n_out_fds; i++) {
        struct out_fd *lent = &s->out_fds[i];
        if (lent->owned)
            continue;
        int fd = fcntl(lent->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            strip_fds(s);
            return;
        }
        *lent = (struct out_fd){lent->offset, fd, true};
    }
}

/* -EAGAIN: the rest waits for the peer. Another error: the peer is gone. */
static int send_all(struct session *s) {
    while (wire_buf_len(&s->out) > 0) {
        int fds[LIMIT_FDS];
        unsigned n_fds;
        size_t size = chunk(s, &n_fds);
        for (unsigned i = 0; i < n_fds; i++)
            fds[i] = s->out_fds[i].fd;
        ssize_t n = fds_send(s->fd, wire_buf_head(&s->out), size, fds, n_fds);
        if (n == -ETOOMANYREFS && n_fds > 0) {
            strip_fds(s);
            continue;
        }
        if (n < 0)
            return (int)n;
        sent(s, (size_t)n, n_fds);
    }
    return 0;
}

static void set_busy(struct session *s, bool busy) {
    struct daemon *d = s->d;
    if (s->busy == busy)
        return;
    s->busy = busy;
    if (busy)
        TAILQ_INSERT_TAIL(&d->busy, s, busy_link);
    else
        TAILQ_REMOVE(&d->busy, s, busy_link);
    if (!TAILQ_EMPTY(&d->busy))
        sd_event_source_set_enabled(d->turn, SD_EVENT_ONESHOT);
}

static void flush(struct session *s) {
    int r = send_all(s);
    if (r == 0)
        keep_told(s);
    if (r < 0 && r != -EAGAIN && r != -EPIPE && r != -ECONNRESET)
        log_line(LOG_ERR, LOG_KIND_RESOURCE, &s->peer, "a session is ended: answers cannot be sent: %s", strerror(-r));
    if ((r < 0 && r != -EAGAIN) || (r == 0 && s->ending) || s->lost) {
        session_free(s);
        return;
    }
    /* Requests that waited for the peer to take its answers. */
    if (!s->ending && has_room(s, SESSION_OUT_LOW) && wire_buf_len(&s->in) >= FRAME_HEADER)
        set_busy(s, true);
    poll_for(s);
}

unsigned session_flush_all(struct daemon *d) {
    struct session *s;
    unsigned waiting = 0;
    d->unflushed = 0;
    while ((s = TAILQ_FIRST(&d->dirty)) != NULL) {
        TAILQ_REMOVE(&d->dirty, s, dirty_link);
        s->dirty = false;
        flush(s);
    }
    TAILQ_FOREACH(s, &d->sessions, link)
    if (d->stopping)
        waiting += wire_buf_len(&s->out) > 0;
    return waiting;
}

static int on_flush(sd_event_source *source, void *data) {
    (void)source;
    session_flush_all(data);
    return 0;
}

/* ---- the end ---- */

static int on_linger(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    session_free(data);
    return 0;
}

void session_end(struct session *s) {
    if (s->ending)
        return;
    s->ending = true;
    own_lent_fds(s);
    slots_session_gone(s);
    zygote_session_gone(s);
    worker_session_gone(s);
    session_dirty(s);
    /* For a peer that does not read. */
    int r = daemon_timer(s->d, &s->linger, SESSION_LINGER_SEC * UINT64_C(1000000), on_linger, s);
    if (r < 0)
        session_lose(s, r);
}

void session_lose(struct session *s, int error) {
    if (!s->lost)
        log_line(LOG_ERR, LOG_KIND_RESOURCE, &s->peer, "a session is ended: %s", strerror(-error));
    s->ending = s->lost = true;
    session_dirty(s);
}

void session_fail(struct session *s, uint32_t serial, int error, const char *text) {
    report_error(s, serial, error, text);
    session_end(s);
}

/* ---- in ---- */

/* Whole frames that are here already, some at a time, as long as the peer takes its answers. Returns whether there may be more.
 */
static int handle_frames(struct session *s) {
    for (unsigned i = 0; i < SESSION_BATCH && !s->ending && has_room(s, SESSION_OUT_HIGH); i++) {
        const uint8_t *payload;
        size_t size;
        int r = frame_get(wire_buf_head(&s->in), wire_buf_len(&s->in), LIMIT_FRAME, &payload, &size);
        /* The length of a frame begins with 0. */
        if (wire_buf_len(&s->in) > 0 && wire_buf_head(&s->in)[0] != 0) {
            r = request_handle_stock(s, wire_buf_head(&s->in)[0]);
            size = 1;
        } else if (r > 0)
            r = request_handle(s, payload, size - FRAME_HEADER);
        else if (r == 0)
            return 0;
        if (r < 0) {
            request_protocol_error(s, r);
            return 0;
        }
        wire_buf_consume(&s->in, size, SESSION_KEEP);
    }
    return !s->ending && wire_buf_len(&s->in) >= FRAME_HEADER && has_room(s, SESSION_OUT_HIGH);
}

/* Answers wait for nothing else to do, but not for long: what `work` dispatches have done counts. */
static void flush_in_time(struct daemon *d, unsigned work) {
    if (TAILQ_EMPTY(&d->dirty))
        return;
    d->unflushed += work;
    if (d->unflushed >= FLUSH_AFTER)
        session_flush_all(d);
}

/* One batch of one session that has more than one; then the next one's turn comes. A peer that does not read has no turn. */
static int on_turn(sd_event_source *source, void *data) {
    (void)source;
    struct daemon *d = data;
    struct session *s = TAILQ_FIRST(&d->busy);
    if (s == NULL)
        return 0;
    set_busy(s, false);
    if (handle_frames(s))
        set_busy(s, true);
    poll_for(s);
    flush_in_time(d, SESSION_BATCH);
    return 0;
}

static void take_bytes(struct session *s, size_t n, bool drained) {
    wire_buf_commit(&s->in, n);
    if (handle_frames(s)) {
        set_busy(s, true);
    } else if (drained && wire_buf_len(&s->in) == 0 && s->fds.count > 0 && !s->ending) {
        request_protocol_error(s, -EBADMSG);
    }
    poll_for(s);
}

void session_take(struct session *s, const uint8_t *p, size_t n, bool drained) {
    uint8_t *to = wire_buf_reserve(&s->in, n);
    if (to == NULL) {
        session_lose(s, -ENOMEM);
        return;
    }
    memcpy(to, p, n);
    take_bytes(s, n, drained);
}

static void read_session(struct session *s) {
    uint8_t *to = wire_buf_reserve(&s->in, SESSION_READ);
    if (to == NULL) {
        session_lose(s, -ENOMEM);
        return;
    }
    size_t room = s->in.size - s->in.end;
    ssize_t n = fds_receive(s->fd, to, room, &s->fds);
    if (n == -EAGAIN)
        return;
    if (n == -EMSGSIZE)
        request_protocol_error(s, -EMSGSIZE);
    else if (n < 0 && n != -ECONNRESET)
        session_lose(s, (int)n);
    else if (n <= 0)
        session_free(s);
    else
        take_bytes(s, (size_t)n, (size_t)n < room);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)fd;
    struct session *s = data;
    struct daemon *d = s->d;
    if (s->state == STATE_UNAUTHENTICATED) {
        authenticate_read(s);
    } else if (revents & EPOLLOUT) {
        flush(s);
    } else if (revents & EPOLLIN) {
        read_session(s);
    } else {
        session_free(s);
    }
    flush_in_time(d, 1);
    return 0;
}

int session_sources(struct daemon *d) {
    TAILQ_INIT(&d->peers);
    TAILQ_INIT(&d->sessions);
    TAILQ_INIT(&d->busy);
    TAILQ_INIT(&d->dirty);
    TAILQ_INIT(&d->waiting);
    int r = sd_event_add_defer(d->event, &d->turn, on_turn, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->turn, SD_EVENT_OFF);
    if (r >= 0)
        r = sd_event_add_defer(d->event, &d->flush, on_flush, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->flush, SD_EVENT_OFF);
    /* After all else that is ready now: what comes up together is sent together. */
    if (r >= 0)
        r = sd_event_source_set_priority(d->flush, SD_EVENT_PRIORITY_NORMAL + 10);
    return r;
}
