/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of `forksrv run`, checked as far as that goes without a server. It opens nothing and changes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "options.h"
#include "parse.h"
#include "run.h"
#include "say.h"

enum {
    KEY_CLEAN_ENV = OPTION_OWN,
    KEY_UNSET_ENV,
    KEY_UMASK,
    KEY_RLIMIT,
    KEY_NICE,
    KEY_OOM_SCORE_ADJ,
    KEY_FD,
    KEY_TIMEOUT,
    KEY_GRACE,
    KEY_DETACH,
    KEY_AS_MAIN,
    KEY_NAME,
    KEY_MEMORY_MAX,
    KEY_TASKS_MAX,
    KEY_CPU_WEIGHT,
    KEY_NO_NEW_PRIVS,
    KEY_OWN_CGROUP,
    KEY_PROCESS_GROUP,
    KEY_NO_PRIVATE,
    KEY_JSON,
    KEY_JSON_FILE,
    KEY_WAIT_FOR_SLOT,
};

static const struct option_spec worker_options[] = {
    {'z', "zygote", "NAME",
     "forked by a warm zygote; for Python, PROGRAM and ARG are what\npython3 takes: script.py ..., -m NAME ..., -c CODE ..."},
    {'E', "setenv", "NAME[=VALUE]", "set a variable; NAME alone copies the caller's"},
    {KEY_UNSET_ENV, "unset-env", "NAME", "take a variable away"},
    {KEY_CLEAN_ENV, "clean-env", NULL, "start from an empty environment, not the caller's"},
    {'C', "chdir", "DIR", "work in DIR, not where the caller does"},
    {KEY_FD, "fd", "N[=M]",
     "the worker's N is the caller's M, as in N>&M of a shell;\n0, 1 and 2 are passed anyway, no others are"},
    {'t', "pty", NULL, "a terminal of its own for 0, 1 and 2, which stands in for the\ncaller's; it works without one, too"},
    {KEY_UMASK, "umask", "OCTAL", "not the caller's"},
    {KEY_NAME, "name", "NAME", "a name for list, kill and wait"},
    {KEY_PROCESS_GROUP, "process-group", NULL, "a process group of its own, not a session of its own"},
    {0},
};

static const struct option_spec limit_options[] = {
    {KEY_TIMEOUT, "timeout", "SPAN", "SIGTERM after so long: 500ms, 5s, 2min"},
    {KEY_GRACE, "grace", "SPAN", "from that SIGTERM to SIGKILL (otherwise the server's, 5s)"},
    {KEY_RLIMIT, "rlimit", "NAME=SOFT[:HARD]", "a resource limit, such as nofile=1K or core=0:infinity"},
    {KEY_NICE, "nice", "N", "-20 (first) to 19 (last)"},
    {KEY_OOM_SCORE_ADJ, "oom-score-adj", "N", "-1000 (never) to 1000 (first) when memory runs out"},
    {KEY_MEMORY_MAX, "memory-max", "SIZE", "of its cgroup: 64M, 1.5G"},
    {KEY_TASKS_MAX, "tasks-max", "N", "threads and processes in its cgroup"},
    {KEY_CPU_WEIGHT, "cpu-weight", "N", "1 to 10000; others have 100"},
    {KEY_OWN_CGROUP, "own-cgroup", NULL, "a cgroup even without limits: its descendants end with it"},
    {KEY_NO_NEW_PRIVS, "no-new-privs", NULL, "set-user-ID programs have no effect"},
    {0},
};

static const struct option_spec command_options[] = {
    {KEY_DETACH, "detach", NULL,
     "print the worker's id and leave; it goes on, with 0, 1 and 2\non /dev/null unless --fd names them"},
    {KEY_AS_MAIN, "as-main", NULL,
     "for ExecStart= of a service: make the worker the unit's main\nprocess, a child of systemd, and leave"},
    {KEY_JSON, "json", NULL, "print its end as JSON on standard error (with --detach: its\nid and pid on standard output)"},
    {KEY_JSON_FILE, "json-file", "FILE", "print its end as JSON to FILE"},
    {KEY_NO_PRIVATE, "no-private", NULL, "fail if there is no instance"},
    {KEY_WAIT_FOR_SLOT, "wait-for-slot", "[=SPAN]",
     "where a limit of the instance is reached, wait until there is\nroom, for SPAN at most"},
    {0},
};

static const struct usage usage = {
    .name = "run",
    .synopsis = "[OPTIONS] [--] PROGRAM [ARG...]\n       forksrv run [OPTIONS] -z ZYGOTE -- SCRIPT [ARG...] | -m MODULE [ARG...] "
                "| -c CODE [ARG...]",
    .summary = "Starts PROGRAM as a worker of the instance and ends as it does. It gets the standard input,\n"
               "output and error, the working directory, the environment and the umask of the caller, and\n"
               "nothing else of it. Signals (HUP INT QUIT TERM USR1 USR2 ALRM CONT TSTP WINCH) are passed\n"
               "on. Where there is no instance it says so and uses a private one.",
    .groups = {{"The worker", worker_options}, {"Its limits", limit_options}, {"This command", command_options}, TARGET_GROUP},
    .more = "Exit code: the worker's. If a signal ended the worker, the same signal ends this command. Of its own:\n"
            "125 something failed before the worker ran, 126 PROGRAM cannot be executed, 127 there is none.\n"
            "\n"
            "Examples:\n"
            "  forksrv run -- make -j4\n"
            "  forksrv run -z numpy -- script.py a b\n"
            "  forksrv run --pty -- bash\n"
            "  forksrv run --timeout=30s --rlimit=nofile=64 -E LANG=C -C /tmp -- sort words\n"
            "  id=$(forksrv run --detach --fd=1=2 --name=backup -- rsync -a /home /mnt); forksrv wait \"$id\"\n",
    .misuse = EXIT_RUN_FAILURE,
    .in_order = true,
};

static int add_variable(struct run_options *o, const char *text, bool unset) {
    size_t length = strcspn(text, "=");
    if (length == 0)
        return options_bad_value(unset ? "--unset-env" : "--setenv", text, "a variable: its name is empty");
    if (unset && text[length] != '\0')
        return options_bad_value("--unset-env", text, "a name: it has a '='");
    struct run_variable *more = reallocarray(o->variables, o->n_variables + 1, sizeof *more);
    if (more == NULL) {
        say("out of memory");
        return -ENOMEM;
    }
    o->variables = more;
    o->variables[o->n_variables++] = (struct run_variable){text, unset};
    return 0;
}

static int add_rlimit(struct run_options *o, const char *text) {
    struct run_rlimit limit;
    int r = parse_rlimit(text, &limit.resource, &limit.soft, &limit.hard);
    if (r == -ERANGE)
        return options_bad_value("--rlimit", text, "possible: SOFT must not be above HARD, nor HARD above 16 EiB");
    if (r < 0) {
        options_bad_value("--rlimit", text, "NAME=SOFT[:HARD] with numbers, K, M, G or 'infinity'");
        say("NAME is one of %s", parse_rlimit_names);
        return r;
    }
    for (unsigned i = 0; i < o->n_rlimits; i++)
        if (o->rlimits[i].resource == limit.resource) {
            o->rlimits[i] = limit;
            return 0;
        }
    o->rlimits[o->n_rlimits++] = limit;
    return 0;
}

static int add_fd(struct run_options *o, const char *text) {
    struct run_fd map;
    if (parse_fd_map(text, &map.target, &map.fd) < 0)
        return options_bad_value("--fd", text, "N=M, two numbers of file descriptors");
    /* Before anything is opened here: an fd of our own must not be taken for the caller's. */
    if (fcntl(map.fd, F_GETFD) < 0) {
        say("--fd=%s: file descriptor %d is not open here", text, map.fd);
        return -EBADF;
    }
    for (unsigned i = 0; i < o->n_fds; i++)
        if (o->fds[i].target == map.target) {
            say("--fd: %d of the worker is given twice", map.target);
            return -EINVAL;
        }
    if (o->n_fds == RUN_FDS) {
        say("--fd: more than %d", RUN_FDS);
        return -E2BIG;
    }
    o->fds[o->n_fds++] = map;
    return 0;
}

static int take_number(const char *name, const char *text, int min, int max, int *ret) {
    char should_be[64];
    int64_t number;
    if (parse_number(text, min, max, &number) < 0) {
        snprintf(should_be, sizeof should_be, "a number from %d to %d", min, max);
        return options_bad_value(name, text, should_be);
    }
    *ret = (int)number;
    return 0;
}

static int take_count(const char *name, const char *text, int64_t max, uint64_t *ret) {
    char should_be[64];
    int64_t number;
    if (parse_number(text, 1, max, &number) < 0) {
        snprintf(should_be, sizeof should_be, "a number from 1 to %lld", (long long)max);
        return options_bad_value(name, text, should_be);
    }
    *ret = (uint64_t)number;
    return 0;
}

static int take_span(const char *name, const char *text, uint64_t *ret) {
    uint64_t usec;
    if (parse_span(text, &usec) < 0 || usec == 0 || usec == UINT64_MAX)
        return options_bad_value(name, text, "a span of time above 0, such as 500ms, 5s or 2min");
    *ret = usec;
    return 0;
}

static int take_slot_wait(const char *text, uint64_t *ret) {
    *ret = UINT64_MAX;
    return text != NULL ? take_span("--wait-for-slot", text, ret) : 0;
}

static int take_memory(const char *text, uint64_t *ret) {
    uint64_t bytes;
    if (parse_size(text, &bytes) < 0 || bytes == 0 || bytes == UINT64_MAX)
        return options_bad_value("--memory-max", text, "a size above 0, such as 64M or 1.5G");
    *ret = bytes;
    return 0;
}

static int take_umask(const char *text, int *ret) {
    unsigned mask;
    if (parse_umask(text, &mask) < 0)
        return options_bad_value("--umask", text, "an octal number from 0 to 777");
    *ret = (int)mask;
    return 0;
}

static int set_limit(struct run_options *o, int key, const char *argument) {
    switch (key) {
    case KEY_TIMEOUT:
        return take_span("--timeout", argument, &o->time_limit);
    case KEY_GRACE:
        return take_span("--grace", argument, &o->grace);
    case KEY_RLIMIT:
        return add_rlimit(o, argument);
    case KEY_NICE:
        return take_number("--nice", argument, -20, 19, &o->nice);
    case KEY_OOM_SCORE_ADJ:
        return take_number("--oom-score-adj", argument, -1000, 1000, &o->oom_score_adj);
    case KEY_MEMORY_MAX:
        return take_memory(argument, &o->memory_max);
    case KEY_TASKS_MAX:
        return take_count("--tasks-max", argument, INT64_MAX, &o->tasks_max);
    case KEY_CPU_WEIGHT:
        return take_count("--cpu-weight", argument, 10000, &o->cpu_weight);
    case KEY_WAIT_FOR_SLOT:
        return take_slot_wait(argument, &o->slot_wait);
    case KEY_OWN_CGROUP:
        o->flags |= FORKSRV_OWN_CGROUP;
        return 0;
    case KEY_NO_NEW_PRIVS:
        o->flags |= FORKSRV_NO_NEW_PRIVS;
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static int set(void *data, int key, const char *argument) {
    struct run_options *o = data;
    switch (key) {
    case 'E':
        return add_variable(o, argument, false);
    case KEY_UNSET_ENV:
        return add_variable(o, argument, true);
    case KEY_CLEAN_ENV:
        o->clean_env = true;
        return 0;
    case 'C':
        o->chdir = argument;
        return 0;
    case KEY_FD:
        return add_fd(o, argument);
    case KEY_UMASK:
        return take_umask(argument, &o->umask);
    case 'z':
        o->zygote = argument;
        return 0;
    case KEY_NAME:
        o->name = argument;
        return 0;
    case 't':
        o->pty = true;
        o->flags |= FORKSRV_CONTROLLING_TERMINAL;
        return 0;
    case KEY_PROCESS_GROUP:
        o->flags |= FORKSRV_PROCESS_GROUP;
        return 0;
    case KEY_DETACH:
        o->detach = true;
        o->flags |= FORKSRV_DETACHED;
        return 0;
    case KEY_AS_MAIN:
        o->as_main = true;
        o->flags |= FORKSRV_HAND_OVER;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_JSON_FILE:
        o->json_file = argument;
        return 0;
    case KEY_NO_PRIVATE:
        o->no_private = true;
        return 0;
    default:
        return set_limit(o, key, argument);
    }
}

/* The unit has these of its own, and systemd waits for the end. */
static int check_as_main(const struct run_options *o) {
    const struct {
        bool given;
        const char *option, *instead;
    } not_with[] = {
        {o->target.use_private, "--private", "it needs an instance that systemd has started"},
        {o->detach, "--detach", "the worker outlives this command anyway"},
        {o->pty, "--pty", "this command, which would have the other end of the terminal, leaves"},
        {o->json || o->json_file != NULL, "--json", "see systemctl show"},
        {o->time_limit != 0 || o->grace != 0, "--timeout and --grace", "use RuntimeMaxSec= and TimeoutStopSec= of the unit"},
        {o->memory_max != 0, "--memory-max", "use MemoryMax= of the unit"},
        {o->tasks_max != 0, "--tasks-max", "use TasksMax= of the unit"},
        {o->cpu_weight != 0, "--cpu-weight", "use CPUWeight= of the unit"},
        {o->flags & FORKSRV_OWN_CGROUP, "--own-cgroup", "it has that of the unit"},
    };
    for (unsigned i = 0; o->as_main && i < sizeof not_with / sizeof not_with[0]; i++)
        if (not_with[i].given) {
            say("--as-main does not go with %s: %s", not_with[i].option, not_with[i].instead);
            return -EINVAL;
        }
    return 0;
}

static int check_pty(const struct run_options *o) {
    if (o->detach) {
        say("--detach leaves nobody who has the other end of the terminal of --pty");
        return -EINVAL;
    }
    if (o->flags & FORKSRV_PROCESS_GROUP) {
        say("--pty needs a session of the worker's own; leave out --process-group");
        return -EINVAL;
    }
    for (unsigned i = 0; i < o->n_fds; i++)
        if (o->fds[i].target < 3) {
            say("--fd=%d=%d: with --pty the worker's %d is the terminal", o->fds[i].target, o->fds[i].fd, o->fds[i].target);
            return -EINVAL;
        }
    return 0;
}

static int check(const struct run_options *o) {
    if (check_as_main(o) < 0 || (o->pty && check_pty(o) < 0))
        return -EINVAL;
    if (o->target.use_private && o->no_private) {
        say("--private and --no-private exclude each other");
        return -EINVAL;
    }
    if (o->detach && o->target.use_private) {
        say("--detach: a private instance, and so the worker, ends with this command; leave out --private");
        return -EINVAL;
    }
    if (o->detach && o->json_file != NULL) {
        say("--detach does not wait for the end that --json-file asks for; see 'forksrv wait --json'");
        return -EINVAL;
    }
    if (o->argv[0] == NULL) {
        say("no PROGRAM is given; see 'forksrv run --help'");
        return -EINVAL;
    }
    if (o->argv[0][0] == '\0') {
        say("the name of PROGRAM is empty");
        return -EINVAL;
    }
    return 0;
}

void run_options_init(struct run_options *o) {
    *o = (struct run_options){.umask = -1, .nice = INT_MIN, .oom_score_adj = INT_MIN};
}

void run_options_done(struct run_options *o) {
    free(o->variables);
    o->variables = NULL;
}

int run_options_parse(struct run_options *o, int argc, char **argv) {
    int first;
    int r = options_parse(&usage, argc, argv, set, o, &first);
    if (r != 0)
        return r;
    o->argv = argv + first;
    return check(o);
}
