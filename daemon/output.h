/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

/* What a zygote's own process prints: lines for the journal, and the last of it for the error that a client sees. */

struct output;

/* ret_write: for the process, the caller closes it. name is copied. */
int output_new(struct daemon *d, const char *name, struct output **ret_output, int *ret_write);
/* The last bytes that were printed, as one text without an end of line; "" if there are none. All that has been printed is in the
 * log then. */
const char *output_tail(struct output *o);
void output_free(struct output *o);
