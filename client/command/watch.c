/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv watch`: a line for everything that happens to any worker of the instance, written as it happens, until the reader or
 * the session goes away. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "format.h"
#include "json.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN };

struct watch_options {
    struct target target;
    bool json;
    int64_t count; /* 0: no limit */
};

static const struct option_spec own_options[] = {
    {'n', "count", "N", "leave after N events"},
    {KEY_JSON, "json", NULL, "print a line of JSON for each; the first says \"watching\""},
    {0},
};

static const struct usage usage = {
    .name = "watch",
    .synopsis = "[OPTIONS]",
    .summary = "Prints a line whenever a worker of the instance is started, cannot be started, or ends.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: 0 after N events, 1 when the session is lost. A signal ends it.\n"
            "\n"
            "Example:\n  forksrv watch --json | jq -c 'select(.event == \"ended\") | [.worker.id, .worker.end.code]'\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct watch_options *o = data;
    switch (key) {
    case KEY_JSON:
        o->json = true;
        return 0;
    case 'n':
        if (parse_number(argument, 1, INT64_MAX, &o->count) < 0)
            return options_bad_value("--count", argument, "a number above 0");
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static const char *event_name(enum forksrv_event_kind kind) {
    switch (kind) {
    case FORKSRV_EVENT_WATCH_STARTED:
        return "started";
    case FORKSRV_EVENT_WATCH_FAILED:
        return "failed";
    case FORKSRV_EVENT_WATCH_ENDED:
        return "ended";
    case FORKSRV_EVENT_WATCH_LOST:
        return "lost";
    case FORKSRV_EVENT_STARTED:
    case FORKSRV_EVENT_FAILED:
    case FORKSRV_EVENT_ENDED:
    case FORKSRV_EVENT_CLOSED:
    case FORKSRV_EVENT_OPENED:
    default:
        return NULL;
    }
}

static int print_json(const struct forksrv_event *e) {
    json_t *object = json_object();
    json_object_set_new(object, "event", json_string(event_name(e->kind)));
    if (e->info != NULL)
        json_object_set_new(object, "worker", json_info(e->info));
    if (e->kind == FORKSRV_EVENT_WATCH_FAILED) {
        const char *name = strerrorname_np(-e->error);
        json_object_set_new(object, "stage", json_string(forksrv_stage_name(e->stage)));
        json_object_set_new(object, "errno", json_string(name != NULL ? name : ""));
        json_object_set_new(object, "error", json_text(e->text));
    }
    if (e->kind == FORKSRV_EVENT_WATCH_LOST)
        json_object_set_new(object, "count", json_count(e->count));
    return json_print_line(stdout, object);
}

static void print_text(const struct forksrv_event *e) {
    char clock[16], name[80], program[300], what[512] = "";
    time_t now = time(NULL);
    struct tm tm;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &tm));
    if (e->kind == FORKSRV_EVENT_WATCH_LOST) {
        printf("%s lost     %" PRIu64 " events: this reader was too slow\n", clock, e->count);
        return;
    }
    if (e->kind == FORKSRV_EVENT_WATCH_ENDED)
        format_end(&e->info->end, what, sizeof what);
    else if (e->kind == FORKSRV_EVENT_WATCH_FAILED)
        say_clean(e->text, what, sizeof what);
    printf("%s %-8s %6" PRIu64 "  %7d  %s%s%s%s%s\n", clock, event_name(e->kind), e->info->id, (int)e->info->pid,
           say_clean(e->info->name, name, sizeof name), *name != '\0' ? "  " : "",
           say_clean(e->info->program, program, sizeof program), *what != '\0' ? "  " : "", what);
}

/* Tells that no event from now on is missed, so that a script knows when it can act. */
static int print_watching(const struct watch_options *o, const char *address) {
    if (!o->json) {
        say("watching %s", address);
        return 0;
    }
    json_t *object = json_object();
    json_object_set_new(object, "event", json_string("watching"));
    json_object_set_new(object, "address", json_text(address));
    return json_print_line(stdout, object) < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static int watch(const struct watch_options *o, struct forksrv *session) {
    struct forksrv_event e;
    int r = forksrv_watch(session, 1, REPLY_TIMEOUT);
    if (r >= 0 && print_watching(o, forksrv_address(session)) < 0)
        return EXIT_OWN_FAILURE;
    for (int64_t n = 0; r >= 0 && (o->count == 0 || n < o->count);) {
        r = forksrv_wait_event(session, FORKSRV_FOREVER, &e);
        if (r <= 0 || event_name(e.kind) == NULL) {
            if (r > 0 && e.kind == FORKSRV_EVENT_CLOSED)
                r = e.error < 0 ? e.error : -ENOTCONN;
            continue;
        }
        if (!o->json)
            print_text(&e);
        else if (print_json(&e) < 0)
            return EXIT_OWN_FAILURE;
        if (fflush(stdout) != 0)
            return EXIT_OWN_FAILURE;
        n++;
    }
    if (r >= 0)
        return 0;
    say("%s", forksrv_error(session));
    return EXIT_OWN_FAILURE;
}

int command_watch(int argc, char **argv) {
    struct watch_options o = {0};
    owned_session session = NULL;
    int r = options_parse_alone(&usage, argc, argv, set, &o);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    return watch(&o, session);
}
