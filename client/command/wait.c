/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv wait`: until workers ended that some other command started, and then the same end as the last one named. It only looks
 * on: signals end this command, not the workers. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "command.h"
#include "ending.h"
#include "json.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN, KEY_TIMEOUT };

struct wait_options {
    struct target target;
    bool json;
    uint64_t timeout;
};

static const struct option_spec own_options[] = {
    {KEY_TIMEOUT, "timeout", "SPAN", "wait no longer than this, in all"},
    {KEY_JSON, "json", NULL, "print each end as a line of JSON"},
    {0},
};

static const struct usage usage = {
    .name = "wait",
    .synopsis = "[OPTIONS] ID|NAME...",
    .summary = "Waits until the workers have ended, and ends as the last one named did. Also for those that\n"
               "ended already, as long as their end is kept. What consists of digits is an id.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: the last worker's; if a signal ended it, the same signal ends this command. Of its own:\n"
            "124 --timeout is over, 125 something failed, such as a worker that is not there.\n"
            "\n"
            "Example:\n  forksrv wait --timeout=1h backup\n",
    .misuse = EXIT_RUN_FAILURE,
};

static int set(void *data, int key, const char *argument) {
    struct wait_options *o = data;
    switch (key) {
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_TIMEOUT:
        if (parse_span(argument, &o->timeout) < 0)
            return options_bad_value("--timeout", argument, "a span of time, such as 500ms, 5s or 2min");
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static uint64_t remaining(uint64_t deadline) {
    uint64_t now = clock_nsec() / 1000;
    return deadline == FORKSRV_FOREVER ? FORKSRV_FOREVER : deadline > now ? deadline - now : 0;
}

static int print_end(const struct forksrv_worker *worker, const struct forksrv_end *end) {
    json_t *object = json_object();
    json_object_set_new(object, "id", json_count(forksrv_worker_id(worker)));
    json_object_set_new(object, "end", json_end(end));
    int r = json_print_line(stdout, object);
    return r < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

/* 0 and the end, or an exit code of our own after it said why. */
static int wait_one(const struct wait_options *o, struct forksrv *session, const char *word, uint64_t deadline,
                    struct forksrv_end *ret_end) {
    struct forksrv_worker *worker;
    char clean[80];
    uint64_t id = 0;
    bool by_id = parse_worker_id(word, &id);
    say_clean(word, clean, sizeof clean);
    int r = forksrv_attach(session, id, by_id ? NULL : word, REPLY_TIMEOUT, &worker);
    if (r < 0) {
        say("%s: %s", clean, forksrv_error(session));
        return EXIT_RUN_FAILURE;
    }
    r = forksrv_worker_wait(worker, remaining(deadline), ret_end);
    if (r == -ETIMEDOUT) {
        say("%s: has not ended in time", clean);
        return EXIT_WAIT_TIMEOUT;
    }
    if (r < 0) {
        say("%s: %s", clean, forksrv_error(session));
        return EXIT_RUN_FAILURE;
    }
    return o->json && print_end(worker, ret_end) < 0 ? EXIT_RUN_FAILURE : 0;
}

int command_wait(int argc, char **argv) {
    struct wait_options o = {.timeout = FORKSRV_FOREVER};
    struct forksrv_end end;
    owned_session session = NULL;
    int first;
    int r = options_parse(&usage, argc, argv, set, &o, &first);
    if (r != 0)
        return r < 0 ? EXIT_RUN_FAILURE : 0;
    if (argv[first] == NULL) {
        say("no worker is named; see 'forksrv list'");
        return EXIT_RUN_FAILURE;
    }
    if (target_open(&o.target, &session) < 0)
        return EXIT_RUN_FAILURE;
    uint64_t now = clock_nsec() / 1000;
    uint64_t deadline = o.timeout > FORKSRV_FOREVER - now ? FORKSRV_FOREVER : now + o.timeout;
    for (char **word = argv + first; *word != NULL; word++) {
        int code = wait_one(&o, session, *word, deadline, &end);
        if (code != 0)
            return code;
    }
    return end_as(&end);
}
