/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes between two files, with a bound on how many wait. It waits for nobody: a reader that does not read must not keep signals
 * from being seen, nor the other direction from moving. */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_NONBLOCK belongs to all who have the file open, the caller's shell among them. So it is opened anew. A pipe
 * or a terminal that this process may not open is used as it is, with care; all others never wait. */
int endpoint_open(int fd, int access, struct endpoint *ret_endpoint) {
    struct endpoint e = {.fd = -1, .kind = ENDPOINT_NONBLOCKING};
    struct stat st;
    char path[64];
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISFIFO(st.st_mode) || (S_ISCHR(st.st_mode) && isatty(fd))) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        e.fd = open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (e.fd < 0)
            e.kind = ENDPOINT_BLOCKING;
    } else if (S_ISSOCK(st.st_mode)) {
        e.kind = ENDPOINT_SOCKET;
    }
    if (e.fd < 0)
        e.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (e.fd < 0)
        return -errno;
    *ret_endpoint = e;
    return 0;
}

void endpoint_done(struct endpoint *e) {
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

ssize_t channel_fill(struct channel *c, const struct endpoint *from) {
    if (c->start > 0) {
        memmove(c->data, c->data + c->start, channel_waiting(c));
        c->end -= c->start;
        c->start = 0;
    }
    char *to = c->data + c->end;
    size_t room = CHANNEL_ROOM - c->end;
    ssize_t n = from->kind == ENDPOINT_SOCKET ? recv(from->fd, to, room, MSG_DONTWAIT) : read(from->fd, to, room);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    c->end += (size_t)n;
    return n;
}

static ssize_t write_some(const char *data, size_t n, const struct endpoint *to) {
    if (to->kind == ENDPOINT_SOCKET)
        return send(to->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A pipe that poll calls writable takes this many. */
    return write(to->fd, data, to->kind == ENDPOINT_BLOCKING && n > PIPE_BUF ? PIPE_BUF : n);
}

int channel_flush(struct channel *c, const struct endpoint *to, bool ready) {
    while (c->start < c->end && (ready || to->kind != ENDPOINT_BLOCKING)) {
        ssize_t n = write_some(c->data + c->start, channel_waiting(c), to);
        if (n < 0 && errno != EINTR)
            return errno == EAGAIN ? 0 : -errno;
        c->start += n > 0 ? (size_t)n : 0;
        ready = false;
    }
    if (c->start == c->end)
        c->start = c->end = 0;
    return 0;
}

void channel_put(struct channel *c, char byte) {
    if (c->end < CHANNEL_ROOM)
        c->data[c->end++] = byte;
}
