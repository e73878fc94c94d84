/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "forksrv.h"

/* A worker for the service manager that waits at its gate, so that the manager has it before it begins. */
struct held {
    struct forksrv *session; /* borrowed */
    struct forksrv_worker *worker;
    int gate;
};

/* The cgroup of a process, as a place to wait. 0 or a negative errno. */
int held_cgroup_of(pid_t pid, int *ret_fd);

struct slot;

/* cgroup: where it waits. slot: for how long it may wait for a slot; NULL: not at all. 0, or an exit code after it said what is
 * wrong; then there is nothing to free. */
int held_start(struct forksrv *session, struct forksrv_spec *spec, int cgroup, struct slot *slot, struct held *ret_held);

/* Opens the gate. 0: its program runs, and the manager has it. An exit code: it could not be run, which was said. -EPIPE: it was
 * ended before it began; another negative errno: what became of it within the time is not known here. */
int held_begin(struct held *h, uint64_t timeout);

/* Closes the gate, too: if it has not been opened, the worker never begins. */
void held_free(struct held *h);
