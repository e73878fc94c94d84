/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* What the tests and the daemon under test share: a file that both map. sites.py has the same layout. */

enum { SHIM_SITES = 8, SHIM_TEXT = 1 << 24 };

struct shim {
    /* A call from one of these places fails. A place is where it would return to, from the start of the program's image. */
    uint64_t sites[SHIM_SITES];
    int32_t error;  /* the errno */
    uint32_t skip;  /* calls that are let through first */
    uint32_t times; /* calls that fail after them */
    uint32_t hits;  /* that have failed */
    /* Every call that waits is interrupted, in so many cases out of so many and one. */
    uint32_t storm;
    uint32_t interrupted;
    /* Seconds that the wall clock, and the clock that the log counts its lines by, are off. */
    int64_t jump, age;
    /* How often each place was called from. */
    uint32_t seen[SHIM_TEXT];
};
