/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the kernel tells everybody of a process. */
struct top_process {
    uint64_t start; /* since boot, in usec, in steps of the kernel's ticks; with the pid it names one process only */
    uint64_t cpu;   /* user and system time that it and its threads have used, in usec */
    char state;     /* as in /proc/PID/stat: R, S, D, ... */
};

/* False: there is none. */
bool top_process_of(pid_t pid, struct top_process *ret_process);
/* Now, on the clock of `start`. */
uint64_t top_process_clock(void);
/* "run", "sleep", "disk", ... */
const char *top_process_state_name(char state);
