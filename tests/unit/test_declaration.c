/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a declaration can say: every setting with its default and its range, lists, and what is said of wrong lines. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/declaration.h"
#include "tests/unit/files.h"
#include "tests/unit/unit.h"

#define SEC UINT64_C(1000000)
#define DAY (86400 * SEC)

/* ---- defaults and values ---- */

static void check_defaults(const struct declaration *d) {
    ck_assert_uint_eq(d->runtime, RUNTIME_PYTHON);
    ck_assert_uint_eq(d->interpreter.count + d->preload.count + d->environment.count, 0);
    ck_assert(d->module == NULL && d->working_directory == NULL && !d->warm);
    ck_assert_uint_eq(d->spares, 0);
    ck_assert_uint_eq(d->spare_refill, 100000);
    ck_assert_uint_eq(d->idle_stop, 900 * SEC);
    ck_assert_uint_eq(d->start_timeout, 90 * SEC);
    ck_assert_uint_eq(d->on_preload_error, ON_ERROR_FAIL);
    ck_assert_uint_eq(d->max_workers, 1024);
    ck_assert_uint_eq(d->memory_max + d->tasks_max + d->cpu_weight + d->time_limit, 0);
}

START_TEST(defaults) {
    struct declaration d;
    bool found = true;
    memset(&d, 0xa5, sizeof d);
    declaration_init(&d);
    check_defaults(&d);
    ck_assert_uint_eq(read_text(&d, "# nothing\n[Zygote]\n[Worker]\n\n"), 0);
    check_defaults(&d);
    ck_assert_uint_eq(declaration_read_file(&d, "no-such.conf", &found), 0);
    ck_assert(!found);
    ck_assert_uint_eq(declaration_read_file(&d, "z.conf/no-folder", &found), 0);
    ck_assert(!found);
    ck_assert_uint_eq(declaration_read_file(&d, "z.conf", &found), 0);
    ck_assert(found);
    ck_assert_str_eq(said(), "");
    declaration_done(&d);
}
END_TEST

START_TEST(every_setting) {
    static const char text[] =
        "[Zygote]\nRuntime=dso\nInterpreter=/usr/bin/env -i python3\nPreload=a b.c\nPreload=d\nModule=m:f\n"
        "Environment=A=1 B=\nWorkingDirectory=/srv\nSpares=3\nSpareRefillSec=250ms\nIdleStopSec=1h\n"
        "StartTimeoutSec=1min 30s\nWarm=yes\nOnPreloadError=warn\nMaxWorkers=7\n"
        "[Worker]\nMemoryMax=64M\nTasksMax=10\nCPUWeight=50\nTimeLimitSec=2d\n";
    struct declaration d;
    declaration_init(&d);
    ck_assert_uint_eq(read_text(&d, text), 0);
    ck_assert_uint_eq(d.runtime, RUNTIME_DSO);
    ck_assert_str_eq(flat(&d.interpreter), "/usr/bin/env|-i|python3|");
    ck_assert_str_eq(flat(&d.preload), "a|b.c|d|");
    ck_assert_str_eq(d.module, "m:f");
    ck_assert_str_eq(flat(&d.environment), "A=1|B=|");
    ck_assert_str_eq(d.working_directory, "/srv");
    ck_assert_uint_eq(d.spares, 3);
    ck_assert_uint_eq(d.spare_refill, SEC / 4);
    ck_assert_uint_eq(d.idle_stop, 3600 * SEC);
    ck_assert_uint_eq(d.start_timeout, 90 * SEC);
    ck_assert(d.warm);
    ck_assert_uint_eq(d.on_preload_error, ON_ERROR_WARN);
    ck_assert_uint_eq(d.max_workers, 7);
    ck_assert_uint_eq(d.memory_max, UINT64_C(64) << 20);
    ck_assert_uint_eq(d.tasks_max, 10);
    ck_assert_uint_eq(d.cpu_weight, 50);
    ck_assert_uint_eq(d.time_limit, 2 * DAY);
    /* Back again. */
    ck_assert_uint_eq(
        read_text(&d, "[Zygote]\nRuntime=exec\nInterpreter=\nModule=\nWorkingDirectory=\nWarm=no\nOnPreloadError=fail\n"), 0);
    ck_assert_uint_eq(d.runtime, RUNTIME_EXEC);
    ck_assert_str_eq(flat(&d.interpreter), "");
    ck_assert(d.module == NULL && d.working_directory == NULL && !d.warm && d.on_preload_error == ON_ERROR_FAIL);
    ck_assert_str_eq(said(), "");
    declaration_done(&d);
    ck_assert(d.preload.data == NULL && d.environment.data == NULL);
}
END_TEST

/* Ends of ranges, on both sides. */
static const struct {
    const char *name, *least, *below, *most, *above;
    size_t offset;
    uint64_t is_least, is_most;
} ranges[] = {
#define FIELD(f) offsetof(struct declaration, f)
    {"Zygote]\nSpares", "0", "-1", "256", "257", FIELD(spares), 0, 256},
    {"Zygote]\nSpareRefillSec", "0", "-1s", "10min", "600001ms", FIELD(spare_refill), 0, 600 * SEC},
    {"Zygote]\nIdleStopSec", "0", "-1", "30d", "30d 1us", FIELD(idle_stop), 0, 30 * DAY},
    {"Zygote]\nStartTimeoutSec", "100ms", "99999us", "1h", "3601", FIELD(start_timeout), SEC / 10, 3600 * SEC},
    {"Zygote]\nMaxWorkers", "1", "0", "1048576", "1048577", FIELD(max_workers), 1, 1048576},
    {"Worker]\nMemoryMax", "0", "-1", "9223372036854775807", "9223372036854775808", FIELD(memory_max), 0, INT64_MAX},
    {"Worker]\nTasksMax", "0", "-1", "2147483647", "2147483648", FIELD(tasks_max), 0, INT32_MAX},
    {"Worker]\nCPUWeight", "0", "-1", "10000", "10001", FIELD(cpu_weight), 0, 10000},
    {"Worker]\nTimeLimitSec", "0", "-1", "30d", "31d", FIELD(time_limit), 0, 30 * DAY},
};
enum { RANGES = sizeof ranges / sizeof ranges[0] };

static uint64_t number(const struct declaration *d, size_t offset) {
    uint64_t v;
    memcpy(&v, (const char *)d + offset, sizeof v);
    return v;
}

static unsigned read_value(struct declaration *d, const char *name, const char *value) {
    char text[256];
    snprintf(text, sizeof text, "[%s=%s\n", name, value);
    return read_text(d, text);
}

START_TEST(range) {
    struct declaration d;
    declaration_init(&d);
    ck_assert_uint_eq(read_value(&d, ranges[_i].name, ranges[_i].most), 0);
    ck_assert_uint_eq(number(&d, ranges[_i].offset), ranges[_i].is_most);
    ck_assert_uint_eq(read_value(&d, ranges[_i].name, ranges[_i].least), 0);
    ck_assert_uint_eq(number(&d, ranges[_i].offset), ranges[_i].is_least);
    ck_assert_str_eq(said(), "");
    /* What is wrong changes nothing. */
    const char *const wrong[] = {
        ranges[_i].above, ranges[_i].below, "", "x", "1x", "0x1", "1 1", "99999999999999999999999", "+1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool is_two_spans = strcmp(wrong[i], "1 1") == 0 && strstr(ranges[_i].name, "Sec") != NULL;
        if (is_two_spans)
            continue;
        ck_assert_msg(read_value(&d, ranges[_i].name, wrong[i]) == 1, "%s=%s", ranges[_i].name, wrong[i]);
        ck_assert_uint_eq(number(&d, ranges[_i].offset), ranges[_i].is_least);
        ck_assert_ptr_nonnull(strstr(said(), "; this line is ignored\n"));
    }
    declaration_done(&d);
}
END_TEST

static const struct {
    const char *text;
    uint64_t value;
} sizes[] = {
    {"0", 0}, {"512", 512}, {"1K", 1024}, {"64M", UINT64_C(64) << 20}, {"3G", 3u << 30}, {"8388607T", UINT64_C(8388607) << 40},
};

static const char *const no_sizes[] = {"K",    "1k",  "1KB", "1 K", "8388608T", "99999999T", "18446744073709551615G",
                                       "1.5G", "-1K", " "};

START_TEST(sizes_and_their_units) {
    struct declaration d;
    declaration_init(&d);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ck_assert_uint_eq(read_value(&d, "Worker]\nMemoryMax", sizes[i].text), 0);
        ck_assert_uint_eq(d.memory_max, sizes[i].value);
    }
    for (size_t i = 0; i < sizeof no_sizes / sizeof no_sizes[0]; i++) {
        ck_assert_msg(read_value(&d, "Worker]\nMemoryMax", no_sizes[i]) == 1, "%s", no_sizes[i]);
        ck_assert_uint_eq(d.memory_max, UINT64_C(8388607) << 40);
    }
    declaration_done(&d);
}
END_TEST

START_TEST(yes_and_no) {
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
    struct declaration d;
    declaration_init(&d);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(read_value(&d, "Zygote]\nWarm", yes[i]), 0);
        ck_assert(d.warm);
        ck_assert_uint_eq(read_value(&d, "Zygote]\nWarm", "Yes"), 1);
        ck_assert(d.warm);
        ck_assert_uint_eq(read_value(&d, "Zygote]\nWarm", no[i]), 0);
        ck_assert(!d.warm);
    }
    declaration_done(&d);
}
END_TEST

/* ---- wrong lines ---- */

static const struct {
    const char *text, *says;
} wrong_lines[] = {
    {"[Zygote]\nRuntime=perl\n",
     "z.conf:2: value \"perl\" is no choice out of python, dso, exec for Runtime=; this line is ignored"},
    {"[Zygote]\n\nOnPreloadError=\n",
     "z.conf:3: value \"\" is no choice out of fail, warn for OnPreloadError=; this line is ignored"},
    {"[Zygote]\nSpares=many\n", "z.conf:2: value \"many\" is no number for Spares=; this line is ignored"},
    {"[Zygote]\nSpares=257\n", "z.conf:2: value \"257\" is out of range for Spares= (0 to 256); this line is ignored"},
    {"[Zygote]\nStartTimeoutSec=1\nStartTimeoutSec=1ms\n",
     "z.conf:3: value \"1ms\" is out of range for StartTimeoutSec= (100 to 3600000 ms); this line is ignored"},
    {"[Zygote]\nIdleStopSec=1w\n",
     "z.conf:2: value \"1w\" is no time span (like 30s, 5min, 500ms) for IdleStopSec=; this line is ignored"},
    {"[Worker]\nMemoryMax=1X\n", "z.conf:2: value \"1X\" is no size (like 512M) for MemoryMax=; this line is ignored"},
    {"[Zygote]\nWarm=maybe\n", "z.conf:2: value \"maybe\" is no yes or no for Warm=; this line is ignored"},
    {"[Zygote]\nWorkingDirectory=srv\n",
     "z.conf:2: value \"srv\" is no absolute path for WorkingDirectory=; this line is ignored"},
    {"[Zygote]\nPreload=a 'b\n",
     "z.conf:2: value \"a 'b\" is no list of words: a quote is not closed, and so it is none for Preload=; this line is ignored"},
    {"[Zygote]\nPreloads=a\n", "z.conf:2: setting \"Preloads\" is not known in this section; this line is ignored"},
    {"[Zygote]\nMemoryMax=1G\n", "z.conf:2: setting \"MemoryMax\" is not known in this section; this line is ignored"},
    {"[zygote]\nSpares=1\n", "z.conf:2: section \"zygote\" is not known; this line is ignored"},
    {"Spares=1\n[Zygote]\n", "z.conf:1: setting \"Spares\" stands before any [Section]; this line is ignored"},
    {"[Zygote]\nnothing\n", "z.conf:2: line \"\" is neither [Section] nor Setting=value; this line is ignored"},
};
enum { WRONG_LINES = sizeof wrong_lines / sizeof wrong_lines[0] };

START_TEST(a_wrong_line) {
    struct declaration d;
    char text[512], says[512];
    declaration_init(&d);
    snprintf(text, sizeof text, "%s[Zygote]\nMaxWorkers=9\n", wrong_lines[_i].text);
    snprintf(says, sizeof says, "forksrvd: %s\n", wrong_lines[_i].says);
    ck_assert_uint_eq(read_text(&d, text), 1);
    ck_assert_str_eq(said(), says);
    /* It costs itself only. */
    ck_assert_uint_eq(d.max_workers, 9);
    d.max_workers = 1024;
    if (d.start_timeout == SEC)
        d.start_timeout = 90 * SEC;
    check_defaults(&d);
    declaration_done(&d);
}
END_TEST

START_TEST(wrong_lines_are_counted) {
    struct declaration d;
    declaration_init(&d);
    ck_assert_uint_eq(read_text(&d, "[Zygote]\nSpares=-1\nSpares=5\nx=\nWarm=2\n[Nothing]\nSpares=6\n"), 4);
    ck_assert_uint_eq(d.spares, 5);
    said();
    /* Over the bound on the log they are still counted. */
    char many[4096] = "[Zygote]\n";
    for (unsigned i = 0; i < 100; i++)
        strncat(many, "Spares=x\n", sizeof many - strlen(many) - 1);
    ck_assert_uint_eq(read_text(&d, many), 100);
    declaration_done(&d);
}
END_TEST

/* inih would take the rest of a long line for another one. */
START_TEST(long_lines) {
    struct declaration d;
    char text[1024], value[300];
    declaration_init(&d);
    memset(value, 'x', sizeof value);
    snprintf(text, sizeof text, "[Zygote]\nModule=%.191s\n", value);
    ck_assert_uint_eq(read_text(&d, text), 0);
    ck_assert_uint_eq(strlen(d.module), 191);
    ck_assert_str_eq(said(), "");
    snprintf(text, sizeof text, "[Zygote]\nModule=y\nModule=%.192s\nSpares=2\n", value);
    ck_assert_uint_eq(read_text(&d, text), 1);
    ck_assert_str_eq(said(), "forksrvd: z.conf:3: line starting with \"Module\" is too long; this line is ignored\n");
    ck_assert_str_eq(d.module, "y");
    ck_assert_uint_eq(d.spares, 2);
    /* The last one, without an end. */
    snprintf(text, sizeof text, "[Zygote]\nModule=%.191s", value);
    ck_assert_uint_eq(read_text(&d, text), 0);
    ck_assert_uint_eq(strlen(d.module), 191);
    declaration_done(&d);
}
END_TEST

START_TEST(a_file_that_cannot_be_read) {
    struct declaration d;
    bool found = true;
    declaration_init(&d);
    ck_assert_int_eq(symlink("loop.conf", "loop.conf"), 0);
    int before = begin_listening();
    unsigned wrong = declaration_read_file(&d, "loop.conf", &found);
    end_listening(before);
    ck_assert_uint_eq(wrong, 1);
    ck_assert(!found);
    ck_assert_str_eq(said(), "forksrvd: cannot read loop.conf: Too many levels of symbolic links; its settings are ignored\n");
    check_defaults(&d);
    declaration_done(&d);
}
END_TEST

/* ---- lists ---- */

static const struct {
    const char *lines, *words;
} lists[] = {
    {"Preload=a", "a|"},
    {"Preload=a b\tc   d ", "a|b|c|d|"},
    {"Preload=\"a b\" 'c d'", "a b|c d|"},
    {"Preload=a\"b c\"d", "ab cd|"},
    {"Preload=\"it's\" 'say \"x\"'", "it's|say \"x\"|"},
    {"Preload=\"\" ''", "||"},
    {"Preload=a\nPreload=b c\nPreload=d", "a|b|c|d|"},
    {"Preload=a\nPreload=\nPreload=b", "b|"},
    {"Preload=a\nPreload=", ""},
    {"Preload=a\nPreload=b \"c\nPreload=d", "a|d|"},
    {"Preload=a ; a comment", "a|"},
    {"Preload=a\n  b c\nSpares=0", "a|b|c|"},
};
enum { LISTS = sizeof lists / sizeof lists[0] };

START_TEST(a_list) {
    struct declaration d;
    char text[256];
    declaration_init(&d);
    snprintf(text, sizeof text, "[Zygote]\n%s\n", lists[_i].lines);
    read_text(&d, text);
    ck_assert_str_eq(flat(&d.preload), lists[_i].words);
    declaration_done(&d);
}
END_TEST

START_TEST(a_list_has_a_bound) {
    struct declaration d;
    char line[160];
    declaration_init(&d);
    memset(line, 'x', 127);
    line[127] = 0;
    write_file("z.conf", "[Zygote]\n");
    auto_file f = fopen("z.conf", "ae");
    for (unsigned i = 0; i < 513; i++)
        fprintf(f, "Environment=%s\n", line);
    fputs("Environment=\nEnvironment=A=b\n", f);
    fflush(f);
    int before = begin_listening();
    unsigned wrong = declaration_read_file(&d, "z.conf", NULL);
    end_listening(before);
    ck_assert_uint_eq(wrong, 1);
    ck_assert_str_eq(said(), "forksrvd: z.conf:514: value of \"Environment\" makes the list too long; this line is ignored\n");
    ck_assert_str_eq(flat(&d.environment), "A=b|");
    declaration_done(&d);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("declaration");
    TCase *tc = tcase_create("declaration");
    tcase_add_checked_fixture(tc, files_set_up, files_tear_down);
    tcase_add_test(tc, defaults);
    tcase_add_test(tc, every_setting);
    tcase_add_loop_test(tc, range, 0, RANGES);
    tcase_add_test(tc, sizes_and_their_units);
    tcase_add_test(tc, yes_and_no);
    tcase_add_loop_test(tc, a_wrong_line, 0, WRONG_LINES);
    tcase_add_test(tc, wrong_lines_are_counted);
    tcase_add_test(tc, long_lines);
    tcase_add_test(tc, a_file_that_cannot_be_read);
    tcase_add_loop_test(tc, a_list, 0, LISTS);
    tcase_add_test(tc, a_list_has_a_bound);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
