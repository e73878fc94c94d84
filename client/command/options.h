/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* One table of options gives the parser, the --help and the suggestions of a subcommand. */

enum {
    /* Keys below are also the short option; keys from here on have none. Each file takes a range of its own. */
    OPTION_OWN = 0x100,
    OPTION_TARGET = 0x200,
    /* options_parse: --help was printed. */
    OPTIONS_HELPED = 1,
    OPTIONS_GROUPS = 6,
    OPTIONS_MAX = 64,
};

struct option_spec {
    int key;
    const char *name;     /* NULL ends the table */
    const char *argument; /* NULL: takes none; "[=WORD]": may take one */
    const char *help;     /* lines, separated by \n */
};

struct option_group {
    const char *title;
    const struct option_spec *options;
};

struct usage {
    const char *name;
    const char *synopsis;
    const char *summary;
    struct option_group groups[OPTIONS_GROUPS]; /* the first with a NULL title ends them */
    const char *more;                           /* after the options: exit codes, examples */
    int misuse;                                 /* the exit code for a wrong command line */
    bool in_order;                              /* options end at the first operand */
};

/* 0, or a negative errno after it said what is wrong. */
typedef int (*option_setter)(void *data, int key, const char *argument);

/* 0 and the index of the first operand; OPTIONS_HELPED; or a negative errno after it said what is wrong. */
int options_parse(const struct usage *usage, int argc, char **argv, option_setter set, void *data, int *ret_first);
/* The same for a subcommand without operands. */
int options_parse_alone(const struct usage *usage, int argc, char **argv, option_setter set, void *data);

/* "--NAME: 'ARGUMENT' is not SHOULD_BE"; returns -EINVAL. */
int options_bad_value(const char *name, const char *argument, const char *should_be);
