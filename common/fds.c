/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fds over Unix sockets. It counts and keeps order; what an fd is for, it does not know. */
#include "common/fds.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"

enum { SCM_MAX = 253 };

void close_fd(int fd) {
    if (fd < 0)
        return;
    int saved = errno;
    close(fd);
    errno = saved;
}

void fd_queue_init(struct fd_queue *q) {
    q->count = 0;
}

void fd_queue_done(struct fd_queue *q) {
    for (unsigned i = 0; i < q->count; i++)
        close_fd(q->fds[i]);
    q->count = 0;
}

int fd_queue_take(struct fd_queue *q, unsigned n, int *ret_fds) {
    if (n > q->count)
        return -EBADMSG;
    if (n == 0)
        return 0;
    memcpy(ret_fds, q->fds, n * sizeof q->fds[0]);
    q->count -= n;
    memmove(q->fds, q->fds + n, q->count * sizeof q->fds[0]);
    return 0;
}

/* Takes every fd of the message over, however malformed it is: what is not taken would leak. */
static int collect(struct msghdr *msg, struct fd_queue *q) {
    int r = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (q->count < FD_QUEUE_MAX) {
                q->fds[q->count++] = fd;
            } else {
                close_fd(fd);
                r = -EMSGSIZE;
            }
        }
    }
    return r;
}

ssize_t fds_receive(int sock, void *buf, size_t size, struct fd_queue *q) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(SCM_MAX * sizeof(int))];
    } control;
    struct iovec iov = {buf, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (q != NULL) {
        msg.msg_control = &control;
        msg.msg_controllen = sizeof control;
    }
    ssize_t n;
    do
        n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (q == NULL)
        return n;
    int r = collect(&msg, q);
    /* A datagram that was cut could pass for a whole one. */
    if (r < 0 || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
        return -EMSGSIZE;
    return n;
}

ssize_t fds_send(int sock, const void *buf, size_t size, const int *fds, unsigned n_fds) {
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(SCM_MAX * sizeof(int))];
    } control;
    struct iovec iov = {(void *)(uintptr_t)buf, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (n_fds > SCM_MAX)
        return -EINVAL;
    if (n_fds > 0) {
        memset(&control, 0, CMSG_SPACE(n_fds * sizeof(int)));
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(sock, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}
