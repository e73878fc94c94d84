/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* What /proc tells of a process of anybody's. */
struct process {
    char state;                         /* 'T': stopped */
    uint64_t blocked, ignored, catches; /* bit n-1 for signal n */
};
/* 0, or a negative errno: it has ended, or /proc does not show it. */
int process_look(pid_t pid, struct process *ret_process);

enum process_takes { PROCESS_DEFAULT, PROCESS_CATCHES, PROCESS_REFUSES };
/* What a signal does to it. */
enum process_takes process_takes(const struct process *p, int signo);
