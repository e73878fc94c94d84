/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How a process has ended, as a status of waitpid(2), from a pidfd: also where somebody else has reaped it (Linux 6.15). 1; 0: it
 * has not ended, or nobody has reaped it; -ECHILD: the kernel does not know. */
int status_of_pidfd(int pidfd, int *ret_status);
