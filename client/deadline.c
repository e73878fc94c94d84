/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time limits as absolute times, so that a call that is interrupted or woken for something else does not start anew. */
#include "client/session.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

enum { USEC_PER_SEC = 1000 * 1000 };

static uint64_t now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * USEC_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t deadline_after(uint64_t timeout) {
    /* 0 has passed already: no need to look at the clock for it. */
    if (timeout == 0 || timeout == FORKSRV_FOREVER)
        return timeout;
    uint64_t t = now();
    return timeout < FORKSRV_FOREVER - t ? t + timeout : FORKSRV_FOREVER;
}

uint64_t deadline_left(uint64_t deadline) {
    if (deadline == 0 || deadline == FORKSRV_FOREVER)
        return deadline;
    uint64_t t = now();
    return t < deadline ? deadline - t : 0;
}

int deadline_poll(int fd, short events, uint64_t deadline) {
    struct pollfd p = {.fd = fd, .events = events};
    for (;;) {
        uint64_t left = deadline_left(deadline);
        struct timespec ts = {.tv_sec = (time_t)(left / USEC_PER_SEC), .tv_nsec = (long)(left % USEC_PER_SEC) * 1000};
        int r = ppoll(&p, 1, deadline == FORKSRV_FOREVER ? NULL : &ts, NULL);
        if (r >= 0)
            return r;
        if (errno != EINTR)
            return -errno;
    }
}
