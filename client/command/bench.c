/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv bench`: the table of CPython's PR 99309, for starting processes locally and through the instance. The methods take
 * turns within each repetition, so that whatever else the machine does hits all of them alike. It measures; what the figures
 * should be is for `make bench` to say. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "command.h"
#include "json.h"
#include "load.h"
#include "options.h"
#include "parse.h"
#include "say.h"
#include "statistics.h"

enum { KEY_JSON = OPTION_OWN, KEY_CSV, KEY_TOTALS, KEY_ACTIVE, KEY_METHODS, KEY_REPEAT, LIST_MAX = 16, REPEAT_MAX = 1000 };

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV };

struct bench_options {
    struct target target;
    enum format format;
    unsigned totals[LIST_MAX], n_totals;
    unsigned active[LIST_MAX], n_active;
    const struct load *methods[LIST_MAX];
    unsigned n_methods;
    unsigned repeat;
};

static const struct option_spec own_options[] = {
    {KEY_TOTALS, "totals", "N,...", "processes of one measurement (otherwise 32,128,384,1024,2048)"},
    {KEY_ACTIVE, "active", "N,...", "how many of them at a time (otherwise 1,2,4,8)"},
    {KEY_METHODS, "methods", "NAME,...", "posix-spawn, fork-exec, session, session-started, connection\n(otherwise all)"},
    {KEY_REPEAT, "repeat", "N", "measurements of each (otherwise 3)"},
    {KEY_JSON, "json", NULL, "print an array of objects"},
    {KEY_CSV, "csv", NULL, "print comma-separated values"},
    {0},
};

static const struct usage usage = {
    .name = "bench",
    .synopsis = "[OPTIONS] [PROGRAM [ARG...]]",
    .summary = "Measures how fast processes of PROGRAM (otherwise /bin/true) are started and waited for: by\n"
               "this command itself, through one session of the instance, and with a connection and a\n"
               "handshake for each. The last one needs an instance with an address, so not --private.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Example:\n  forksrv bench --totals=384 --active=1,8 --csv >bench.csv\n",
    .misuse = EXIT_MISUSE,
    .in_order = true,
};

static int take_list(const char *name, char *text, int64_t max, unsigned *ret_list, unsigned *ret_n) {
    unsigned n = 0;
    char *rest = text;
    for (char *word = strsep(&rest, ","); word != NULL; word = strsep(&rest, ",")) {
        int64_t number;
        if (n == LIST_MAX || parse_number(word, 1, max, &number) < 0)
            return options_bad_value(name, word,
                                     max == LOAD_ACTIVE_MAX ? "a number from 1 to 256 (16 of them at most)"
                                                            : "a number from 1 to 1000000 (16 of them at most)");
        ret_list[n++] = (unsigned)number;
    }
    *ret_n = n;
    return 0;
}

static int take_methods(struct bench_options *o, char *text) {
    char *rest = text;
    o->n_methods = 0;
    for (char *word = strsep(&rest, ","); word != NULL; word = strsep(&rest, ",")) {
        const struct load *load = load_find(word);
        if (load == NULL || o->n_methods == LIST_MAX)
            return options_bad_value("--methods", word, "posix-spawn, fork-exec, session, session-started or connection");
        o->methods[o->n_methods++] = load;
    }
    return 0;
}

static int take_argument(struct bench_options *o, int key, const char *argument) {
    int64_t number;
    owned_memory char *copy = strdup(argument);
    if (copy == NULL)
        return -ENOMEM;
    if (key == KEY_TOTALS)
        return take_list("--totals", copy, 1000000, o->totals, &o->n_totals);
    if (key == KEY_ACTIVE)
        return take_list("--active", copy, LOAD_ACTIVE_MAX, o->active, &o->n_active);
    if (key == KEY_METHODS)
        return take_methods(o, copy);
    if (parse_number(argument, 1, REPEAT_MAX, &number) < 0)
        return options_bad_value("--repeat", argument, "a number from 1 to 1000");
    o->repeat = (unsigned)number;
    return 0;
}

static int set(void *data, int key, const char *argument) {
    struct bench_options *o = data;
    switch (key) {
    case KEY_JSON:
        o->format = FORMAT_JSON;
        return 0;
    case KEY_CSV:
        o->format = FORMAT_CSV;
        return 0;
    case KEY_TOTALS:
    case KEY_ACTIVE:
    case KEY_METHODS:
    case KEY_REPEAT:
        return take_argument(o, key, argument);
    default:
        return target_set(&o->target, key, argument);
    }
}

/* All methods, less those that a private instance cannot serve. */
static int choose_methods(struct bench_options *o) {
    for (unsigned i = 0; i < o->n_methods; i++)
        if (o->methods[i]->connects && o->target.use_private) {
            say("--methods: '%s' needs an instance with an address, which a private one has not", o->methods[i]->name);
            return -EINVAL;
        }
    if (o->n_methods > 0)
        return 0;
    for (const struct load *load = loads; load->name != NULL; load++)
        if (!load->connects || !o->target.use_private)
            o->methods[o->n_methods++] = load;
    return 0;
}

static void print_head(enum format format) {
    if (format == FORMAT_CSV)
        puts("method,active,total,procs_per_sec,time_sec,stddev_sec");
    else if (format == FORMAT_TABLE)
        printf("%-36s %6s %6s %9s %8s %8s\n", "METHOD", "ACTIVE", "TOTAL", "PROCS/SEC", "TIME", "STDDEV");
}

static void print_row(const struct bench_options *o, json_t *array, const struct load *load, unsigned active, unsigned total,
                      const double *times) {
    double time = statistics_mean(times, o->repeat), deviation = statistics_deviation(times, o->repeat);
    double speed = total / time;
    if (o->format == FORMAT_TABLE) {
        printf("%-36s %6u %6u %9.1f %7.3fs %7.3fs\n", load->label, active, total, speed, time, deviation);
    } else if (o->format == FORMAT_CSV) {
        printf("%s,%u,%u,%.1f,%.6f,%.6f\n", load->name, active, total, speed, time, deviation);
    } else {
        json_t *row = json_object();
        json_object_set_new(row, "method", json_string(load->name));
        json_object_set_new(row, "active", json_integer(active));
        json_object_set_new(row, "total", json_integer(total));
        json_object_set_new(row, "procs_per_sec", json_real(speed));
        json_object_set_new(row, "time_sec", json_real(time));
        json_object_set_new(row, "stddev_sec", json_real(deviation));
        json_array_append_new(array, row);
    }
    fflush(stdout);
}

/* One row for each method. */
static int measure(const struct bench_options *o, struct load_place *place, json_t *array, unsigned active, unsigned total) {
    owned_memory double *times = calloc((size_t)o->n_methods * o->repeat, sizeof *times);
    if (times == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < o->repeat; i++)
        for (unsigned m = 0; m < o->n_methods; m++) {
            uint64_t before = clock_nsec();
            int r = o->methods[m]->run(place, total, active);
            if (r < 0)
                return r;
            times[m * o->repeat + i] = (double)(clock_nsec() - before) / 1e9;
        }
    for (unsigned m = 0; m < o->n_methods; m++)
        print_row(o, array, o->methods[m], active, total, times + m * o->repeat);
    return 0;
}

static int bench(const struct bench_options *o, struct load_place *place) {
    json_t *array = json_array();
    bool remote = false;
    int r = 0;
    for (unsigned m = 0; m < o->n_methods; m++)
        remote = remote || o->methods[m]->remote;
    if (remote)
        r = load_place_open(place);
    if (r >= 0)
        print_head(o->format);
    for (unsigned a = 0; a < o->n_active && r >= 0; a++)
        for (unsigned t = 0; t < o->n_totals && r >= 0; t++)
            r = measure(o, place, array, o->active[a], o->totals[t]);
    if (r >= 0 && o->format == FORMAT_JSON)
        return json_print(stdout, array);
    json_decref(array);
    return r;
}

int command_bench(int argc, char **argv) {
    static const char *const true_argv[] = {"/bin/true", NULL};
    struct bench_options o = {
        .totals = {32, 128, 384, 1024, 2048}, .n_totals = 5, .active = {1, 2, 4, 8}, .n_active = 4, .repeat = 3};
    struct load_place place = {.argv = true_argv, .target = &o.target};
    int first;
    int r = options_parse(&usage, argc, argv, set, &o, &first);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (choose_methods(&o) < 0)
        return EXIT_MISUSE;
    if (argv[first] != NULL && argv[first][0] != '/') {
        say("PROGRAM has to be a whole path, as no method but a shell's looks for it: '%s'", argv[first]);
        return EXIT_MISUSE;
    }
    union {
        char **given;
        const char *const *wanted;
    } operands = {.given = argv + first};
    if (argv[first] != NULL)
        place.argv = operands.wanted;
    r = bench(&o, &place);
    load_place_done(&place);
    return r < 0 ? EXIT_OWN_FAILURE : 0;
}
