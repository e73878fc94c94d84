/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FORK as a zygote hears it: a datagram of any content with any number of fds. The first byte says how many fds come, and
 * whether the rest is in a memfd that a small message names. Whatever comes, no fd stays, and what is taken for a request is one.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/fds.h"
#include "zygote/zygote.h"

static volatile unsigned sink;

enum { LARGE = 0x80, FEW = 0x07, MANY = 253, FDS_FEW = 32, NOWHERE = 0x5a };

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

static void send_large(int sock, int large, const uint8_t *data, size_t size) {
    uint8_t message[] = {3, 1, 0, 1, 0, 0, 0, 7, 0, 0x2e, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    HOLDS(pwrite(large, data, size, 0) == (ssize_t)size && ftruncate(large, (off_t)size) == 0);
    HOLDS(fds_send(sock, message, sizeof message, &large, 1) == (ssize_t)sizeof message);
}

static void send_small(int sock, const uint8_t *data, size_t size, unsigned n) {
    int fds[MANY];
    for (unsigned i = 0; i < n; i++)
        fds[i] = sock;
    HOLDS(fds_send(sock, data, size, fds, n) == (ssize_t)size);
}

/* What was refused, or had nothing large, is still what it was. */
static void hear_rest(struct work *w) {
    struct work before;
    memcpy(&before, w, sizeof before);
    int r = hear_large(w);
    HOLDS(w->message.serial == before.message.serial && w->fds.count == before.fds.count);
    HOLDS(r == 0 || message_has(&before.message, ATTR_LARGE));
    /* Padding and all: it was not touched. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS((r == 0 && message_has(&before.message, ATTR_LARGE)) || memcmp(w, &before, sizeof before) == 0);
    touch(w);
}

static void hear_all(int sock) {
    struct work w, before;
    memset(&w, NOWHERE, sizeof w);
    memcpy(&before, &w, sizeof w);
    while (hear(sock, false, &w) == 1) {
        HOLDS(w.fds.count == message_fds(&w.message));
        touch(&w);
        hear_rest(&w);
        work_done(&w);
        memcpy(&w, &before, sizeof w);
    }
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS(memcmp(&w, &before, sizeof w) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int ends[2], large;
    static unsigned before, before_many;
    if (size == 0)
        return 0;
    /* Every datagram is taken in any case, and so the same sockets serve always, and the same file. */
    if (before == 0) {
        HOLDS(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        HOLDS((large = memfd_create("large", MFD_CLOEXEC)) >= 0);
        before = open_fds(FDS_FEW);
        before_many = open_fds(FDS_MOST);
    }
    unsigned n = data[0] & FEW;
    if (data[0] & LARGE)
        send_large(ends[0], large, data + 1, size - 1);
    else
        send_small(ends[0], data + 1, size - 1, n == FEW ? MANY : n);
    hear_all(ends[1]);
    /* Those that came are the lowest ones that were free. */
    HOLDS(n == FEW ? open_fds(FDS_MOST) == before_many : open_fds(FDS_FEW) == before);
    return 0;
}
