/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv top`: what the instance does, again and again: on a terminal with keys, elsewhere as text or as JSON. */
#include "top.h"

#include <errno.h>
#include <locale.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "command.h"
#include "json.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "screen.h"
#include "target.h"
#include "top-process.h"

enum { KEY_JSON = OPTION_OWN, KEY_BATCH, KEY_SORT, KEY_REVERSE, DELAY_MIN = 100000 };
#define DELAY_MAX (UINT64_C(86400) * 1000000)

struct top_options {
    struct target target;
    uint64_t delay;
    int64_t count; /* of frames; 0: not given */
    enum top_order order;
    bool reverse;
    bool batch;
    bool json;
};

static const struct option_spec own_options[] = {
    {'d', "delay", "SPAN", "time from one frame to the next (otherwise 1s)"},
    {'n', "count", "N", "print N frames, one after the other, and leave"},
    {KEY_BATCH, "batch", NULL, "print frames without an end, or as many as --count says"},
    {KEY_JSON, "json", NULL, "print a line of JSON for each; one, or as for text"},
    {KEY_SORT, "sort", "COLUMN", "cpu, memory, age, id or name (otherwise cpu)"},
    {KEY_REVERSE, "reverse", NULL, "the other way round"},
    {0},
};

static const struct usage usage = {
    .name = "top",
    .synopsis = "[OPTIONS]",
    .summary = "Shows what the instance does: its zygotes and workers, how much of the processors and of memory\n"
               "they take, and how many are started. Keys sort the workers and kill the one that is selected; the\n"
               "last line tells which. What is not a terminal gets one frame as text.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: 0 it was left, 1 when the session is lost, 2 wrong use.\n"
            "\n"
            "Examples:\n"
            "  forksrv top --sort=memory\n"
            "  forksrv top --json -n 60 | jq '.started_per_second'\n",
    .misuse = EXIT_MISUSE,
};

static int set_order(struct top_options *o, const char *word) {
    for (int i = 0; top_order_names[i] != NULL; i++)
        if (strcmp(top_order_names[i], word) == 0) {
            o->order = (enum top_order)i;
            return 0;
        }
    return options_bad_value("--sort", word, "one of cpu, memory, age, id and name");
}

static int set(void *data, int key, const char *argument) {
    struct top_options *o = data;
    switch (key) {
    case 'd':
        if (parse_span(argument, &o->delay) < 0 || o->delay < DELAY_MIN || o->delay > DELAY_MAX)
            return options_bad_value("--delay", argument, "a time from 100ms to 1d, such as 2 or 500ms");
        return 0;
    case 'n':
        if (parse_number(argument, 1, INT64_MAX, &o->count) < 0)
            return options_bad_value("--count", argument, "a number above 0");
        return 0;
    case KEY_BATCH:
        o->batch = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_SORT:
        return set_order(o, argument);
    case KEY_REVERSE:
        o->reverse = true;
        return 0;
    default:
        return target_set(&o->target, key, argument);
    }
}

static int print_frame(const struct top_options *o, struct top_sample *sample, const char *address, bool first) {
    struct top_canvas canvas = {.out = stdout, .columns = -1, .rows = -1};
    int rows;
    top_sort(sample, o->order, o->reverse);
    if (o->json)
        return json_print_line(stdout, top_json(sample, address));
    if (!first)
        top_line(&canvas, TOP_PLAIN, "");
    if (screen_usable())
        screen_size(&rows, &canvas.columns);
    top_print_head(&canvas, sample, address);
    top_print_title(&canvas, o->order, o->reverse);
    for (size_t i = 0; i < sample->n_rows; i++)
        top_print_row(&canvas, sample->order[i], false);
    return 0;
}

static void sleep_until(uint64_t when) {
    struct timespec t = {.tv_sec = (time_t)(when / 1000000), .tv_nsec = (long)(when % 1000000) * 1000};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* Frames come at even times, and none is left out. An error of the session is negative; lost output is main's to tell. */
static int print_frames(const struct top_options *o, struct forksrv *session) {
    struct top_sample *before = NULL;
    uint64_t next = top_process_clock();
    int64_t count = o->count > 0 ? o->count : o->batch ? INT64_MAX : 1;
    int r = 0;
    for (int64_t i = 0; i < count; i++) {
        struct top_sample *sample;
        if (i > 0)
            sleep_until(next += o->delay);
        r = top_sample_new(session, before, UINT64_MAX, &sample);
        if (r < 0)
            break;
        top_sample_free(before);
        before = sample;
        if (print_frame(o, sample, forksrv_address(session), i == 0) < 0 || fflush(stdout) != 0)
            break;
    }
    top_sample_free(before);
    return r;
}

int command_top(int argc, char **argv) {
    struct top_options o = {.delay = 1000000};
    owned_session session = NULL;
    bool of_terminal = false;
    int r = options_parse_alone(&usage, argc, argv, set, &o);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    /* Which characters the terminal has, and how wide they are. */
    setlocale(LC_CTYPE, "");
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    if (o.batch || o.json || o.count > 0 || !screen_usable())
        r = print_frames(&o, session);
    else
        r = top_view(session, o.delay, o.order, o.reverse, &of_terminal);
    if (r < 0 && of_terminal)
        say("the terminal: %s", strerror(-r));
    else if (r < 0)
        say("%s", *forksrv_error(session) != '\0' ? forksrv_error(session) : strerror(-r));
    return r < 0 ? EXIT_OWN_FAILURE : 0;
}
