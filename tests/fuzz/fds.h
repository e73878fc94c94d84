/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>

#include "tests/fuzz/fuzz.h"

/* More than these are never open at once. */
enum { FDS_MOST = 300 };

/* How many are open: one system call tells it for all. */
static inline unsigned open_fds(unsigned most) {
    struct pollfd fds[FDS_MOST];
    unsigned n = 0;
    for (unsigned i = 0; i < most; i++)
        fds[i] = (struct pollfd){.fd = (int)i};
    HOLDS(most <= FDS_MOST && poll(fds, most, 0) >= 0);
    for (unsigned i = 0; i < most; i++)
        n += !(fds[i].revents & POLLNVAL);
    return n;
}
