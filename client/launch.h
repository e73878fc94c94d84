/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Starts a forksrvd as systemd would: sockets and key passed as fds 3, 4 and 5, told by LISTEN_*. It becomes nobody's child. */

enum { LAUNCH_PASSED = 3 };

struct launch {
    const char *path;          /* of forksrvd */
    int passed[LAUNCH_PASSED]; /* what it gets as 3, 4 and 5; borrowed */
    const char *names;         /* LISTEN_FDNAMES */
};

/* 0 once it runs. -errno: what exec, or a step before it, failed with; -ETIMEDOUT. */
int launch(const struct launch *l, uint64_t deadline);
