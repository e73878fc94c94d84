/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/session.h"

/* A list of strings as the wire has it: one after the other, each with its NUL. */
struct strings {
    char *data; /* owned */
    size_t size;
    size_t allocated;
    size_t count;
};

enum { SPEC_TARGETS = LIMIT_TARGET_FD + 1, SPEC_RLIMITS = LIMIT_RLIMITS };

/* Those of forksrv.h. */
enum {
    SPEC_FLAGS = FORKSRV_DETACHED | FORKSRV_PROCESS_GROUP | FORKSRV_NO_NEW_PRIVS | FORKSRV_OWN_CGROUP | FORKSRV_DERIVED |
                 FORKSRV_CONTROLLING_TERMINAL | FORKSRV_HAND_OVER,
};

enum spec_number {
    SPEC_UMASK,
    SPEC_NICE,
    SPEC_OOM_SCORE_ADJ,
    SPEC_BLOCKED,
    SPEC_IGNORED,
    SPEC_TIME_LIMIT,
    SPEC_GRACE,
    SPEC_MEMORY_MAX,
    SPEC_TASKS_MAX,
    SPEC_CPU_WEIGHT,
    SPEC_SLOT_WAIT,
    SPEC_NUMBERS,
};

struct forksrv_spec {
    char *program; /* owned, or NULL */
    char *cwd;
    char *name;
    char *zygote;
    struct strings argv;
    struct strings environ_;
    unsigned flags;
    enum forksrv_report report;
    bool pidfd;
    unsigned given; /* which of the numbers are set: 1 << enum spec_number */
    uint64_t numbers[SPEC_NUMBERS];
    unsigned n_rlimits;
    struct {
        int resource;
        uint64_t soft, hard;
    } rlimits[SPEC_RLIMITS];
    int cgroup, gate; /* borrowed, or -1 */
    unsigned n_mappings;
    struct {
        int fd; /* borrowed */
        int target;
    } mappings[LIMIT_MAPPED_FDS];
};
