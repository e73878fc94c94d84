/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/words.h"

/* Configuration files, read by inih into a struct that a table describes. A wrong line is logged with file and line, and
 * otherwise has no effect: the others still count. */

enum setting_type {
    SETTING_COUNT,  /* uint64_t */
    SETTING_SPAN,   /* uint64_t, microseconds: "5", "5s", "1min 30s" */
    SETTING_SIZE,   /* uint64_t, bytes: "64M" */
    SETTING_BOOL,   /* bool */
    SETTING_CHOICE, /* unsigned: index into `choices` */
    SETTING_STRING, /* char *, owned; NULL: empty */
    SETTING_PATH,   /* the same, absolute */
    SETTING_WORDS,  /* struct words: appended to; an empty value takes back those before */
    SETTING_OWN,    /* by `own` */
};

struct settings_reading;

struct setting {
    const char *section, *name;
    enum setting_type type;
    size_t offset; /* in the struct */
    uint64_t otherwise;
    uint64_t least, most;       /* of COUNT, SPAN, SIZE; of STRING and WORDS `most` bytes */
    const char *const *choices; /* of CHOICE; NULL ends them */
    void (*own)(struct settings_reading *r, void *target, const char *value);
};

/* What is being read. `target` and the table describe each other. */
struct settings_reading {
    const struct setting *table;
    size_t count;
    void *target;
    /* private to settings.c */
    const char *path;
    void *file;
    unsigned line, wrong;
};

/* Numbers, choices and truths get what the table has for them; strings and lists become empty, without freeing. */
void settings_defaults(const struct setting *table, size_t count, void *target);
/* Frees strings and lists. */
void settings_done(const struct setting *table, size_t count, void *target);

/* Reads one file over what is there. Returns the number of wrong lines; 0 also if there is no such file (ret_found, which may be
 * NULL, tells). */
unsigned settings_read(const struct setting *table, size_t count, void *target, const char *path, bool *ret_found);

/* How many times a file, a folder or a line could not be read for reasons that are not its own: memory, fds, the disk. If there
 * are more after a reading than before, what was read lacks something that may well be there. */
unsigned settings_unread(void);
/* Tells that of a file or folder, and counts it. Returns 1. */
unsigned settings_cannot_read(const char *path, int error);
/* For `own`, as for every other value: it finds no memory. */
void settings_no_memory(struct settings_reading *r, const char *name);

/* For `own`: the line has no effect because of this value. */
void settings_complain(struct settings_reading *r, const char *what, const char *value, const char *why);

bool settings_parse_count(const char *text, uint64_t *ret);
