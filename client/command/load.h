/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "forksrv.h"
#include "target.h"

/* Ways to start many processes of one program and to wait for them, a given number at a time. */

enum { LOAD_ACTIVE_MAX = 256 };

/* What is started, and through what. */
struct load_place {
    const char *const *argv;      /* of every process; argv[0] is its path */
    const struct target *target;  /* which instance; borrowed */
    const void *key;              /* its key, borrowed; NULL: found as target says, for each connection */
    struct forksrv *session;      /* owned; NULL until load_place_open */
    struct forksrv_spec *end;     /* owned: nothing is reported but the end */
    struct forksrv_spec *started; /* owned: STARTED with a pidfd, too */
};

struct load {
    const char *name;  /* for --methods and data */
    const char *label; /* for people */
    bool remote;       /* needs an instance */
    bool connects;     /* needs one with an address: a private one has none */
    /* Starts `total` processes, `active` at a time. 0, or a negative errno after it said what is wrong. */
    int (*run)(struct load_place *place, unsigned total, unsigned active);
};

extern const struct load loads[]; /* the last has no name */
const struct load *load_find(const char *name);

/* A session that is not open yet. 0, or a negative errno after it said what is wrong. */
int load_place_connect(const struct load_place *place, struct forksrv **ret_session);
/* Opens the session and makes the specs. 0, or a negative errno after it said what is wrong. */
int load_place_open(struct load_place *place);
void load_place_done(struct load_place *place);

/* load-local.c */
int load_posix_spawn(struct load_place *place, unsigned total, unsigned active);
int load_fork_exec(struct load_place *place, unsigned total, unsigned active);
/* load-remote.c */
int load_session_end(struct load_place *place, unsigned total, unsigned active);
int load_session_started(struct load_place *place, unsigned total, unsigned active);
int load_connection(struct load_place *place, unsigned total, unsigned active);
