/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* fds that travel over Unix sockets, in the order in which they were sent. */

enum { FD_QUEUE_MAX = 2 * 253 };

/* Received fds that no message has claimed yet. One frame can bring 253, and the next read up to as many again. */
struct fd_queue {
    unsigned count;
    int fds[FD_QUEUE_MAX]; /* owned, the first `count` */
};

void fd_queue_init(struct fd_queue *q);
void fd_queue_done(struct fd_queue *q);
/* Moves the first n to ret_fds, which then owns them. -EBADMSG if there are fewer. */
int fd_queue_take(struct fd_queue *q, unsigned n, int *ret_fds);

/* One recvmsg without blocking. Bytes received, 0 at the end of the stream, -EAGAIN, or another -errno. Received fds are
 * close-on-exec and appended to q. -EMSGSIZE: some fds were lost, because there were too many or this process can hold no more,
 * or the end of a datagram was. Whatever is returned, fds that came are in q: an empty datagram can bring some, too.
 * With q NULL none are received at all: the kernel drops them. */
ssize_t fds_receive(int sock, void *buf, size_t size, struct fd_queue *q);

/* One sendmsg without blocking and without SIGPIPE. Bytes sent or -errno; the fds travel with the first byte. */
ssize_t fds_send(int sock, const void *buf, size_t size, const int *fds, unsigned n_fds);
