/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "common/words.h"
#include "plugin/sources.h"

/* What the assignments of a declaration mean: into a struct that a table describes, or on to systemd as they are. */

enum key_type {
    KEY_TEXT, /* const char *, borrowed from the line; the last one counts, an empty one takes it back: NULL */
    KEY_BOOL, /* bool */
    KEY_LIST, /* struct key_list; lines add up, an empty one takes back those before, the default too */
    KEY_PASS, /* for systemd's [Service], where it has the same name */
};

struct key_list {
    struct words words;
    bool said; /* what is there is no default */
};

struct key {
    const char *section, *name;
    enum key_type type;
    size_t offset; /* in the struct */
    const char *kind;
    bool (*fine)(const char *value); /* of a text that is not empty, or of a word of a list; NULL: any */
};

/* Which keys there are, and which sections are systemd's: what of them is not in the table is passed on unread. */
struct keys {
    const struct key *table;
    size_t count;
    const char *const *passed; /* NULL ends them */
};

void keys_read(const struct keys *k, struct declared *d, void *target);

/* The lines of a section of systemd's, as they came, below a header if there are any. Returns how many. */
unsigned keys_pass(FILE *out, const struct declared *d, const char *section, bool header);
/* Those of type KEY_PASS. */
void keys_pass_own(FILE *out, const struct keys *k, const struct declared *d);

/* What every file that is made begins with: whence it is. */
void keys_write_head(FILE *out, const char *path);
/* SourcePath=, by which systemd sees that the file has changed. */
void keys_write_source(FILE *out, const char *path);
/* In a unit a '%' has a meaning, unless it is written twice. */
void keys_write_plain(FILE *out, const char *text);

bool key_is_value(const char *value);
bool key_is_slice(const char *value);
