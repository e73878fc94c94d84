/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

/* The caller's own terminal: standard input, if that is one. There is one, so its state is no argument. */

/* Whether there is one. First of all. */
bool terminal_init(void);
/* As the caller has it. */
const struct termios *terminal_settings(void);
/* The size of whichever of the standard files is a terminal. False if none is. */
bool terminal_size(struct winsize *ret_size);
/* Whether this process may read and set it: not while it is a job in the background. */
bool terminal_is_ours(void);

/* Every key is a byte from here on, until terminal_restore() or the end of this process by a signal that can be caught. Whether
 * it was not so already. */
bool terminal_set_raw(void);
/* Whoever had this process stopped may have set it: terminal_set_raw() is to do its work again. */
void terminal_forget(void);
/* As raw, but the keys for signals are for this process. Nothing unless it is raw. */
void terminal_take_signals(void);
/* Nothing unless it is raw, and ours. Before anything is said, and before this process stops. */
void terminal_restore(void);
