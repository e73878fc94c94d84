/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "desktop-entry.h"

/* The Exec= of a desktop entry: its words, and the argument vectors that come of them. */

enum { DESKTOP_EXEC_WORDS = 4096 };

struct desktop_exec {
    char **words; /* owned; quotes undone, codes not yet expanded */
    size_t n_words;
    char file_code; /* 'f', 'F', 'u', 'U', or 0: it takes no files */
};

/* What a program is asked to open. */
struct desktop_target {
    char *path; /* absolute; NULL: it is no local file */
    char *uri;
};

/* What the other codes stand for; NULL: nothing. */
struct desktop_context {
    const char *name;
    const char *icon;
    const char *location;
};

/* -EINVAL: it is broken; -ENOMEM. */
int desktop_exec_parse(const char *text, struct desktop_exec *ret_exec, struct desktop_trouble *ret_trouble);
void desktop_exec_done(struct desktop_exec *x);

/* With %f and %u only the first target is taken: there is one process for each. -EINVAL: one is no local file, or there would be
 * no program; -ENOMEM. */
int desktop_exec_expand(const struct desktop_exec *x, const struct desktop_context *context, const struct desktop_target *targets,
                        size_t n_targets, char ***ret_argv, struct desktop_trouble *ret_trouble);
void desktop_argv_free(char **argv);

/* A URI, or an absolute path if it is none. -EINVAL: a file: URI that names no file; -ENOMEM. */
int desktop_target_init(struct desktop_target *t, const char *text, struct desktop_trouble *ret_trouble);
void desktop_target_done(struct desktop_target *t);
