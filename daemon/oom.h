/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

struct worker;

/* A worker's oom_score_adj. The child cannot set it before its exec: the kernel gives it to every process that shares the memory
 * of the one that asks, and that is the daemon; and the files in /proc of an undumpable process are root's. So it is set from
 * outside as soon as the program runs, before the session hears that it does. */

/* Whether we may: lower than our own needs CAP_SYS_RESOURCE. */
bool oom_may_set(int adj);
/* Logs a failure (a set-user-ID program is not ours to change). */
void oom_set(const struct worker *w);
