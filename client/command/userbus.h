/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/* The user's service manager, over the session bus; and the journal. */

struct userbus;

/* A scope to be made around one process. */
struct scope {
    const char *unit;
    const char *slice;
    const char *description;
    const char *source; /* NULL: none */
    pid_t pid;
    int pidfd;
};

/* It has connected, but nothing was said yet. Negative errno after it said what is wrong. */
int userbus_new(struct userbus **ret_bus);
void userbus_free(struct userbus *b);

/* Returns once the process is in its unit. Negative errno after it said what is wrong. */
int userbus_start_scope(struct userbus *b, const struct scope *scope);

/* A stream to the journal, the caller's to close; or -1 where there is no journal. */
int userbus_journal(const struct userbus *b, const char *identifier);
