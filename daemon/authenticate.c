/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A peer proves that it knows the key. What it sends goes to the handshake's machine and nowhere else; whatever else it does
 * costs itself only. */
#include "daemon/authenticate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/request.h"
#include "daemon/session.h"

/* Some hundred bytes at most into an empty socket: it takes all, or the peer is gone, which the next read tells. */
static void send_now(int fd, const void *p, size_t n) {
    ssize_t r;
    do
        r = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (r < 0 && errno == EINTR);
}

/* A first request with a usual environment. */
enum { READ = 8192 };

static void send_out(struct session *s) {
    struct handshake *h = s->handshake;
    if (h->out_size == 0)
        return;
    send_now(s->fd, h->out, h->out_size);
    h->out_size = 0;
}

static void become_session(struct session *s) {
    struct daemon *d = s->d;
    TAILQ_REMOVE(&d->peers, s, link);
    d->n_peers--;
    s->state = STATE_READY;
    s->id = ++d->last_session;
    TAILQ_INSERT_TAIL(&d->sessions, s, link);
    d->n_sessions++;
    d->counters.authenticated++;
    if (s->handshake != NULL)
        handshake_done(s->handshake);
    free(s->handshake);
    s->handshake = NULL;
    life_changed(d);
    if (d->n_sessions > d->config.max_sessions) {
        d->counters.limits_hit++;
        log_line(LOG_WARNING, LOG_KIND_LIMIT, &s->peer, "a session was refused: MaxSessions=%llu is reached",
                 (unsigned long long)d->config.max_sessions);
        session_fail(s, 0, EAGAIN, "limit: MaxSessions= is reached, try again later");
    }
}

int authenticate_start(struct session *s) {
#ifdef FORKSRV_BENCH_NO_AUTH
    become_session(s);
    return 0;
#endif
    uint8_t nonce[LIMIT_NONCE];
    ssize_t n = getrandom(nonce, sizeof nonce, 0);
    if (n != sizeof nonce)
        return n < 0 ? -errno : -EIO;
    s->handshake = malloc(sizeof *s->handshake);
    if (s->handshake == NULL)
        return -ENOMEM;
    handshake_init(s->handshake, HANDSHAKE_SERVER, nonce);
    send_out(s);
    return 0;
}

void authenticate_refuse(int fd) {
    static const char failure[] = "\0\0\0\x09#FAILURE#";
    send_now(fd, failure, sizeof failure - 1);
}

void authenticate_drop(struct session *s) {
    authenticate_refuse(s->fd);
    listener_failure(s->d);
    session_free(s);
}

static void failed(struct session *s, enum handshake_result result) {
    struct daemon *d = s->d;
    d->counters.auth_failed++;
    log_line(LOG_WARNING, LOG_KIND_AUTH, &s->peer, "authentication failed: %s", handshake_result_text(result));
    send_out(s);
    listener_failure(d);
    session_free(s);
}

void authenticate_read(struct session *s) {
    uint8_t buf[READ];
    /* A stranger's fds are never received. Once it has proved itself, its first request may come with its last word. */
    struct fd_queue *fds = handshake_peer_proved(s->handshake) ? &s->fds : NULL;
    ssize_t n = fds_receive(s->fd, buf, sizeof buf, fds);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        /* Gone, early: no line for each, it is what port scanners do. */
        if (n < 0 && n != -ECONNRESET && n != -EMSGSIZE)
            log_line(LOG_ERR, LOG_KIND_RESOURCE, &s->peer, "a connection cannot be read and is closed: %s", strerror((int)-n));
        s->d->counters.auth_failed++;
        listener_failure(s->d);
        session_free(s);
        return;
    }
    size_t used;
    enum handshake_result r = handshake_feed(s->handshake, key_bytes(&s->d->key), LIMIT_AUTHKEY, buf, (size_t)n, &used);
    if (r != HANDSHAKE_MORE && r != HANDSHAKE_READY) {
        failed(s, r);
        return;
    }
    send_out(s);
    if (r == HANDSHAKE_MORE)
        return;
    become_session(s);
    session_take(s, buf + used, (size_t)n - used, (size_t)n < sizeof buf);
}
