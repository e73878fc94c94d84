/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The delegated part of the cgroup tree. Workers get a cgroup of their own below it only where that was asked for: making and
 * removing one costs more than a start. */

enum { CGROUP_MEMORY = 1 << 0, CGROUP_TASKS = 1 << 1, CGROUP_CPU = 1 << 2 };

struct cgroup {
    int dir;              /* owned: O_PATH of the delegated cgroup; -1: there is none */
    unsigned controllers; /* that workers' cgroups have */
};

/* A cgroup's owner is a worker's id, or that of a zygote's process with this bit. */
#define CGROUP_ZYGOTE (UINT64_C(1) << 63)

struct cgroup_limits {
    uint64_t memory_max, tasks_max, cpu_weight; /* 0: none */
};

/* Finds our own cgroup. With uid other than (uid_t)-1, gives it to that user as systemd documents for Delegate=. No cgroup is no
 * error. */
int cgroup_init(struct cgroup *c, uid_t uid, gid_t gid);
void cgroup_done(struct cgroup *c);

/* An owner's cgroup with its limits. ret_fd is to be closed by the caller. -EOPNOTSUPP: no delegation, or not this controller;
 * ret_what then names what is missing, static. */
int cgroup_make(const struct cgroup *c, uint64_t owner, const struct cgroup_limits *limits, int *ret_fd, const char **ret_what);
/* One that a client has sent. ret_fd is to be closed by the caller. -ENOTDIR: it is none. Whether it may be entered the kernel
 * decides then. */
int cgroup_given(int fd, int *ret_fd);
/* The file of it into which a process writes itself. The fd is the caller's. */
int cgroup_entrance(int cgroup, int *ret_fd);
/* Ends all processes in it and below, but for this one. Returns how many there were. Waits until they are gone, or for five
 * seconds. */
unsigned cgroup_clear(const struct cgroup *c);
/* The owners of all that are there. */
void cgroup_each(const struct cgroup *c, void (*call)(void *data, uint64_t owner), void *data);
int cgroup_kill(const struct cgroup *c, uint64_t owner);
/* -EBUSY while processes are in it. */
int cgroup_remove(const struct cgroup *c, uint64_t owner);
