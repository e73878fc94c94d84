/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

struct daemon;

struct cgroup_limits;

/* As cgroup_make; what the end of the cgroup will need is set aside. */
int sweep_make(struct daemon *d, uint64_t owner, const struct cgroup_limits *l, int *ret_fd, const char **ret_what);
/* Kills what is left in an ended worker's cgroup and removes it, now or as soon as the last process is gone. A zygote's cgroup is
 * removed once it is empty: what its workers have left behind goes on, as it does where there are no cgroups. */
void sweep_cgroup(struct daemon *d, uint64_t owner);
void sweep_done(struct daemon *d);
