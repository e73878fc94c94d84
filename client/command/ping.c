/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv ping`: is there an instance that takes our key, and how fast does it answer? */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "clock.h"
#include "command.h"
#include "json.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN, PING_MAX = 100000 };

struct ping_options {
    struct target target;
    bool json;
    int64_t count;
    uint64_t interval;
};

struct ping_times {
    uint64_t connect; /* all in nanoseconds */
    uint64_t min;
    uint64_t max;
    uint64_t sum;
};

static const struct option_spec own_options[] = {
    {'c', "count", "N", "how many (otherwise 4)"},
    {'i', "interval", "SPAN", "time between two (otherwise 0)"},
    {KEY_JSON, "json", NULL, "print an object, times in microseconds"},
    {0},
};

static const struct usage usage = {
    .name = "ping",
    .synopsis = "[OPTIONS]",
    .summary = "Connects to the instance, authenticates, and measures round trips on that session.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: 0 it answers, 1 it does not.\n"
            "\n"
            "Example:\n  forksrv ping -c 100 --user=alice\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct ping_options *o = data;
    switch (key) {
    case KEY_JSON:
        o->json = true;
        return 0;
    case 'c':
        if (parse_number(argument, 1, PING_MAX, &o->count) < 0)
            return options_bad_value("--count", argument, "a number from 1 to 100000");
        return 0;
    case 'i':
        if (parse_span(argument, &o->interval) < 0 || o->interval == UINT64_MAX)
            return options_bad_value("--interval", argument, "a span of time, such as 500ms or 1s");
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static void pause_for(uint64_t usec) {
    struct timespec t = {(time_t)(usec / 1000000), (long)(usec % 1000000) * 1000};
    if (usec > 0)
        nanosleep(&t, NULL);
}

static int measure(const struct ping_options *o, struct forksrv *session, struct ping_times *times) {
    for (int64_t i = 0; i < o->count; i++) {
        if (i > 0)
            pause_for(o->interval);
        uint64_t before = clock_nsec();
        int r = forksrv_ping(session, REPLY_TIMEOUT);
        if (r < 0) {
            say("%s", forksrv_error(session));
            return r;
        }
        uint64_t took = clock_nsec() - before;
        times->sum += took;
        times->min = took < times->min ? took : times->min;
        times->max = took > times->max ? took : times->max;
        if (!o->json)
            printf("answer %" PRId64 " after %.1f us\n", i + 1, (double)took / 1000);
    }
    return 0;
}

static int print_json(const struct ping_options *o, const char *address, const struct ping_times *t) {
    json_t *object = json_object();
    json_object_set_new(object, "address", json_text(address));
    json_object_set_new(object, "count", json_integer(o->count));
    json_object_set_new(object, "connect_usec", json_real((double)t->connect / 1000));
    json_object_set_new(object, "min_usec", json_real((double)t->min / 1000));
    json_object_set_new(object, "mean_usec", json_real((double)t->sum / 1000 / (double)o->count));
    json_object_set_new(object, "max_usec", json_real((double)t->max / 1000));
    return json_print(stdout, object);
}

static int ping(const struct ping_options *o) {
    struct ping_times t = {.min = UINT64_MAX};
    owned_session session = NULL;
    uint64_t before = clock_nsec();
    if (target_open(&o->target, &session) < 0)
        return EXIT_OWN_FAILURE;
    t.connect = clock_nsec() - before;
    if (!o->json)
        printf("%s: connected and authenticated in %.1f us\n", forksrv_address(session), (double)t.connect / 1000);
    if (measure(o, session, &t) < 0)
        return EXIT_OWN_FAILURE;
    if (o->json)
        return print_json(o, forksrv_address(session), &t) < 0 ? EXIT_OWN_FAILURE : 0;
    printf("%" PRId64 " answers: min %.1f us, mean %.1f us, max %.1f us\n", o->count, (double)t.min / 1000,
           (double)t.sum / 1000 / (double)o->count, (double)t.max / 1000);
    return 0;
}

int command_ping(int argc, char **argv) {
    struct ping_options o = {.count = 4};
    int r = options_parse_alone(&usage, argc, argv, set, &o);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    return ping(&o);
}
