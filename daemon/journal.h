/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* One line for the journal, made field by field. */
struct journal_entry {
    unsigned size;
    char data[8192];
};

/* value is cut where it would be too long. */
void journal_put(struct journal_entry *e, const char *name, const char *value);
/* false: the journal takes nothing now, and the line is lost. */
bool journal_send(const struct journal_entry *e);
