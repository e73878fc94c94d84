/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Text by the columns that it takes on a terminal, in the character set of LC_CTYPE. */

/* As much of the text as fits into so many columns (negative: no limit) and size - 1 bytes, without anything that could command
 * a terminal: that becomes '?'. Returns the columns that it takes. */
int columns_clip(const char *text, int columns, char *ret_buffer, size_t size);
/* The same, filled up with blanks to exactly so many columns. Returns its buffer. */
const char *columns_fill(const char *text, int columns, char *ret_buffer, size_t size);
