/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private instance: a socket, a key that nobody else ever sees and a lifeline, given to a forksrvd of the program's own. The
 * connection is made before the daemon is there and waits in the backlog: so the socket's name can go again at once, and no
 * failure later leaves anything behind. */
#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/launch.h"

/* What the instance is made of; all owned. */
struct parts {
    int listener;
    int key;
    int alive; /* the daemon's end of the lifeline */
};

static void parts_done(struct parts *p) {
    close_fd(p->listener);
    close_fd(p->key);
    close_fd(p->alive);
}

/* A key that cannot be changed any more, by anybody. */
static int make_key(struct forksrv *s, int *ret_fd) {
    int r = key_reserve(s);
    if (r < 0)
        return r;
    if (getrandom(s->key, LIMIT_AUTHKEY, 0) != LIMIT_AUTHKEY)
        return session_fail(s, -EIO, "the kernel gives no random numbers");
    auto_fd fd = memfd_create("forksrv.authkey", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || pwrite(fd, s->key, LIMIT_AUTHKEY, 0) != LIMIT_AUTHKEY ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return session_fail(s, -errno, "no memory for the key of the private instance: %s", error_text(-errno));
    *ret_fd = steal_fd(&fd);
    return 0;
}

/* A listener at `path`, and a connection to it. */
static int listen_and_connect(const char *path, uint64_t deadline, int *ret_listener, int *ret_fd) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    memcpy(sa.sun_path, path, strlen(path) + 1);
    /* Non-blocking, as systemd passes its sockets. */
    auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&sa, sizeof sa) < 0)
        return -errno;
    int r = listen(fd, 16) < 0 ? -errno : connect_path(path, deadline, ret_fd);
    unlink(path);
    if (r == 0)
        *ret_listener = steal_fd(&fd);
    return r;
}

/* In a folder of our own below `base`, which only exists during this call. */
static int make_socket_below(const char *base, uint64_t deadline, int *ret_listener, int *ret_fd) {
    char path[sizeof((struct sockaddr_un *)NULL)->sun_path], folder[sizeof path - 2];
    if (snprintf(folder, sizeof folder, "%s/forksrv.XXXXXX", base) >= (int)sizeof folder)
        return -ENAMETOOLONG;
    if (mkdtemp(folder) == NULL)
        return -errno;
    snprintf(path, sizeof path, "%s/c", folder);
    int r = listen_and_connect(path, deadline, ret_listener, ret_fd);
    rmdir(folder);
    return r;
}

static int make_socket(struct forksrv *s, uint64_t deadline, int *ret_listener) {
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    int r = -ENOENT;
    if (runtime != NULL && runtime[0] == '/')
        r = make_socket_below(runtime, deadline, ret_listener, &s->fd);
    if (r < 0)
        r = make_socket_below("/tmp", deadline, ret_listener, &s->fd);
    if (r < 0)
        return session_fail(s, r, "no socket for a private instance, neither below $XDG_RUNTIME_DIR nor below /tmp: %s",
                            error_text(r));
    return 0;
}

static int make_lifeline(struct forksrv *s, int *ret_alive) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return session_fail(s, -errno, "no pipe for a private instance: %s", error_text(-errno));
    *ret_alive = fds[0];
    s->lifeline = fds[1];
    return 0;
}

static int start_daemon(struct forksrv *s, const struct parts *p, uint64_t deadline) {
    const char *path = s->daemon != NULL ? s->daemon : secure_getenv("FORKSRV_DAEMON");
    if (path == NULL || path[0] == 0)
        path = FORKSRV_DAEMON;
    struct launch l = {.path = path, .passed = {p->listener, p->key, p->alive}, .names = "control:forksrv.authkey:forksrv.alive"};
    int r = launch(&l, deadline);
    if (r < 0)
        return session_fail(s, r, "a private instance cannot be started: %s: %s%s", path, error_text(r),
                            r == -ENOENT ? ". $FORKSRV_DAEMON can tell where forksrvd is" : "");
    return 0;
}

static int open_private(struct forksrv *s, struct parts *p, uint64_t deadline) {
    int r = make_key(s, &p->key);
    if (r == 0)
        r = make_lifeline(s, &p->alive);
    if (r == 0)
        r = make_socket(s, deadline, &p->listener);
    if (r == 0)
        r = start_daemon(s, p, deadline);
    /* Our own copies would keep the connection open after the daemon has gone. */
    parts_done(p);
    *p = (struct parts){-1, -1, -1};
    if (r < 0)
        return r;
    free(s->peer);
    s->peer = strdup("private");
    if (s->peer == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    return greet(s, deadline);
}

int forksrv_open_private(struct forksrv *s) {
    if (s->phase != PHASE_NEW)
        return session_fail(s, -EISCONN, "the session is open already, or was: make a new one");
    struct parts p = {-1, -1, -1};
    /* The key of the program's choice is for an instance that others use, too. */
    key_erase(s);
    int r = open_private(s, &p, deadline_after(s->timeout));
    key_erase(s);
    if (r < 0) {
        close_fd(s->fd);
        close_fd(s->lifeline);
        s->fd = s->lifeline = -1;
        return r;
    }
    s->phase = PHASE_OPEN;
    pump_send(s);
    return 0;
}
