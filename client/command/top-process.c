/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes, from /proc/PID/stat. It knows nothing of workers. */
#include "top-process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

bool top_process_of(pid_t pid, struct top_process *ret_process) {
    char path[64], line[1024];
    uint64_t user, system, start;
    char state;
    long ticks = sysconf(_SC_CLK_TCK);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    owned_file file = fopen(path, "re");
    if (file == NULL || ticks <= 0)
        return false;
    size_t n = fread(line, 1, sizeof line - 1, file);
    line[n] = '\0';
    /* The name in parentheses may have anything in it, parentheses too. */
    const char *rest = strrchr(line, ')');
    if (rest == NULL ||
        sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64,
               &state, &user, &system, &start) != 4)
        return false;
    uint64_t usec = UINT64_C(1000000) / (uint64_t)ticks;
    *ret_process = (struct top_process){.start = start * usec, .cpu = (user + system) * usec, .state = state};
    return true;
}

uint64_t top_process_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

const char *top_process_state_name(char state) {
    switch (state) {
    case 'R':
        return "run";
    case 'S':
        return "sleep";
    case 'D':
        return "disk";
    case 'T':
        return "stop";
    case 't':
        return "trace";
    case 'I':
        return "idle";
    case 'Z':
    case 'X':
        return "dead";
    default:
        return "?";
    }
}
