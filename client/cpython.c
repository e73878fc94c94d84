/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process from a fork server of CPython 3.14 or later, or from an instance of forksrv that serves its clients: the handshake of
 * every session, then one byte and some fds, as multiprocessing.forkserver sends them. Whatever fails before the process has all
 * of what it is to do leaves it without: it ends, and nothing has run. */
#include "client/cpython.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    OWN_FDS = 4,         /* data, status, and what keeps the server and its resource tracker alive */
    GIVEN_FDS_MAX = 249, /* with those 253, the most that the kernel sends at once */
};

struct forksrv_cpython {
    pid_t pid;
    int status; /* owned: its pid and its end come here */
    int data;   /* owned: when it is closed, the process knows that we are gone */
    bool ended;
    int64_t end; /* exit code, or minus the signal */
};

static int timed_out(struct forksrv *s) {
    return session_fail(s, -ETIMEDOUT, "%s did not start a process in time", s->peer);
}

static int send_all(struct forksrv *s, int fd, const uint8_t *p, size_t n, const int *fds, unsigned n_fds, uint64_t deadline) {
    while (n > 0) {
        ssize_t k = fds_send(fd, p, n, fds, n_fds);
        if (k == -EAGAIN) {
            if (deadline_poll(fd, POLLOUT, deadline) <= 0)
                return timed_out(s);
            continue;
        }
        if (k < 0)
            return session_fail(s, (int)k, "the request cannot be sent to %s: %s", s->peer, error_text((int)k));
        p += k;
        n -= (size_t)k;
        n_fds = 0;
    }
    return 0;
}

/* ---- the request ---- */

/* The last word of the handshake by itself: who reads it with read(2) would lose fds that came with it. */
static int send_request(struct forksrv *s, const int *fds, unsigned n_fds, uint64_t deadline) {
    const uint8_t count = (uint8_t)n_fds;
    int r = send_all(s, s->fd, wire_buf_head(&s->out), wire_buf_len(&s->out), NULL, 0, deadline);
    return r < 0 ? r : send_all(s, s->fd, &count, 1, fds, n_fds, deadline);
}

static int read_answer(struct forksrv *s, uint64_t deadline) {
    char answer;
    ssize_t n;
    while ((n = fds_receive(s->fd, &answer, 1, NULL)) == -EAGAIN)
        if (deadline_poll(s->fd, POLLIN, deadline) <= 0)
            return timed_out(s);
    if (n == 1 && answer == 'A')
        return 0;
    if (n == 1)
        return session_fail(s, -EOPNOTSUPP,
                            "%s serves no requests of CPython. An instance of forksrv needs CPythonZygote= of forksrvd.conf(5)",
                            s->peer);
    return session_fail(s, -ECONNRESET, "%s did not take the request. Its journal or standard error may say why", s->peer);
}

/* 1 and a number; 0 at the end; -ETIMEDOUT; -EPROTO. What is written at once is read at once: eight bytes never come in pieces.
 */
static int read_number(int fd, uint64_t deadline, int64_t *ret_number) {
    int64_t number;
    int r = deadline_poll(fd, POLLIN, deadline);
    if (r <= 0)
        return r < 0 ? r : -ETIMEDOUT;
    ssize_t n = read(fd, &number, sizeof number);
    if (n == 0)
        return 0;
    if (n != (ssize_t)sizeof number)
        return n < 0 ? -errno : -EPROTO;
    *ret_number = number;
    return 1;
}

static int read_pid(struct forksrv *s, struct forksrv_cpython *c, uint64_t deadline) {
    int64_t pid = 0;
    int r = read_number(c->status, deadline, &pid);
    if (r == -ETIMEDOUT)
        return timed_out(s);
    if (r == 0)
        return session_fail(s, -EIO, "%s took the request and forked nothing. Its journal or standard error may say why",
                            s->peer);
    if (r < 0 || pid <= 0 || pid > INT32_MAX)
        return session_fail(s, r < 0 ? r : -EPROTO, "%s did not tell which process it forked", s->peer);
    c->pid = (pid_t)pid;
    return 0;
}

/* The pipe of the status has to be one: servers look. The other way a socket does, and writing to it raises no SIGPIPE. Nothing
 * is kept alive by us, and nothing tracked for us. */
static int ask(struct forksrv *s, struct forksrv_cpython *c, const int *fds, unsigned n_fds, uint64_t deadline) {
    int status[2], data[2], all[OWN_FDS + GIVEN_FDS_MAX];
    if (pipe2(status, O_CLOEXEC) < 0)
        return session_fail(s, -errno, "no pipe for the status: %s", error_text(-errno));
    c->status = status[0];
    auto_fd child_w = status[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data) < 0)
        return session_fail(s, -errno, "no socket for the data: %s", error_text(-errno));
    c->data = data[0];
    auto_fd child_r = data[1];
    auto_fd null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0)
        return session_fail(s, -errno, "/dev/null: %s", error_text(-errno));
    memcpy(all, (const int[OWN_FDS]){child_r, child_w, null, null}, OWN_FDS * sizeof all[0]);
    if (n_fds > 0)
        memcpy(all + OWN_FDS, fds, n_fds * sizeof all[0]);
    int r = send_request(s, all, OWN_FDS + n_fds, deadline);
    return r < 0 ? r : read_answer(s, deadline);
}

/* One that ends without reading all of it tells that by its end. */
static int send_data(struct forksrv *s, struct forksrv_cpython *c, const void *data, size_t size, uint64_t deadline) {
    int r = send_all(s, c->data, data, size, NULL, 0, deadline);
    return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

int forksrv_cpython_fork(struct forksrv *s, const void *data, size_t size, const int *fds, unsigned n_fds, uint64_t timeout,
                         struct forksrv_cpython **ret_process) {
    uint64_t deadline = deadline_after(timeout);
    if (n_fds > GIVEN_FDS_MAX)
        return session_fail(s, -E2BIG, "at most %d fds can be sent", GIVEN_FDS_MAX);
    struct forksrv_cpython *c = calloc(1, sizeof *c);
    if (c == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    c->status = c->data = -1;
    bool given = s->key_given;
    int r = connect_greet(s, deadline);
    if (r == 0) {
        r = ask(s, c, fds, n_fds, deadline);
        connect_undo(s, given);
    }
    if (r == 0)
        r = read_pid(s, c, deadline);
    if (r == 0)
        r = send_data(s, c, data, size, deadline);
    if (r < 0) {
        forksrv_cpython_free(c);
        return r;
    }
    *ret_process = c;
    return 0;
}

int forksrv_cpython_call(struct forksrv *s, const char *function, const char *const *args, const int *fds, unsigned n_fds,
                         uint64_t timeout, struct forksrv_cpython **ret_process) {
    static const char *const none[] = {NULL};
    struct wire_buf data;
    wire_buf_init(&data, 0);
    int r = cpython_pickle_call(&data, function, args != NULL ? args : none, getpid());
    if (r < 0)
        session_fail(s, r, r == -EINVAL ? "a function is called MODULE:NAME, not \"%s\"" : "%s: its arguments are too long",
                     function);
    else
        r = forksrv_cpython_fork(s, wire_buf_head(&data), wire_buf_len(&data), fds, n_fds, timeout, ret_process);
    wire_buf_done(&data);
    return r;
}

/* ---- the process ---- */

pid_t forksrv_cpython_pid(const struct forksrv_cpython *c) {
    return c->pid;
}

int forksrv_cpython_fd(const struct forksrv_cpython *c) {
    return c->status;
}

int forksrv_cpython_wait(struct forksrv_cpython *c, uint64_t timeout, int *ret_code, int *ret_signo) {
    if (!c->ended) {
        int r = read_number(c->status, deadline_after(timeout), &c->end);
        if (r == 0)
            return -ENOTCONN;
        if (r < 0)
            return r;
        c->ended = true;
    }
    *ret_code = c->end >= 0 ? (int)c->end : -1;
    *ret_signo = c->end >= 0 ? 0 : (int)-c->end;
    return 0;
}

void forksrv_cpython_free(struct forksrv_cpython *c) {
    if (c == NULL)
        return;
    close_fd(c->status);
    close_fd(c->data);
    free(c);
}
