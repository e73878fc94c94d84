/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of `forksrv app`, which are those that users of `uwsm app` and `app2unit` know. It opens nothing. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "command.h"
#include "options.h"
#include "say.h"
#include "unit-name.h"

static const struct option_spec unit_options[] = {
    {'s', "slice", "SLICE", "app (otherwise), background, session, their first letters,\nor NAME.slice"},
    {'a', "app-name", "NAME", "the application's ID in the unit's name, not that of the\nentry or the program's file name"},
    {'u', "unit", "NAME", "the whole name of the unit, NAME.scope"},
    {'d', "description", "TEXT", "of the unit, not the entry's name"},
    {'t', "type", "scope", "the only type there is"},
    {0},
};

static const struct option_spec start_options[] = {
    {'z', "zygote", "NAME",
     "forked by a warm zygote; what follows is what it takes: for\nPython script.py ..., -m NAME ..., -c CODE ..."},
    {'T', "terminal", NULL, "in a terminal, as with Terminal=true"},
    {'n', "dry-run", NULL, "print units and arguments, and start nothing"},
    {0},
};

static const struct usage usage = {
    .name = "app",
    .synopsis = "[OPTIONS] [--] ID.desktop[:ACTION] | FILE.desktop[:ACTION] [URI...]\n"
                "       forksrv app [OPTIONS] [--] PROGRAM [ARG...]\n"
                "       forksrv app [OPTIONS] -z ZYGOTE -- SCRIPT [ARG...] | -m MODULE [ARG...] | -c CODE [ARG...]",
    .summary = "Starts an application of the desktop, by its desktop entry or by its PROGRAM, through the\n"
               "session's instance, in a unit of its own: app-forksrv-ID-RANDOM.scope. The application goes on\n"
               "when this command leaves, which it does once the program runs. It gets the environment and the\n"
               "umask of the caller; its output goes to the journal, and its input is /dev/null. It works where\n"
               "the caller does, or, by an entry, in the home folder or where the entry says.",
    .groups = {{"Its unit", unit_options}, {"The application", start_options}, TARGET_GROUP},
    .more = "Exit code: 0 it runs, 125 something failed before, 126 the program cannot be executed, 127 there is no such\n"
            "entry or program. If its unit cannot be made, the program does not run.\n"
            "\n"
            "Examples:\n"
            "  forksrv app org.gnome.Evince.desktop ~/paper.pdf\n"
            "  forksrv app firefox.desktop:new-private-window\n"
            "  forksrv app -s background -- syncthing --no-browser\n",
    .misuse = EXIT_RUN_FAILURE,
    .in_order = true,
};

static int set_slice(struct app_options *o, const char *text) {
    static const char *const names[] = {"app", "background", "session"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0 || (text[0] == names[i][0] && text[1] == '\0')) {
            snprintf(o->slice, sizeof o->slice, "%s.slice", names[i]);
            return 0;
        }
    if (!unit_name_is(text, ".slice"))
        return options_bad_value("--slice", text, "app, background, session, a, b, s or NAME.slice");
    snprintf(o->slice, sizeof o->slice, "%s", text);
    return 0;
}

static int set_unit(struct app_options *o, const char *text) {
    size_t size = strlen(text);
    bool whole = size > 6 && strcmp(text + size - 6, ".scope") == 0;
    if ((size_t)snprintf(o->unit, sizeof o->unit, "%s%s", text, whole ? "" : ".scope") >= sizeof o->unit ||
        !unit_name_is(o->unit, ".scope"))
        return options_bad_value("--unit", text, "a name of a unit: letters, digits, and :-_.\\, at most 255");
    return 0;
}

static int set_type(const char *text) {
    if (strcmp(text, "scope") == 0)
        return 0;
    if (strcmp(text, "service") == 0) {
        say("--type=service: a process that a fork server starts can have a scope only; leave it out");
        return -EINVAL;
    }
    return options_bad_value("--type", text, "scope");
}

static int set(void *data, int key, const char *argument) {
    struct app_options *o = data;
    switch (key) {
    case 's':
        return set_slice(o, argument);
    case 'u':
        return set_unit(o, argument);
    case 't':
        return set_type(argument);
    case 'a':
        o->name = argument;
        return argument[0] != '\0' ? 0 : options_bad_value("--app-name", argument, "a name");
    case 'd':
        o->description = argument;
        return 0;
    case 'z':
        o->zygote = argument;
        return 0;
    case 'T':
        o->terminal = true;
        return 0;
    case 'n':
        o->dry_run = true;
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static int check(const struct app_options *o) {
    const char *wrong = NULL;
    if (o->target.use_private)
        wrong = "--private: such an instance, and so the application, ends with this command; leave it out";
    else if (o->words[0] == NULL)
        wrong = "no entry and no PROGRAM is given; see 'forksrv app --help'";
    else if (o->words[0][0] == '\0')
        wrong = "the name of PROGRAM is empty";
    else if (o->zygote != NULL && o->terminal)
        wrong = "--terminal does not go with --zygote: a zygote executes no terminal";
    else if (o->zygote != NULL && app_is_entry(o->words[0]))
        wrong = "--zygote does not go with an entry: its program is executed, not forked";
    if (wrong == NULL)
        return 0;
    say("%s", wrong);
    return -EINVAL;
}

int app_options_parse(struct app_options *o, int argc, char **argv) {
    int first;
    *o = (struct app_options){.slice = "app.slice"};
    int r = options_parse(&usage, argc, argv, set, o, &first);
    if (r != 0)
        return r;
    o->words = argv + first;
    return check(o);
}
