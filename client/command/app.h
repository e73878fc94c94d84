/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "desktop-exec.h"
#include "desktop-find.h"
#include "target.h"
#include "unit-name.h"

/* `forksrv app`: what was asked for, and what comes of it. */

enum { APP_TARGETS = 1024 };

/* Strings are borrowed from argv. */
struct app_options {
    struct target target;
    const char *name;
    const char *description;
    char slice[UNIT_NAME_MAX + 1]; /* whole: "app.slice" */
    char unit[UNIT_NAME_MAX + 1];  /* "": one is made */
    const char *zygote;
    bool terminal;
    bool dry_run;
    char **words; /* the program or the entry, and what follows */
};

/* 0; OPTIONS_HELPED; or a negative errno after it said what is wrong. */
int app_options_parse(struct app_options *o, int argc, char **argv);

/* One process to be started. */
struct app_process {
    char **argv; /* owned */
    char unit[UNIT_NAME_MAX + 1];
};

struct app_plan {
    struct app_process *processes; /* owned */
    size_t n_processes;
    char *id;           /* owned, without ".desktop" */
    char *description;  /* owned */
    char *folder;       /* owned; NULL: the caller's */
    const char *source; /* of the file; NULL: no entry */
    struct desktop_file file;
    struct desktop_entry entry;
};

/* app-plan.c: 0, or the exit code after it said what is wrong. */
int app_plan_make(const struct app_options *o, struct app_plan *ret_plan);
void app_plan_done(struct app_plan *p);

/* app-entry.c: the argument vectors, description and folder of an entry. The same. */
int app_plan_entry(const struct app_options *o, struct app_plan *p);
/* The word is the name of an entry: "foo.desktop", "foo.desktop:action". */
bool app_is_entry(const char *word);
/* Adds a process. 0 or -ENOMEM, the vector is taken in any case. */
int app_plan_add(struct app_plan *p, char **argv);

/* app-terminal.c: puts the words of a terminal in front. Takes the vector in any case. -ENOENT after it said that there is none.
 */
int app_in_terminal(char **argv, char ***ret_argv);
/* Whether a program would be found: in PATH, or, with a slash, there. */
bool app_can_run(const char *program);

/* app-start.c: the exit code. */
int app_start(const struct app_options *o, const struct app_plan *p);
