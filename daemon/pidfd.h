/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* What the kernel tells of a process by its pidfd, whoever its parent is. */

/* Its pid and its parent's, as we see them; before 6.13 the parent's is left alone. -ESRCH: it ended and was reaped, or is in
 * another pid namespace; -EINVAL: not a pidfd. */
int pidfd_pid(int pidfd, pid_t *ret_pid, pid_t *ret_parent);

/* How it ended, although somebody else has reaped it: kernel 6.15 and later. 1 with END_* and a code or signal; 0: it has not
 * been reaped yet; -ECHILD: this kernel does not tell. */
int pidfd_end(int pidfd, int *ret_kind, int *ret_value);

/* A number of /proc/PID/stat, by that of its field in proc(5), from 4 on; 0: there is no such process. */
uint64_t process_stat(pid_t pid, unsigned field);
