/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <pwd.h>

/* Looks up the user of --user=. Logs and returns -ESRCH if there is none. */
int privileges_find(const char *name, struct passwd *ret_pw, char *buf, size_t size);

/* Becomes the user for good: groups, gid, uid, no capabilities; and makes sure of it. Logs what failed. */
int privileges_drop(const struct passwd *pw);

/* For every flavour: not dumpable, so that no process of the same uid can trace us or look into /proc/PID, and no core is dumped.
 * And, from Linux 6.6 on, no memory of ours that was written becomes code. Neither outlives a child's exec. */
int privileges_harden(void);
