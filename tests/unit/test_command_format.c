/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command prints for times, signals, ends and figures. */
#include "client/command/format.h"

#include <locale.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client/command/columns.h"
#include "client/command/say.h"
#include "client/command/statistics.h"
#include "client/command/top-process.h"
#include "tests/unit/unit.h"

static const struct {
    uint64_t usec;
    const char *text;
} spans[] = {
    {0, "0us"},
    {999, "999us"},
    {1000, "1.0ms"},
    {12345, "12.3ms"},
    {999999, "999.9ms"},
    {1000000, "1.00s"},
    {59999999, "59.99s"},
    {60000000, "1min 0s"},
    {192000000, "3min 12s"},
    {3600000000, "1h 0min"},
    {18180000000, "5h 3min"},
    {86400000000, "1d 0h"},
    {UINT64_MAX - 1, "213503982d 8h"},
    {UINT64_MAX, "infinity"},
};

START_TEST(span) {
    char text[32];
    ck_assert_str_eq(format_span(spans[_i].usec, text, sizeof text), spans[_i].text);
}
END_TEST

static const struct {
    const char *text;
    int columns;
    const char *clipped;
    int taken;
} clips[] = {
    {"", 5, "", 0},
    {"abc", 5, "abc", 3},
    {"abcdef", 5, "abcde", 5},
    {"abc", 0, "", 0},
    {"abcdefghijklmnopqrstuvwxyz", -1, "abcdefghijklmnopqrs", 19}, /* the buffer's size */
    {"a\033[2Jb", -1, "a?[2Jb", 6},
    {"a\nb\tc\177", -1, "a?b?c?", 6},
    {"a\302\233b", -1, "a?b", 3}, /* U+009B: CSI in one character */
    {"a\233b\377", -1, "a?b?", 4},
    {"a\342\200\256b", -1, "a?b", 3},                   /* U+202E: from right to left */
    {"\346\227\245\346\234\254", 3, "\346\227\245", 2}, /* two wide ones into three columns */
    {"\346\227\245\346\234\254", 4, "\346\227\245\346\234\254", 4},
    {"e\314\201x", 2, "e\314\201x", 2}, /* a combining accent */
    {"x\346\227", -1, "x??", 3},        /* cut */
};

START_TEST(columns) {
    char text[20];
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    ck_assert_int_eq(columns_clip(clips[_i].text, clips[_i].columns, text, sizeof text), clips[_i].taken);
    ck_assert_str_eq(text, clips[_i].clipped);
}
END_TEST

START_TEST(columns_filled) {
    char text[20];
    ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
    ck_assert_str_eq(columns_fill("ab", 4, text, sizeof text), "ab  ");
    ck_assert_str_eq(columns_fill("abcdef", 4, text, sizeof text), "abcd");
    ck_assert_str_eq(columns_fill("\346\227\245\346\234\254", 3, text, sizeof text), "\346\227\245 ");
    ck_assert_str_eq(columns_fill("a", 100, text, sizeof text), "a                  ");
}
END_TEST

START_TEST(process) {
    struct top_process p, again;
    ck_assert(top_process_of(getpid(), &p));
    ck_assert(p.start > 0 && p.start <= top_process_clock());
    ck_assert_str_eq(top_process_state_name(p.state), "run");
    /* A name that looks like what follows it. */
    ck_assert_int_eq(prctl(PR_SET_NAME, "a) S 1 1 (b"), 0);
    ck_assert(top_process_of(getpid(), &again));
    ck_assert_uint_eq(again.start, p.start);
    ck_assert_str_eq(top_process_state_name(again.state), "run");
    ck_assert(!top_process_of(1 << 22, &p));
}
END_TEST

START_TEST(signal_name) {
    char text[32];
    ck_assert_str_eq(format_signal(SIGTERM, text, sizeof text), "TERM");
    ck_assert_str_eq(format_signal(SIGRTMIN, text, sizeof text), "RTMIN+0");
    ck_assert_str_eq(format_signal(SIGRTMIN + 3, text, sizeof text), "RTMIN+3");
    ck_assert_str_eq(format_signal(32, text, sizeof text), "32");
    ck_assert_str_eq(format_signal(0, text, sizeof text), "0");
    ck_assert_str_eq(format_signal(-1, text, sizeof text), "-1");
}
END_TEST

START_TEST(end) {
    static const struct {
        struct forksrv_end end;
        const char *text;
    } ends[] = {
        {{.code = 7, .reason = FORKSRV_REASON_EXITED}, "exited 7"},
        {{.code = -1, .signo = SIGKILL, .reason = FORKSRV_REASON_SIGNALLED}, "killed KILL"},
        {{.code = -1, .signo = SIGSEGV, .core_dumped = 1, .reason = FORKSRV_REASON_SIGNALLED}, "killed SEGV (core)"},
        {{.code = -1, .signo = SIGTERM, .reason = FORKSRV_REASON_TIME_LIMIT}, "killed TERM, time-limit"},
        {{.code = 0, .reason = FORKSRV_REASON_STOPPED}, "exited 0, stopped"},
    };
    char text[80];
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        ck_assert_str_eq(format_end(&ends[i].end, text, sizeof text), ends[i].text);
}
END_TEST

START_TEST(clean) {
    char text[8];
    ck_assert_str_eq(say_clean("a\033[\nb\177", text, sizeof text), "a?[?b?");
    ck_assert_str_eq(say_clean("0123456789", text, sizeof text), "0123456");
    ck_assert_str_eq(say_clean("\303\244", text, sizeof text), "\303\244");
}
END_TEST

START_TEST(figures) {
    double some[] = {9, 2, 5, 4, 12, 7, 8, 11, 9, 3, 7, 4, 12, 5, 4, 10, 9, 6, 9, 4};
    double one[] = {3};
    double three[] = {30, 10, 20};
    ck_assert_double_eq_tol(statistics_mean(some, 20), 7, 1e-12);
    ck_assert_double_eq_tol(statistics_deviation(some, 20), 3.0607876523260447, 1e-12);
    ck_assert_double_eq_tol(statistics_median(some, 20), 7, 1e-12);
    ck_assert_double_eq_tol(statistics_deviation(one, 1), 0, 1e-12);
    ck_assert_double_eq_tol(statistics_median(one, 1), 3, 1e-12);
    ck_assert_double_eq_tol(statistics_median(three, 3), 20, 1e-12);
    double tiny[] = {1e-9, 2e-9};
    ck_assert_double_eq_tol(statistics_deviation(tiny, 2), 7.0710678118654752e-10, 1e-18);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("command format");
    TCase *tests = tcase_create("format");
    tcase_add_loop_test(tests, span, 0, (int)(sizeof spans / sizeof spans[0]));
    tcase_add_loop_test(tests, columns, 0, (int)(sizeof clips / sizeof clips[0]));
    tcase_add_test(tests, columns_filled);
    tcase_add_test(tests, process);
    tcase_add_test(tests, signal_name);
    tcase_add_test(tests, end);
    tcase_add_test(tests, clean);
    tcase_add_test(tests, figures);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
