/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* A pipe from which a client of multiprocessing reads how its process has ended. */

/* Whether that is a pipe at all. */
bool exit_pipe_is_one(int fd);
/* The code, or the negative number of the signal; nothing if the end is not known: its reader then finds the end of the file.
 * Waits for nobody. */
void exit_pipe_write(int fd, int kind, int value);
