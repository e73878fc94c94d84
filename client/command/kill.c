/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv kill`: a signal to workers, by id or by name. It goes through the server, which knows whether the worker still is that
 * worker; a bare pid could be somebody else's by now. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "format.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "target.h"

enum { KEY_GROUP = OPTION_OWN, KEY_ALL };

struct kill_options {
    struct target target;
    int signo; /* 0: not given */
    unsigned flags;
};

static const struct option_spec own_options[] = {
    {'s', "signal", "SIGNAL", "TERM, KILL, 10, RTMIN+1, ... (otherwise TERM)"},
    {KEY_GROUP, "group", NULL, "the worker's whole process group"},
    {KEY_ALL, "all", NULL, "everything in the worker's own cgroup; SIGKILL only"},
    {0},
};

static const struct usage usage = {
    .name = "kill",
    .synopsis = "[OPTIONS] ID|NAME...",
    .summary = "Sends a signal to workers. What consists of digits is an id, anything else is a name.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: 0 all got it, 1 at least one did not, 2 wrong use.\n"
            "\n"
            "Examples:\n"
            "  forksrv kill -s HUP backup\n"
            "  forksrv kill --all 17\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct kill_options *o = data;
    switch (key) {
    case 's':
        if (parse_signal(argument, &o->signo) < 0)
            return options_bad_value("--signal", argument, "a signal, such as TERM, SIGUSR1, 9 or RTMIN+1");
        return 0;
    case KEY_GROUP:
        o->flags |= FORKSRV_SIGNAL_GROUP;
        return 0;
    case KEY_ALL:
        o->flags |= FORKSRV_SIGNAL_ALL;
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static int check(struct kill_options *o) {
    if (o->flags == (FORKSRV_SIGNAL_GROUP | FORKSRV_SIGNAL_ALL)) {
        say("--group and --all exclude each other");
        return -EINVAL;
    }
    if (o->signo == 0)
        o->signo = o->flags & FORKSRV_SIGNAL_ALL ? SIGKILL : SIGTERM;
    if ((o->flags & FORKSRV_SIGNAL_ALL) && o->signo != SIGKILL) {
        say("--all ends a whole cgroup, which the kernel does by SIGKILL alone: leave out --signal");
        return -EINVAL;
    }
    return 0;
}

static int find_worker(struct forksrv *session, const char *word, uint64_t *ret_id) {
    struct forksrv_worker *worker;
    if (parse_worker_id(word, ret_id))
        return 0;
    int r = forksrv_attach(session, 0, word, REPLY_TIMEOUT, &worker);
    if (r < 0)
        return r;
    *ret_id = forksrv_worker_id(worker);
    forksrv_worker_free(worker);
    return 0;
}

static int kill_one(const struct kill_options *o, struct forksrv *session, const char *word) {
    char clean[80];
    uint64_t id;
    int r = find_worker(session, word, &id);
    if (r >= 0)
        r = forksrv_signal(session, id, o->signo, o->flags, REPLY_TIMEOUT);
    if (r < 0)
        say("%s: %s", say_clean(word, clean, sizeof clean), forksrv_error(session));
    return r;
}

int command_kill(int argc, char **argv) {
    struct kill_options o = {0};
    owned_session session = NULL;
    int first;
    int code = 0;
    int r = options_parse(&usage, argc, argv, set, &o, &first);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (check(&o) < 0)
        return EXIT_MISUSE;
    if (argv[first] == NULL) {
        say("no worker is named; see 'forksrv list'");
        return EXIT_MISUSE;
    }
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    for (char **word = argv + first; *word != NULL; word++)
        if (kill_one(&o, session, *word) < 0)
            code = EXIT_OWN_FAILURE;
    return code;
}
