/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accepting connections, and who may have one: the peer's uid, a cap on those that have not proved themselves, a deadline for
 * doing so. The newest have a place: where the cap is reached the oldest silent one goes, so that nobody can block the door by
 * sitting in it. */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/authenticate.h"
#include "daemon/limits.h"
#include "daemon/session.h"

static int set_listening(struct daemon *d, bool on) {
    int r = 0;
    for (unsigned i = 0; i < d->n_listeners; i++) {
        int e = sd_event_source_set_enabled(d->listeners[i], on ? SD_EVENT_ON : SD_EVENT_OFF);
        r = e < 0 ? e : r;
    }
    return r;
}

/* ---- failures cost tokens; without any, the listener rests for a moment ---- */

void listener_failure(struct daemon *d) {
    if (!bucket_take(&d->failures, FAILURE_BURST))
        bucket_empty(&d->failures, FAILURE_BURST);
}

uint64_t listener_failures_left(struct daemon *d) {
    bucket_refill(&d->failures, daemon_now(d), FAILURE_RATE);
    return bucket_left(&d->failures, FAILURE_BURST);
}

static int on_pause_over(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    /* epoll has to take it in again, for which there may be no memory. */
    if (!d->stopping && set_listening(d, true) < 0)
        daemon_timer(d, &d->pause, FAILURE_PAUSE_USEC, on_pause_over, d);
    return 0;
}

static bool may_accept(struct daemon *d) {
    if (listener_failures_left(d) > 0)
        return true;
    if (daemon_timer(d, &d->pause, FAILURE_PAUSE_USEC, on_pause_over, d) >= 0)
        set_listening(d, false);
    return false;
}

/* ---- peers ---- */

static void set_deadline(struct daemon *d);

static int on_deadline(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct session *s;
    while ((s = TAILQ_FIRST(&d->peers)) != NULL && s->deadline <= daemon_now(d)) {
        d->counters.timed_out++;
        log_line(LOG_WARNING, LOG_KIND_TIMEOUT, &s->peer, "a connection did not authenticate in time");
        authenticate_drop(s);
    }
    set_deadline(d);
    return 0;
}

/* For the oldest peer; it may be gone by then, which costs one idle wake-up and saves a system call for each connection. */
static void set_deadline(struct daemon *d) {
    struct session *s = TAILQ_FIRST(&d->peers);
    int enabled;
    if (s == NULL || (d->deadline != NULL && sd_event_source_get_enabled(d->deadline, &enabled) > 0))
        return;
    uint64_t now = daemon_now(d);
    daemon_timer(d, &d->deadline, s->deadline > now ? s->deadline - now : 0, on_deadline, d);
}

static bool allowed(const struct daemon *d, uid_t uid) {
    if (uid == d->uid || uid == 0)
        return true;
    for (unsigned i = 0; i < d->config.n_users; i++)
        if (d->config.users[i] == uid)
            return true;
    return false;
}

static void make_room(struct daemon *d, uid_t uid) {
    struct session *s, *oldest = NULL;
    unsigned same = 0;
    if (d->n_peers < d->config.max_unauthenticated && d->n_peers < d->config.max_unauthenticated_per_user)
        return;
    TAILQ_FOREACH(s, &d->peers, link) {
        if (s->peer.uid != uid)
            continue;
        same++;
        if (oldest == NULL)
            oldest = s;
    }
    if (same < d->config.max_unauthenticated_per_user)
        oldest = d->n_peers < d->config.max_unauthenticated ? NULL : TAILQ_FIRST(&d->peers);
    if (oldest == NULL)
        return;
    d->counters.dropped++;
    log_line(LOG_WARNING, LOG_KIND_TIMEOUT, &oldest->peer,
             "a silent connection was dropped for a newer one: too many have not authenticated");
    authenticate_drop(oldest);
}

/* Its peer finds the connection closed, and nothing else tells why. */
static void cannot_serve(const struct log_peer *peer, int r) {
    log_line(LOG_ERR, LOG_KIND_RESOURCE, peer, "a connection cannot be served and is closed: %s", strerror(-r));
}

static void welcome(struct daemon *d, int fd) {
    struct ucred cred;
    socklen_t size = sizeof cred;
    d->counters.accepted++;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
        cannot_serve(NULL, -errno);
        close_fd(fd);
        return;
    }
    struct log_peer peer = {cred.pid, cred.uid};
    if (!allowed(d, cred.uid)) {
        d->counters.refused++;
        log_line(LOG_WARNING, LOG_KIND_REFUSED, &peer,
                 "a connection was refused: this user is neither the owner nor in AllowUsers=");
        authenticate_refuse(fd);
        listener_failure(d);
        close_fd(fd);
        return;
    }
    make_room(d, cred.uid);
    struct session *s;
    int r = session_new(d, fd, &peer, &s);
    if (r < 0) {
        cannot_serve(&peer, r);
        return;
    }
    s->deadline = daemon_now(d) + d->config.handshake_timeout;
    r = authenticate_start(s);
    if (r < 0) {
        cannot_serve(&peer, r);
        session_free(s);
    } else
        set_deadline(d);
}

static int on_connection(sd_event_source *source, int listener, uint32_t revents, void *data) {
    (void)source, (void)revents;
    struct daemon *d = data;
    for (unsigned i = 0; i < ACCEPT_BATCH; i++) {
        if (!may_accept(d))
            return 0;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            log_line(LOG_ERR, LOG_KIND_RESOURCE, NULL, "cannot accept a connection: %s; the next try comes in a moment",
                     strerror(errno));
            bucket_empty(&d->failures, FAILURE_BURST);
            if (daemon_timer(d, &d->pause, FAILURE_PAUSE_USEC, on_pause_over, d) >= 0)
                set_listening(d, false);
        }
        if (fd < 0)
            return 0;
        welcome(d, fd);
    }
    return 0;
}

int listener_add(struct daemon *d, int fd) {
    if (d->n_listeners == LISTENERS_MAX) {
        close_fd(fd);
        return -E2BIG;
    }
    sd_event_source *source;
    /* systemd passes it blocking, and a peer that is gone before accept would then block us. */
    if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
        int r = -errno;
        close_fd(fd);
        return r;
    }
    int r = sd_event_add_io(d->event, &source, fd, EPOLLIN, on_connection, d);
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    sd_event_source_set_io_fd_own(source, true);
    d->listeners[d->n_listeners++] = source;
    if (d->pause == NULL)
        r = daemon_timer_new(d, &d->pause, on_pause_over, d);
    if (r >= 0 && d->deadline == NULL)
        r = daemon_timer_new(d, &d->deadline, on_deadline, d);
    return r < 0 ? r : 0;
}

void listener_stop(struct daemon *d) {
    for (unsigned i = 0; i < d->n_listeners; i++)
        d->listeners[i] = sd_event_source_disable_unref(d->listeners[i]);
    d->n_listeners = 0;
    d->pause = sd_event_source_disable_unref(d->pause);
}
