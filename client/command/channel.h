/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A file that is read or written without waiting. */
struct endpoint {
    int fd; /* owned, or -1 */
    enum { ENDPOINT_NONBLOCKING, ENDPOINT_SOCKET, ENDPOINT_BLOCKING } kind;
};

/* One of the standard files, O_RDONLY or O_WRONLY. Nobody else who has it open sees a difference. 0 or a negative errno. */
int endpoint_open(int fd, int access, struct endpoint *ret_endpoint);
void endpoint_done(struct endpoint *e);

/* Bytes on their way from one file to another. */
enum { CHANNEL_ROOM = 64 * 1024 };
struct channel {
    size_t start, end;
    char data[CHANNEL_ROOM];
};

static inline size_t channel_waiting(const struct channel *c) {
    return c->end - c->start;
}
/* Whether channel_fill() has where to put something. */
static inline bool channel_has_room(const struct channel *c) {
    return channel_waiting(c) < CHANNEL_ROOM;
}
/* One read. Returns how many bytes came, which are the last of those that wait; 0 at the end of the file; -EAGAIN; or another
 * negative errno. */
ssize_t channel_fill(struct channel *c, const struct endpoint *from);
/* Writes what can be written. `ready`: poll says that it can; without, one that would wait is left alone. 0, or a negative errno.
 */
int channel_flush(struct channel *c, const struct endpoint *to, bool ready);
/* One byte, when nothing waits. */
void channel_put(struct channel *c, char byte);
