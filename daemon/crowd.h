/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "daemon/plan.h"

struct daemon;
struct worker;

/* What keeps a start as fast with thousands of live workers as with ten. */

int crowd_init(struct daemon *d);
void crowd_done(struct daemon *d);

/* Moves a worker's pidfd out of the way of fds to come, if there are many. */
void crowd_move_up(struct worker *w);
/* Before the start: whether the child shall share our fds at first (plan->cut). */
void crowd_prepare(struct daemon *d, struct plan *plan);
/* After it: moves the worker's pidfd out of the way of fds to come; and if the child `shares` our fds, takes over n of `fds` and
 * `report`, which stay open until it has its own. Sets those to -1 that it took. -ENOMEM. */
int crowd_started(struct worker *w, bool shares, int *fds, unsigned n, int *report);
/* Its child is gone. */
void crowd_ended(struct worker *w);
