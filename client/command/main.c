/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command `forksrv`: a table of subcommands, and what holds for all of them: standard files that are open, and an error
 * where output got lost. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "forksrv.h"
#include "say.h"
#include "standard.h"
#include "suggest.h"

static const struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} subcommands[] = {
    {"run", command_run, "start a worker, and end as it does"},
    {"app", command_app, "start an application of the desktop in its own unit"},
    {"list", command_list, "the workers of the instance"},
    {"status", command_status, "counters and limits of the instance"},
    {"top", command_top, "what the instance does, live"},
    {"kill", command_kill, "send a signal to workers"},
    {"wait", command_wait, "wait for workers, and end as they did"},
    {"watch", command_watch, "print what happens, as it happens"},
    {"zygote", command_zygote, "warm processes that workers are forked from"},
    {"python", command_python, "run a Python program with processes of a zygote"},
    {"ping", command_ping, "measure round trips to the instance"},
    {"keygen", command_keygen, "make the key of an instance"},
    {"bench", command_bench, "measure how fast processes are started"},
};

enum { N_SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static void print_help(void) {
    printf("Usage: forksrv SUBCOMMAND [OPTIONS] ...\n\n"
           "Starts and watches processes through forksrv, the fork server for systemd.\n\n");
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        printf("  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
    printf("  %-8s %s\n", "help", "print this help, or that of a subcommand");
    printf("\n  -h, --help      print this help\n"
           "  -V, --version   print the version\n\n"
           "Example:\n  forksrv run -- sh -c 'echo hello from $$'\n\n"
           "Each subcommand has --help. The manual: man 1 forksrv\n");
}

static const struct subcommand *find(const char *name) {
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        if (strcmp(subcommands[i].name, name) == 0)
            return &subcommands[i];
    return NULL;
}

static int unknown(const char *name) {
    const char *names[N_SUBCOMMANDS + 2] = {"help"};
    char clean[64];
    for (size_t i = 0; i < N_SUBCOMMANDS; i++)
        names[i + 1] = subcommands[i].name;
    const char *meant = suggest(name, names);
    say_clean(name, clean, sizeof clean);
    if (meant != NULL)
        say("there is no subcommand '%s': did you mean '%s'?", clean, meant);
    else
        say("there is no subcommand '%s'; see 'forksrv help'", clean);
    return EXIT_MISUSE;
}

static int help(const char *name) {
    char option[] = "--help";
    if (name == NULL) {
        print_help();
        return 0;
    }
    const struct subcommand *s = find(name);
    if (s == NULL)
        return unknown(name);
    char *argv[] = {option, option, NULL};
    return s->run(2, argv);
}

static int dispatch(int argc, char **argv) {
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word == NULL) {
        say("a subcommand is needed; see 'forksrv help'");
        return EXIT_MISUSE;
    }
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("forksrv %s\n", PACKAGE_VERSION);
        return 0;
    }
    if (word[0] == '-') {
        say("options stand after the subcommand; see 'forksrv help'");
        return EXIT_MISUSE;
    }
    const struct subcommand *s = find(word);
    if (s == NULL)
        return unknown(word);
    say_as(s->name);
    return s->run(argc - 1, argv + 1);
}

int main(int argc, char **argv) {
    standard_files_init();
    int code = dispatch(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        say("cannot write to standard output: %s", strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    return code;
}
