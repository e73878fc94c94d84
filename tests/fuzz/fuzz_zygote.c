/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FORK as a zygote hears it: a datagram of any content with any number of fds. The first byte says how many fds come, and
 * whether the rest is in a memfd that a small message names. Whatever comes, no fd stays, and what is taken for a request is one.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "zygote/zygote.h"

static volatile unsigned sink;

enum { LARGE = 0x80, FEW = 0x07, MANY = 253, FDS_MOST = 300 };

static void touch(const struct work *w) {
    HOLDS(w->message.type == MSG_FORK);
    for (unsigned i = 0; i < ATTR_MAX; i++)
        for (uint32_t k = 0; k < w->message.attributes[i].size; k++)
            sink += w->message.attributes[i].data[k];
    HOLDS(message_strs_count(&w->message, ATTR_ARGV) <= LIMIT_STRINGS);
    HOLDS(w->message.attributes[ATTR_FDMAP].size / 8 <= LIMIT_MAPPED_FDS);
    HOLDS(w->message.attributes[ATTR_RLIMITS].size / 24 <= LIMIT_RLIMITS);
    if (message_has(&w->message, ATTR_CWD))
        HOLDS(strlen(message_str(&w->message, ATTR_CWD)) < LIMIT_PATH);
    for (unsigned i = 0; i < w->fds.count; i++)
        HOLDS(fcntl(w->fds.fds[i], F_GETFD) == FD_CLOEXEC);
}

static void send_large(int sock, const uint8_t *data, size_t size) {
    uint8_t message[] = {3, 1, 0, 1, 0, 0, 0, 7, 0, 0x2e, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    auto_fd fd = memfd_create("large", MFD_CLOEXEC);
    HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    HOLDS(fds_send(sock, message, sizeof message, &fd, 1) == (ssize_t)sizeof message);
}

static void send_small(int sock, const uint8_t *data, size_t size, unsigned n) {
    int fds[MANY];
    auto_fd null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < n; i++)
        fds[i] = null;
    HOLDS(fds_send(sock, data, size, fds, n) == (ssize_t)size);
}

static void hear_all(int sock) {
    struct work w;
    while (hear(sock, false, &w) == 1) {
        HOLDS(w.fds.count == message_fds(&w.message));
        touch(&w);
        unsigned count = w.fds.count;
        uint32_t serial = w.message.serial;
        int r = hear_large(&w);
        HOLDS(w.message.serial == serial && w.fds.count == count);
        touch(&w);
        HOLDS(r == 0 || message_has(&w.message, ATTR_LARGE));
        work_done(&w);
    }
}

/* More than these are never open at once. */
static unsigned open_fds(void) {
    unsigned n = 0;
    for (int fd = 0; fd < FDS_MOST; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    if (size == 0)
        return 0;
    unsigned before = open_fds();
    HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    unsigned n = data[0] & FEW;
    if (data[0] & LARGE)
        send_large(ends[0], data + 1, size - 1);
    else
        send_small(ends[0], data + 1, size - 1, n == FEW ? MANY : n);
    hear_all(ends[1]);
    close(ends[0]);
    close(ends[1]);
    HOLDS(open_fds() == before);
    return 0;
}
