/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the kernel tells of a process's memory, in KiB. Looking it up takes it milliseconds for a large process. */
struct memory {
    uint64_t pss;    /* its own, and its part of what it shares */
    uint64_t shared; /* resident pages that others have, too */
    uint64_t own;    /* resident pages that nobody else has */
};

/* False: it is gone, or not ours to look at. */
bool memory_of(pid_t pid, struct memory *ret_memory);
/* "640K", "12.3M", "1.75G". */
const char *memory_format(uint64_t kib, char *ret_buffer, size_t size);
