/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Messages for people, one line each, on standard error. */

/* Which subcommand speaks from now on; NULL: none. The string must live as long as the program. */
void say_as(const char *subcommand);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Makes text from elsewhere safe for a terminal: control characters become '?'. At most size - 1 bytes. */
const char *say_clean(const char *text, char *ret_buffer, size_t size);
