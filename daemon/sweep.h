/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct daemon;

/* Kills what is left in an ended worker's cgroup and removes it, now or as soon as the last process is gone. */
void sweep_cgroup(struct daemon *d, uint64_t worker);
void sweep_done(struct daemon *d);
