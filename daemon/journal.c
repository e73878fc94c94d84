/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The journal's own protocol: fields in a datagram. sd_journal_sendv() waits for a journal that is full or stopped, and with it
 * would wait the whole instance; here such a line is lost. It knows no message and counts nothing. */
#include "daemon/journal.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void put(struct journal_entry *e, const void *p, size_t n) {
    memcpy(e->data + e->size, p, n);
    e->size += (unsigned)n;
}

/* A value of several lines goes behind its length. */
void journal_put(struct journal_entry *e, const char *name, const char *value) {
    size_t n = strlen(name), size = strlen(value), room = sizeof e->data - e->size;
    enum { AROUND = 2 + sizeof(uint64_t) };
    if (n + AROUND > room)
        return;
    if (size > room - n - AROUND)
        size = room - n - AROUND;
    bool lines = memchr(value, '\n', size) != NULL;
    uint64_t length = htole64(size);
    put(e, name, n);
    put(e, lines ? "\n" : "=", 1);
    if (lines)
        put(e, &length, sizeof length);
    put(e, value, size);
    put(e, "\n", 1);
}

bool journal_send(const struct journal_entry *e) {
    /* Kept; the address is looked up each time, since journald can be another one by then. */
    static int fd = -1;
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    struct iovec iov = {(void *)(uintptr_t)e->data, e->size};
    const struct msghdr m = {
        .msg_name = (void *)(uintptr_t)&address, .msg_namelen = sizeof address, .msg_iov = &iov, .msg_iovlen = 1};
    if (fd < 0)
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
