/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/plan.h"

/* Starts children, vfork-cheap and without waiting for them: each runs on a small stack of its own in our memory until its exec.
 */

struct starter;

int starter_new(struct starter **ret_starter);
void starter_free(struct starter *s);

/* Starts the plan's child, in the cgroup if that is not -1. The starter owns the plan from a success on, and frees it when the
 * child has left our memory. ret_pidfd belongs to the caller. -EAGAIN also when all slots are taken by children that hang before
 * their exec. */
int starter_start(struct starter *s, struct plan *plan, uint64_t owner, int cgroup, pid_t *ret_pid, int *ret_pidfd,
                  struct slot **ret_slot);

/* Once the child is reaped: the positive errno of what failed before its exec, or 0. */
int starter_failure(struct starter *s, struct slot *slot, uint64_t owner, enum stage *ret_stage);

/* The same while it may still run, without taking it: whether it is known already that it failed. */
/* It has come to its exec, as far as is known: the place may have been given to another meanwhile. */
bool starter_begun(const struct slot *slot, uint64_t owner);
bool starter_failed(const struct slot *slot, uint64_t owner);

/* Whether the child has not come to its exec yet. */
bool starter_is_starting(const struct slot *slot, uint64_t owner);

/* Whether the child of a plan with `cut` has made its own table of fds, so that ours may change. */
bool starter_has_own_fds(const struct slot *slot, uint64_t owner);

/* Whether one more could be started. Cheap. */
bool starter_has_room(struct starter *s);
unsigned starter_busy(struct starter *s);

/* Frees the plans of children that have gone on to exec since. Cheap. */
void starter_collect(struct starter *s);
