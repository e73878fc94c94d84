/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv_open: connects, looks at who made the listener before it says a word, and has the handshake done. The connection is
 * made before the key is looked for, so that the server writes its challenge meanwhile. */
#include "client/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* A full backlog: poll cannot wait for a place in it, but a blocking connect with a time limit does. */
static int connect_waiting(int fd, const struct sockaddr_un *sa, uint64_t deadline) {
    for (;;) {
        uint64_t left = deadline_left(deadline);
        if (left == 0)
            return -ETIMEDOUT;
        struct timeval tv = {0};
        if (left != FORKSRV_FOREVER)
            tv = (struct timeval){.tv_sec = (time_t)(left / 1000000), .tv_usec = (suseconds_t)(left % 1000000)};
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) < 0)
            return -errno;
        if (connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0)
            return 0;
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
}

int connect_path(const char *path, uint64_t deadline, int *ret_fd) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof sa.sun_path)
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, size);
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) < 0) {
        if (errno != EAGAIN)
            return -errno;
        /* Everything later on this socket says MSG_DONTWAIT itself. */
        auto_fd waiting = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (waiting < 0)
            return -errno;
        int r = connect_waiting(waiting, &sa, deadline);
        if (r < 0)
            return r;
        *ret_fd = steal_fd(&waiting);
        return 0;
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* Whoever answers a challenge for somebody it does not know can be used as an oracle: so this comes first. */
static int check_listener(struct forksrv *s, const struct candidate *c) {
    struct ucred cred;
    socklen_t size = sizeof cred;
    if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
        return session_fail(s, -errno, "%s: cannot tell who made the socket: %s", c->path, error_text(-errno));
    if (cred.uid == 0 || (!c->system && cred.uid == geteuid()))
        return 0;
    return session_fail(s, -EPERM, "%s: the socket was made by uid %u, neither by root%s: nothing was sent to it", c->path,
                        (unsigned)cred.uid, c->system ? "" : " nor by this program's user");
}

static bool nobody_there(int r) {
    return r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR;
}

/* The first candidate behind which somebody listens. */
static int connect_any(struct forksrv *s, uint64_t deadline, const struct candidate *c, unsigned n,
                       const struct candidate **ret_candidate) {
    char tried[ERROR_TEXT / 2] = "";
    size_t used = 0;
    int first = -ENOENT;
    for (unsigned i = 0; i < n; i++) {
        int r = connect_path(c[i].path, deadline, &s->fd);
        if (r == 0) {
            *ret_candidate = &c[i];
            return 0;
        }
        if (!nobody_there(r))
            return session_fail(s, r, "cannot connect to %s: %s", c[i].path, error_text(r));
        if (i == 0 || r == -ECONNREFUSED)
            first = r == -ENOTDIR ? -ENOENT : r;
        used += (size_t)snprintf(tried + used, sizeof tried - used, "%s%s: %s", i > 0 ? "; " : "", c[i].path, error_text(r));
    }
    return session_fail(s, first, "no instance of forksrv answers (%s). Is forksrv.socket or forksrv@USER.socket started?",
                        n > 0 ? tried : "XDG_RUNTIME_DIR is not set, and this uid has no name");
}

/* Up to the first byte: connected to somebody who may be trusted, and with the key at hand. */
static int reach(struct forksrv *s, uint64_t deadline) {
    struct candidate candidates[CANDIDATES];
    const struct candidate *c = &candidates[0];
    unsigned n;
    int r = find_candidates(s, candidates, &n);
    if (r < 0)
        return r;
    free(s->peer);
    s->peer = strdup(n > 0 ? candidates[0].path : "");
    r = connect_any(s, deadline, candidates, n, &c);
    if (r < 0)
        return r;
    free(s->peer);
    s->peer = strdup(c->path);
    if (s->peer == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    r = check_listener(s, c);
    if (r < 0)
        return r;
    return key_load(s, c->system);
}

static int may_open(struct forksrv *s) {
    if (s->phase == PHASE_OPEN || s->phase == PHASE_GREETING)
        return session_fail(s, -EISCONN, "the session is open already");
    if (s->phase == PHASE_LOST)
        return session_fail(s, -EISCONN, "the session was lost (%s): make a new one", s->lost_text);
    return 0;
}

/* One that was found is found again. One that was given may be wanted for coming back. */
void key_used(struct forksrv *s) {
    if (!s->key_given || s->return_time == 0)
        key_erase(s);
}

void connect_undo(struct forksrv *s, bool key_given) {
    close_fd(s->fd);
    s->fd = -1;
    wire_buf_consume(&s->out, wire_buf_len(&s->out), 0);
    if (!key_given)
        key_erase(s);
}

bool connect_may_pass(const struct forksrv *s, int r) {
    return s->hung_up || r == -ECONNRESET || r == -EPIPE;
}

int connect_greet(struct forksrv *s, uint64_t deadline) {
    int r = may_open(s);
    if (r < 0)
        return r;
    s->hung_up = false;
    bool given = s->key_given;
    r = reach(s, deadline);
    if (r == 0)
        r = greet(s, deadline);
    if (r < 0)
        connect_undo(s, given);
    return r;
}

int forksrv_open(struct forksrv *s) {
    uint64_t deadline = deadline_after(s->timeout);
    int r = connect_greet(s, deadline);
    while (r < 0 && s->return_time > 0 && connect_may_pass(s, r) && deadline_left(deadline) > AGAIN_USEC) {
        usleep(AGAIN_USEC);
        r = connect_greet(s, deadline);
    }
    if (r < 0)
        return r;
    key_used(s);
    s->phase = PHASE_OPEN;
    if (!s->lazy)
        pump_send(s);
    return 0;
}

int forksrv_open_start(struct forksrv *s) {
    int r = may_open(s);
    if (r < 0)
        return r;
    bool given = s->key_given;
    /* A time that is up: a full backlog is no reason to wait. */
    r = reach(s, 0);
    if (r == -ETIMEDOUT)
        r = session_fail(s, -EAGAIN, "%s has too many connections waiting: try again", s->peer);
    if (r == 0)
        r = greet_start(s);
    if (r < 0) {
        connect_undo(s, given);
        return r;
    }
    s->greet_until = deadline_after(s->timeout);
    s->phase = PHASE_GREETING;
    return 0;
}
