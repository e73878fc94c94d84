/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "forksrv.h"
#include "target.h"

/* What `forksrv run` was asked for. Strings are borrowed from argv. */

enum { RUN_RLIMITS = 16, RUN_FDS = 250 };

/* One -E or --unset-env, in the order of the command line. */
struct run_variable {
    const char *text; /* NAME=VALUE, or NAME: to be copied from the caller, or to be unset */
    bool unset;
};

struct run_fd {
    int target;
    int fd;
};

struct run_rlimit {
    int resource;
    uint64_t soft;
    uint64_t hard;
};

struct run_options {
    struct target target;
    bool no_private;
    bool detach;
    bool as_main;
    bool pty;
    bool json;
    const char *json_file;
    bool clean_env;
    struct run_variable *variables; /* owned */
    unsigned n_variables;
    const char *chdir;
    const char *name;
    const char *zygote;
    int umask; /* these three: -1, INT_MIN: not given */
    int nice;
    int oom_score_adj;
    struct run_rlimit rlimits[RUN_RLIMITS];
    unsigned n_rlimits;
    struct run_fd fds[RUN_FDS];
    unsigned n_fds;
    uint64_t time_limit; /* 0: none */
    uint64_t grace;
    uint64_t memory_max;
    uint64_t tasks_max;
    uint64_t cpu_weight;
    uint64_t slot_wait; /* 0: not at all; UINT64_MAX: for ever */
    unsigned flags;     /* FORKSRV_DETACHED, ... */
    char **argv;
};

/* run-options.c: 0; OPTIONS_HELPED; or a negative errno after it said what is wrong. */
void run_options_init(struct run_options *o);
void run_options_done(struct run_options *o);
int run_options_parse(struct run_options *o, int argc, char **argv);

/* run-spec.c: 0, or a negative errno after it said what is wrong. terminal: what the worker has at 0, 1 and 2, or -1: the
 * caller's. */
int run_spec_new(const struct run_options *o, int terminal, struct forksrv_spec **ret_spec);

struct slot;

/* run-main.c: the exit code. */
int run_as_main(struct forksrv *session, struct forksrv_spec *spec, struct slot *slot);
