/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command takes for a number, a span, a size, a limit, an fd map and a signal; and all the texts that are nearly one. */
#include "client/command/parse.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/unit.h"

enum { UNTOUCHED = 4711 };

struct quantity {
    const char *text;
    int result;
    uint64_t value;
};

static const struct quantity spans[] = {
    {"0", 0, 0},
    {"5", 0, 5000000},
    {"5s", 0, 5000000},
    {"500ms", 0, 500000},
    {"250us", 0, 250},
    {"2min", 0, 120000000},
    {"2m", 0, 120000000},
    {"1.5s", 0, 1500000},
    {"0.000001s", 0, 1},
    {"0.0000001s", 0, 0},
    {"1h 30min", 0, 5400000000},
    {"1h30min", 0, 5400000000},
    {" 1 ", 0, 1000000},
    {"1d", 0, 86400000000},
    {"1w", 0, 604800000000},
    {"2 Hours", -EINVAL, 0},
    {"2Hours", 0, 7200000000},
    {"infinity", 0, UINT64_MAX},
    {"", -EINVAL, 0},
    {" ", -EINVAL, 0},
    {"s", -EINVAL, 0},
    {"-1s", -EINVAL, 0},
    {"5x", -EINVAL, 0},
    {"5s!", -EINVAL, 0},
    {"1.s", -EINVAL, 0},
    {"1..5s", -EINVAL, 0},
    {"1.5.5s", -EINVAL, 0},
    {".5s", -EINVAL, 0},
    {"0x10", -EINVAL, 0},
    {"18446744073709551615us", -ERANGE, 0},
    {"18446744073709551616us", -ERANGE, 0},
    {"99999999999999999w", -ERANGE, 0},
    {"18446744073709551614us 1us", -ERANGE, 0},
    {"18446744073709551614us 2us", -ERANGE, 0},
    {"18446744073709551614us", 0, UINT64_MAX - 1},
};

START_TEST(span) {
    uint64_t value = UNTOUCHED;
    const struct quantity *q = &spans[_i];
    ck_assert_msg(parse_span(q->text, &value) == q->result, "'%s'", q->text);
    ck_assert_msg(value == (q->result == 0 ? q->value : UNTOUCHED), "'%s' is %llu", q->text, (unsigned long long)value);
}
END_TEST

static const struct quantity sizes[] = {
    {"0", 0, 0},
    {"4096", 0, 4096},
    {"1B", 0, 1},
    {"1K", 0, 1024},
    {"1k", 0, 1024},
    {"64M", 0, 64ULL << 20},
    {"64MiB", 0, 64ULL << 20},
    {"1.5G", 0, 3ULL << 29},
    {"2T", 0, 2ULL << 40},
    {"infinity", 0, UINT64_MAX},
    {"16777216T", -ERANGE, 0},
    {"18446744073709551615", 0, UINT64_MAX},
    {"18446744073709551616", -ERANGE, 0},
    {"", -EINVAL, 0},
    {"K", -EINVAL, 0},
    {"1 K", -EINVAL, 0},
    {"1KM", -EINVAL, 0},
    {"1K1K", -EINVAL, 0},
    {"-1K", -EINVAL, 0},
    {"1e3", -EINVAL, 0},
};

START_TEST(size) {
    uint64_t value = UNTOUCHED;
    const struct quantity *q = &sizes[_i];
    ck_assert_msg(parse_size(q->text, &value) == q->result, "'%s'", q->text);
    ck_assert_msg(value == (q->result == 0 ? q->value : UNTOUCHED), "'%s' is %llu", q->text, (unsigned long long)value);
}
END_TEST

static const struct {
    const char *text;
    int result;
    int resource;
    uint64_t soft;
    uint64_t hard;
} limits[] = {
    {"nofile=1024", 0, RLIMIT_NOFILE, 1024, 1024},
    {"NOFILE=1K:2K", 0, RLIMIT_NOFILE, 1024, 2048},
    {"RLIMIT_CORE=0:infinity", 0, RLIMIT_CORE, 0, UINT64_MAX},
    {"as=1G", 0, RLIMIT_AS, 1ULL << 30, 1ULL << 30},
    {"cpu=infinity", 0, RLIMIT_CPU, UINT64_MAX, UINT64_MAX},
    {"stack=8M:64M", 0, RLIMIT_STACK, 8ULL << 20, 64ULL << 20},
    {"rttime=1000", 0, RLIMIT_RTTIME, 1000, 1000},
    {"nofile=2K:1K", -ERANGE, 0, 0, 0},
    {"nofile=infinity:1", -ERANGE, 0, 0, 0},
    {"nofile", -EINVAL, 0, 0, 0},
    {"nofile=", -EINVAL, 0, 0, 0},
    {"nofile=:", -EINVAL, 0, 0, 0},
    {"nofile=1:", -EINVAL, 0, 0, 0},
    {"nofile=1:2:3", -EINVAL, 0, 0, 0},
    {"nofil=1", -EINVAL, 0, 0, 0},
    {"nofiles=1", -EINVAL, 0, 0, 0},
    {"RLIMIT_=1", -EINVAL, 0, 0, 0},
    {"=1", -EINVAL, 0, 0, 0},
    {"nofile=1111111111111111111111111111111111111111111111111111111111111111111", -EINVAL, 0, 0, 0},
};

START_TEST(rlimit) {
    int resource = UNTOUCHED;
    uint64_t soft = UNTOUCHED, hard = UNTOUCHED;
    int r = parse_rlimit(limits[_i].text, &resource, &soft, &hard);
    ck_assert_msg(r == limits[_i].result, "'%s' gives %d", limits[_i].text, r);
    ck_assert_int_eq(resource, r == 0 ? limits[_i].resource : UNTOUCHED);
    ck_assert_uint_eq(soft, r == 0 ? limits[_i].soft : UNTOUCHED);
    ck_assert_uint_eq(hard, r == 0 ? limits[_i].hard : UNTOUCHED);
}
END_TEST

static const struct {
    const char *text;
    int result;
    int target;
    int fd;
} maps[] = {
    {"3=5", 0, 3, 5},
    {"3", 0, 3, 3},
    {"0=0", 0, 0, 0},
    {"10=2147483647", 0, 10, INT_MAX},
    {"", -EINVAL, 0, 0},
    {"3=", -EINVAL, 0, 0},
    {"=3", -EINVAL, 0, 0},
    {"3=5=7", -EINVAL, 0, 0},
    {"3:5", -EINVAL, 0, 0},
    {"-1=3", -EINVAL, 0, 0},
    {"3=2147483648", -ERANGE, 0, 0},
    {"99999999999999999999=1", -ERANGE, 0, 0},
};

START_TEST(fd_map) {
    int target = UNTOUCHED, fd = UNTOUCHED;
    int r = parse_fd_map(maps[_i].text, &target, &fd);
    ck_assert_msg(r == maps[_i].result, "'%s' gives %d", maps[_i].text, r);
    ck_assert_int_eq(target, r == 0 ? maps[_i].target : UNTOUCHED);
    ck_assert_int_eq(fd, r == 0 ? maps[_i].fd : UNTOUCHED);
}
END_TEST

static const struct {
    const char *text;
    int result;
    int64_t number;
} numbers[] = {
    {"0", 0, 0},        {"-20", 0, -20},     {"+19", 0, 19},     {"19", 0, 19},
    {"20", -ERANGE, 0}, {"-21", -ERANGE, 0}, {"", -EINVAL, 0},   {"-", -EINVAL, 0},
    {"1x", -EINVAL, 0}, {"--1", -EINVAL, 0}, {" 1", -EINVAL, 0}, {"9223372036854775808", -ERANGE, 0},
};

START_TEST(number) {
    int64_t value = UNTOUCHED;
    int r = parse_number(numbers[_i].text, -20, 19, &value);
    ck_assert_msg(r == numbers[_i].result, "'%s' gives %d", numbers[_i].text, r);
    ck_assert_int_eq(value, r == 0 ? numbers[_i].number : UNTOUCHED);
}
END_TEST

START_TEST(file_mask) {
    unsigned mask = UNTOUCHED;
    ck_assert_int_eq(parse_umask("8", &mask), -EINVAL);
    ck_assert_int_eq(parse_umask("", &mask), -EINVAL);
    ck_assert_int_eq(parse_umask("u=rwx", &mask), -EINVAL);
    ck_assert_int_eq(parse_umask("1000", &mask), -ERANGE);
    ck_assert_uint_eq(mask, UNTOUCHED);
    ck_assert_int_eq(parse_umask("0027", &mask), 0);
    ck_assert_uint_eq(mask, 027);
    ck_assert_int_eq(parse_umask("777", &mask), 0);
    ck_assert_uint_eq(mask, 0777);
}
END_TEST

START_TEST(signals) {
    static const struct {
        const char *text;
        int offset;
    } realtime[] = {{"RTMIN", 0}, {"SIGRTMIN+3", 3}, {"rtmin+0", 0}};
    static const char *const wrong[] = {"",        "SIG",      "TERMX",  "0",        "65", "1x",
                                        "RTMIN-1", "RTMIN+99", "RTMIN+", "RTMAX-99", "-9", "RTMINX"};
    int signo = UNTOUCHED;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(parse_signal(wrong[i], &signo) < 0, "'%s' is %d", wrong[i], signo);
    ck_assert_int_eq(signo, UNTOUCHED);
    for (size_t i = 0; i < sizeof realtime / sizeof realtime[0]; i++) {
        ck_assert_int_eq(parse_signal(realtime[i].text, &signo), 0);
        ck_assert_int_eq(signo, SIGRTMIN + realtime[i].offset);
    }
    ck_assert_int_eq(parse_signal("RTMAX-1", &signo), 0);
    ck_assert_int_eq(signo, SIGRTMAX - 1);
    ck_assert_int_eq(parse_signal("sigterm", &signo), 0);
    ck_assert_int_eq(signo, SIGTERM);
    ck_assert_int_eq(parse_signal("USR1", &signo), 0);
    ck_assert_int_eq(signo, SIGUSR1);
    ck_assert_int_eq(parse_signal("9", &signo), 0);
    ck_assert_int_eq(signo, SIGKILL);
}
END_TEST

START_TEST(worker_ids) {
    static const char *const names[] = {"", "0", "x1", "1x", "-1", "18446744073709551616", "backup"};
    uint64_t id = UNTOUCHED;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_msg(!parse_worker_id(names[i], &id), "'%s'", names[i]);
    ck_assert_uint_eq(id, UNTOUCHED);
    ck_assert(parse_worker_id("17", &id));
    ck_assert_uint_eq(id, 17);
}
END_TEST

#define COUNT(table) ((int)(sizeof table / sizeof table[0]))

int main(void) {
    Suite *suite = suite_create("command parse");
    TCase *tests = tcase_create("parse");
    tcase_add_loop_test(tests, span, 0, COUNT(spans));
    tcase_add_loop_test(tests, size, 0, COUNT(sizes));
    tcase_add_loop_test(tests, rlimit, 0, COUNT(limits));
    tcase_add_loop_test(tests, fd_map, 0, COUNT(maps));
    tcase_add_loop_test(tests, number, 0, COUNT(numbers));
    tcase_add_test(tests, file_mask);
    tcase_add_test(tests, signals);
    tcase_add_test(tests, worker_ids);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
