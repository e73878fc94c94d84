/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/limits.h"
#include "protocol/message.h"

/* All that a child needs between clone and exec, made before the clone: the child only makes system calls. One block of memory,
 * which must stay as it is until the child has left it (slot.tid is 0). */

/* Where a child that shares our memory tells how it fared. */
struct slot {
    uint32_t tid;   /* cleared by the kernel when the child leaves our memory, by exec or exit */
    uint32_t error; /* positive errno of what failed */
    uint32_t stage;
    uint32_t begun;    /* set before the exec, behind the gate */
    uint32_t unshared; /* set by a child that shared our fds, once it has its own */
    uint64_t owner;    /* worker id */
};

struct plan_fd {
    int source, target;
};

struct plan_rlimit {
    int resource;
    uint64_t limit[2]; /* soft, hard: the kernel's struct rlimit64 */
};

struct plan_range {
    unsigned first, last;
};

struct record;

struct plan {
    struct slot *slot;
    struct record *record; /* in the worker table; NULL */
    uint64_t worker;       /* whose that is */
    int depot;             /* where a pidfd of it goes before its program begins; -1 */
    char **argv, **envp;
    const char *program;
    const char *search; /* PATH to search for the program; NULL: it has a slash */
    const char *cwd;
    char *candidate; /* room for a path while searching */
    uint64_t blocked, ignored;
    uint32_t flags; /* SPAWN_* */
    mode_t umask;
    bool has_nice;
    int nice;
    bool has_oom_score_adj; /* set from outside after the exec: see oom.h */
    int oom_score_adj;
    bool reports_exec; /* has a pipe that tells of the exec */
    unsigned n_fds, n_ranges, n_rlimits;
    int cut;    /* shares our fds until it has made a table of its own with those below this; 0: has a copy */
    int wake;   /* eventfd for telling us of that; -1 */
    int report; /* the pipe that closes at the exec; -1 */
    int gate;   /* the child reads a byte from it before the exec; -1 */
    int above;  /* above every target */
    struct plan_fd *fds;
    struct plan_range *ranges; /* fds to close: between the targets, and after them */
    struct plan_rlimit rlimits[LIMIT_RLIMITS + 1];
};

/* Runs in the child, never returns. */
void child_run(void *plan);
