/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options: from a subcommand's tables to getopt_long, to the text of --help, and to a suggestion where something was
 * mistyped. It knows no option but --help. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "say.h"
#include "suggest.h"

enum { HELP_COLUMN = 28, KEY_HELP = 'h' };

static const struct option_spec help_option[] = {
    {KEY_HELP, "help", NULL, "print this help"},
    {0},
};

/* What getopt_long wants, made from the tables. */
struct getopt_tables {
    unsigned count;
    struct option longs[OPTIONS_MAX + 1];
    const char *names[OPTIONS_MAX + 1];
    char shorts[3 * OPTIONS_MAX + 3];
};

static int takes_argument(const struct option_spec *o) {
    return o->argument == NULL ? no_argument : o->argument[0] == '[' ? optional_argument : required_argument;
}

static void add_options(struct getopt_tables *t, const struct option_spec *options) {
    for (; options->name != NULL && t->count < OPTIONS_MAX; options++) {
        t->longs[t->count] = (struct option){options->name, takes_argument(options), NULL, options->key};
        t->names[t->count++] = options->name;
        if (options->key >= OPTION_OWN)
            continue;
        size_t n = strlen(t->shorts);
        t->shorts[n] = (char)options->key;
        for (int i = 0; i < takes_argument(options); i++)
            t->shorts[n + 1 + (size_t)i] = ':';
    }
}

static void make_tables(const struct usage *usage, struct getopt_tables *ret) {
    *ret = (struct getopt_tables){.shorts = ":"};
    if (usage->in_order)
        strcpy(ret->shorts, "+:");
    for (const struct option_group *g = usage->groups; g->title != NULL; g++)
        add_options(ret, g->options);
    add_options(ret, help_option);
}

static void print_option(const struct option_spec *o) {
    char left[80];
    int width = snprintf(left, sizeof left, "  %c%c%s--%s%s%s", o->key < OPTION_OWN ? '-' : ' ',
                         o->key < OPTION_OWN ? o->key : ' ', o->key < OPTION_OWN ? ", " : "  ", o->name,
                         takes_argument(o) == required_argument ? "=" : "", o->argument != NULL ? o->argument : "");
    fputs(left, stdout);
    if (width > HELP_COLUMN - 2) {
        putchar('\n');
        width = 0;
    }
    for (const char *line = o->help; *line != '\0'; width = 0) {
        int length = (int)strcspn(line, "\n");
        printf("%*s%.*s\n", HELP_COLUMN - width, "", length, line);
        line += length + (line[length] == '\n');
    }
}

static void print_help(const struct usage *usage) {
    printf("Usage: forksrv %s %s\n\n%s\n", usage->name, usage->synopsis, usage->summary);
    for (const struct option_group *g = usage->groups; g->title != NULL; g++) {
        printf("\n%s:\n", g->title);
        for (const struct option_spec *o = g->options; o->name != NULL; o++)
            print_option(o);
    }
    putchar('\n');
    print_option(help_option);
    printf("\n%s\nThe manual: man 1 forksrv\n", usage->more);
}

static int unknown_long(const struct usage *usage, const struct getopt_tables *t, const char *word) {
    char typed[64], clean[64];
    snprintf(typed, sizeof typed, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *meant = suggest(typed, t->names);
    say_clean(typed, clean, sizeof clean);
    if (meant != NULL)
        say("there is no option --%s: did you mean --%s?", clean, meant);
    else
        say("there is no option --%s; see 'forksrv %s --help'", clean, usage->name);
    return -EINVAL;
}

/* getopt_long leaves optopt at 0 for a long option that it does not know, and at a key of ours for one that got a value it does
 * not take. An unknown letter is no key of ours. */
static int wrong_option(const struct usage *usage, const struct getopt_tables *t, int what, const char *word) {
    if (what == ':') {
        say("%s needs a value; see 'forksrv %s --help'", word, usage->name);
        return -EINVAL;
    }
    if (optopt == 0)
        return unknown_long(usage, t, word);
    for (unsigned i = 0; i < t->count; i++)
        if (t->longs[i].val == optopt) {
            say("--%s takes no value", t->longs[i].name);
            return -EINVAL;
        }
    say("there is no option -%c; see 'forksrv %s --help'", optopt < 0x20 || optopt > 0x7e ? '?' : optopt, usage->name);
    return -EINVAL;
}

int options_parse(const struct usage *usage, int argc, char **argv, option_setter set, void *data, int *ret_first) {
    struct getopt_tables tables;
    make_tables(usage, &tables);
    opterr = 0;
    optind = 0;
    for (;;) {
        int key = getopt_long(argc, argv, tables.shorts, tables.longs, NULL);
        if (key == -1)
            break;
        if (key == '?' || key == ':')
            return wrong_option(usage, &tables, key, argv[optind - 1]);
        if (key == KEY_HELP) {
            print_help(usage);
            return OPTIONS_HELPED;
        }
        int r = set(data, key, optarg);
        if (r < 0)
            return r;
    }
    *ret_first = optind;
    return 0;
}

int options_parse_alone(const struct usage *usage, int argc, char **argv, option_setter set, void *data) {
    char clean[64];
    int first;
    int r = options_parse(usage, argc, argv, set, data, &first);
    if (r != 0 || argv[first] == NULL)
        return r;
    say("takes no operands such as '%s'; see 'forksrv %s --help'", say_clean(argv[first], clean, sizeof clean), usage->name);
    return -EINVAL;
}

int options_bad_value(const char *name, const char *argument, const char *should_be) {
    char clean[128];
    say("%s: '%s' is not %s", name, say_clean(argument, clean, sizeof clean), should_be);
    return -EINVAL;
}
