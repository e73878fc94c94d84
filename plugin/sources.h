/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "plugin/report.h"

/* Where declarations stand: some folders, the strongest first, and the assignments in a declaration with its drop-ins. */

enum {
    SOURCES_FOLDERS = 4,
    SOURCES_PATH = 4096,
    SOURCES_MOST = 1024,             /* declarations of a kind, and drop-ins of one: more is a mistake somewhere */
    SOURCES_FILE = 256 * 1024,       /* bytes of a file */
    SOURCES_LINES = 8 * 1024 * 1024, /* bytes of a declaration with its drop-ins */
};

struct sources {
    int root;           /* borrowed: stands for "/"; or -1 */
    const char *suffix; /* ".instance" */
    char folders[SOURCES_FOLDERS][SOURCES_PATH];
    unsigned n_folders;
    struct report *report;
};

/* Files of a name, each in the strongest folder that has it, in the order of their names. */
struct found {
    struct found_file {
        char *name; /* owned: with its suffix */
        unsigned folder;
    } * files;
    size_t count;
};

struct line {
    char *path; /* owned by the declaration */
    unsigned number;
    char *section, *name, *value; /* owned, as one block */
};

/* A declaration as it was read, not judged yet. */
struct declared {
    char *name;   /* owned, without the suffix */
    char *path;   /* owned: the file that decides */
    char **paths; /* owned: all that were read */
    size_t n_paths;
    struct line *lines; /* owned, in the order in which they count */
    size_t n_lines, room, bytes;
    struct report *report;
    unsigned wrong; /* mistakes: with any, nothing is made of it */
};

/* All files with the suffix. 0 or -ENOMEM. */
int sources_find(const struct sources *s, struct found *ret_found);
void found_done(struct found *f);

/* 1: read. 0: it is masked, or cannot be read (that was told). -ENOMEM. */
int sources_read(const struct sources *s, const struct found_file *file, struct declared *ret_declared);
void declared_done(struct declared *d);

/* A mistake in this line (NULL: in the whole). */
void declared_complain(struct declared *d, const struct line *line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
