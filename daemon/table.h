/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "protocol/limits.h"

/* The worker table that outlives the daemon: a memfd, mapped shared, which systemd's file descriptor store keeps over a crash and
 * a restart. What it says holds at every moment, since the daemon may be killed at any: a record is filled in first, and then one
 * store of its state makes it count; the pid is stored by the kernel, in the clone itself. */

struct table;

enum record_state {
    RECORD_FREE,
    RECORD_STARTING, /* told to whoever starts it; `pid` tells whether the kernel did */
    RECORD_LIVE,
    RECORD_ENDED, /* `end` counts, and is kept for whoever asks */
};

/* As it began. Fixed from then on. */
struct record_start {
    uint64_t id;
    uint64_t session_id;
    uint64_t started;    /* monotonic, microseconds */
    uint64_t started_at; /* since 1970 */
    uint64_t boot_time;  /* the same moment on the clock that /proc tells starts of processes by */
    uint64_t grace;
    uint64_t limit_at; /* monotonic; 0: no time limit */
    uint32_t flags;    /* SPAWN_* */
    uint32_t own_cgroup;
    uint8_t job[LIMIT_JOB];
    char name[LIMIT_NAME + 4];
    char zygote[LIMIT_ZYGOTE + 4];
    char program[LIMIT_SHOWN_PROGRAM];
};

struct record_end {
    uint32_t kind; /* END_*, and a code or signal */
    uint32_t value;
    uint64_t wall;
    uint64_t forget_at; /* monotonic */
    struct rusage usage;
};

struct record {
    uint32_t state;       /* enum record_state */
    int32_t pid;          /* 0: there is no process yet */
    uint32_t failure;     /* by the child: stage << 16 | errno of what failed before its exec; 0 */
    uint32_t reason;      /* enum end_reason: set before it is told to end */
    uint64_t incarnation; /* of the zygote's process that was asked; 0: none */
    uint64_t start_check, end_check;
    struct record_start start;
    struct record_end end;
};

/* A new one. -ENOMEM, or what the kernel says. */
int table_new(struct table **ret_table);
/* One that was kept. The fd is taken over if it is one. -ESTALE: of another boot, or another version of the layout; -EBADMSG:
 * damaged. ret_what: in words, static. */
int table_open(int fd, struct table **ret_table, const char **ret_what);
void table_free(struct table *t);
int table_fd(const struct table *t);

/* The last id that was given to a worker, and to a zygote's process; they go on from there. */
void table_set_ids(struct table *t, uint64_t worker, uint64_t incarnation);
void table_get_ids(const struct table *t, uint64_t *ret_worker, uint64_t *ret_incarnation);

/* When it was made, monotonic: of starts before that it knows nothing. */
uint64_t table_since(const struct table *t);

/* A free record; NULL if there is none. It counts for nothing before record_begins. */
struct record *table_take(struct table *t);
void table_give_back(struct table *t, struct record *r);

void record_begins(struct record *r);
void record_lives(struct record *r);
void record_ends(struct record *r);

/* Walks over those that count: `at` starts as 0. NULL after the last one. */
struct record *table_next(struct table *t, uint32_t *at);
