/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a spec accepts, and what of it arrives at the server. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "client/forksrv.h"
#include "common/cleanup.h"
#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static struct forksrv_spec *spec;

static void setup(void) {
    ck_assert_int_eq(forksrv_spec_new(&spec), 0);
}

static void teardown(void) {
    forksrv_spec_free(spec);
    forksrv_spec_free(NULL);
}

static char *string_of(size_t n) {
    char *p = malloc(n + 1);
    memset(p, 'x', n);
    p[n] = 0;
    return p;
}

START_TEST(refuses_bad_strings) {
    auto_free char *path = string_of(4096), *name = string_of(65);
    static const char *const none[] = {NULL}, *const bad[] = {"A=1", "B", NULL}, *const empty[] = {"=1", NULL};
    ck_assert_int_eq(forksrv_spec_set_argv(spec, none), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_argv(spec, NULL), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_environ(spec, bad), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_environ(spec, empty), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_environ(spec, NULL), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_environ(spec, none), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "A=", "1"), -EINVAL);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "", "1"), -EINVAL);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "A", NULL), -EINVAL);
    ck_assert_int_eq(forksrv_spec_unsetenv(spec, NULL), -EINVAL);
    ck_assert_int_eq(forksrv_spec_unsetenv(spec, "A"), 0);
    ck_assert_int_eq(forksrv_spec_set_program(spec, ""), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_program(spec, path), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_cwd(spec, "relative"), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_cwd(spec, ""), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_name(spec, "new\nline"), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_name(spec, "\x7f"), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_name(spec, name), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_name(spec, name + 1), 0);
    ck_assert_int_eq(forksrv_spec_set_name(spec, "gr\xc3\xbc\xc3\x9f"), 0);
    ck_assert_int_eq(forksrv_spec_set_name(spec, NULL), 0);
}
END_TEST

START_TEST(argv_and_environment_have_a_limit_together) {
    size_t most = 3 * 1024 * 1024;
    auto_free char *half = string_of(most / 2 - 1), *more = string_of(most / 2), *rest = string_of(most / 2 - 3);
    const char *argv[] = {half, NULL}, *too_long[] = {more, half, NULL};
    ck_assert_int_eq(forksrv_spec_set_argv(spec, too_long), -E2BIG);
    ck_assert_int_eq(forksrv_spec_set_argv(spec, argv), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "A", more), -E2BIG);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "A", rest), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "B", ""), -E2BIG);
    ck_assert_int_eq(forksrv_spec_unsetenv(spec, "A"), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "B", ""), 0);
    auto_free const char **many = malloc(65538 * sizeof *many);
    for (size_t i = 0; i < 65537; i++)
        many[i] = "x";
    many[65537] = NULL;
    ck_assert_int_eq(forksrv_spec_set_argv(spec, many), -E2BIG);
    many[65535] = NULL;
    ck_assert_int_eq(forksrv_spec_set_argv(spec, many), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "C", ""), -E2BIG);
}
END_TEST

START_TEST(refuses_bad_numbers) {
    ck_assert_int_eq(forksrv_spec_set_umask(spec, 01000), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, -1, 0, 0), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, 16, 0, 0), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, RLIMIT_CORE, 2, 1), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_nice(spec, -21), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_nice(spec, 20), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_oom_score_adj(spec, 1001), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_cpu_weight(spec, 10001), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_flags(spec, 1u << 7), -EINVAL);
    ck_assert_int_eq(forksrv_spec_set_report(spec, (enum forksrv_report)3), -EINVAL);
}
END_TEST

START_TEST(refuses_bad_fds) {
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 0, -1), -EINVAL);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 0, 1024), -EINVAL);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 1000, 0), -EBADF);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, -2, 0), -EBADF);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 0, 7), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 1, 7), -EINVAL);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, -1, 7), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 1, 7), 0);
    for (int i = 10; i < 259; i++)
        ck_assert_int_eq(forksrv_spec_map_fd(spec, 0, i), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 0, 300), -E2BIG);
}
END_TEST

/* ---- what arrives ---- */

static void expect_strs(const struct message *m, unsigned attr, const char *expected, size_t size) {
    const struct attribute *a = &m->attributes[attr];
    fake_check(a->size == size && memcmp(a->data, expected, size) == 0);
}

static void expect_nothing_more_than_argv(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    for (unsigned i = 0; i < ATTR_MAX; i++)
        fake_check(message_has(&m, i) == (i == ATTR_ARGV || i == ATTR_SPAWN_FLAGS));
    expect_strs(&m, ATTR_ARGV, "true", 5);
    fake_check(message_u32(&m, ATTR_SPAWN_FLAGS, 0) == (SPAWN_REPORT_EXECED | SPAWN_PIDFD));
    fake_failed(f, m.serial, STAGE_EXEC, ENOENT, NULL);
}

static void expect_numbers(const struct message *m) {
    fake_check(message_u32(m, ATTR_UMASK, 0) == 027);
    fake_check((int32_t)message_u32(m, ATTR_NICE, 0) == -3);
    fake_check((int32_t)message_u32(m, ATTR_OOM_SCORE_ADJ, 0) == -1000);
    fake_check(message_u64(m, ATTR_BLOCKED, 0) == 1u << (SIGUSR1 - 1));
    fake_check(message_u64(m, ATTR_IGNORED, 0) == 1u << (SIGHUP - 1));
    fake_check(message_u64(m, ATTR_TIME_LIMIT, 0) == 5000000);
    fake_check(message_u64(m, ATTR_GRACE, 0) == 1);
    fake_check(message_u64(m, ATTR_SLOT_WAIT, 0) == UINT64_MAX);
    fake_check(message_u64(m, ATTR_MEMORY_MAX, 0) == 1ull << 40);
    fake_check(message_u64(m, ATTR_TASKS_MAX, 0) == 9);
    fake_check(message_u64(m, ATTR_CPU_WEIGHT, 0) == 10000);
    const struct attribute *a = &m->attributes[ATTR_RLIMITS];
    fake_check(a->size == 48);
    fake_check(wire_get_u32(a->data) == RLIMIT_CORE && wire_get_u64(a->data + 8) == 0 &&
               wire_get_u64(a->data + 16) == UINT64_MAX);
    fake_check(wire_get_u32(a->data + 24) == RLIMIT_NOFILE && wire_get_u64(a->data + 32) == 64);
}

static void expect_everything(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_check(strcmp(message_str(&m, ATTR_PROGRAM), "/bin/sh") == 0);
    expect_strs(&m, ATTR_ARGV, "sh\0-c\0", 7);
    expect_strs(&m, ATTR_ENVIRON, "HOME=/root\0EMPTY=\0PATH=/new\0LAST=1", 35);
    fake_check(strcmp(message_str(&m, ATTR_CWD), "/tmp") == 0);
    fake_check(strcmp(message_str(&m, ATTR_NAME), "a name") == 0);
    fake_check(message_u32(&m, ATTR_SPAWN_FLAGS, 0) == (SPAWN_DETACHED | SPAWN_PROCESS_GROUP | SPAWN_NO_NEW_PRIVS |
                                                        SPAWN_OWN_CGROUP | SPAWN_CONTROLLING_TERMINAL | SPAWN_REPORT_STARTED));
    expect_numbers(&m);
    static const uint8_t map[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0xff};
    expect_strs(&m, ATTR_FDMAP, (const char *)map, sizeof map);
    fake_check(message_fds(&m) == 2 && f->fds.count == 2);
    fake_failed(f, m.serial, STAGE_EXEC, ENOENT, NULL);
}

static void spawn_on(fake_script *script) {
    struct fake fake;
    struct forksrv *s;
    struct forksrv_worker *w;
    fake_start(&fake, script);
    ck_assert_int_eq(forksrv_new(&s), 0);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    forksrv_set_lazy(s, 1);
    ck_assert_msg(forksrv_open(s) == 0, "%s", forksrv_error(s));
    ck_assert_msg(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w) == -ENOENT, "%s", forksrv_error(s));
    forksrv_free(s);
    fake_stop(&fake);
}

START_TEST(defaults_are_left_out) {
    static const char *const argv[] = {"true", NULL};
    ck_assert_int_eq(forksrv_spec_set_argv(spec, argv), 0);
    ck_assert_int_eq(forksrv_spec_set_time_limit(spec, 1), 0);
    ck_assert_int_eq(forksrv_spec_set_time_limit(spec, 0), 0);
    ck_assert_int_eq(forksrv_spec_set_slot_wait(spec, FORKSRV_FOREVER), 0);
    ck_assert_int_eq(forksrv_spec_set_slot_wait(spec, 0), 0);
    ck_assert_int_eq(forksrv_spec_set_cwd(spec, "/tmp"), 0);
    ck_assert_int_eq(forksrv_spec_set_cwd(spec, NULL), 0);
    spawn_on(expect_nothing_more_than_argv);
}
END_TEST

static void fill(void) {
    static const char *const argv[] = {"sh", "-c", "", NULL};
    static const char *const environ_[] = {"PATH=/old", "HOME=/root", "PATH=/older", "EMPTY=", "PATHS=1", NULL};
    ck_assert_int_eq(forksrv_spec_set_program(spec, "/bin/sh"), 0);
    ck_assert_int_eq(forksrv_spec_set_argv(spec, argv), 0);
    ck_assert_int_eq(forksrv_spec_set_environ(spec, environ_), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "PATH", "/new"), 0);
    ck_assert_int_eq(forksrv_spec_unsetenv(spec, "PATHS"), 0);
    ck_assert_int_eq(forksrv_spec_setenv(spec, "LAST", "1"), 0);
    ck_assert_int_eq(forksrv_spec_set_cwd(spec, "/tmp"), 0);
    ck_assert_int_eq(forksrv_spec_set_name(spec, "a name"), 0);
    ck_assert_int_eq(forksrv_spec_set_flags(spec, 15 | FORKSRV_CONTROLLING_TERMINAL), 0);
    ck_assert_int_eq(forksrv_spec_set_report(spec, FORKSRV_REPORT_STARTED), 0);
    ck_assert_int_eq(forksrv_spec_set_pidfd(spec, 0), 0);
    ck_assert_int_eq(forksrv_spec_set_umask(spec, 027), 0);
    ck_assert_int_eq(forksrv_spec_set_nice(spec, -3), 0);
    ck_assert_int_eq(forksrv_spec_set_oom_score_adj(spec, -1000), 0);
    ck_assert_int_eq(forksrv_spec_set_blocked_signals(spec, 1u << (SIGUSR1 - 1)), 0);
    ck_assert_int_eq(forksrv_spec_set_ignored_signals(spec, 1u << (SIGHUP - 1)), 0);
    ck_assert_int_eq(forksrv_spec_set_time_limit(spec, 5000000), 0);
    ck_assert_int_eq(forksrv_spec_set_grace(spec, 1), 0);
    ck_assert_int_eq(forksrv_spec_set_slot_wait(spec, FORKSRV_FOREVER), 0);
    ck_assert_int_eq(forksrv_spec_set_memory_max(spec, 1ull << 40), 0);
    ck_assert_int_eq(forksrv_spec_set_tasks_max(spec, 9), 0);
    ck_assert_int_eq(forksrv_spec_set_cpu_weight(spec, 10000), 0);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, RLIMIT_CORE, 5, 6), 0);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, RLIMIT_NOFILE, 64, 64), 0);
    ck_assert_int_eq(forksrv_spec_set_rlimit(spec, RLIMIT_CORE, 0, UINT64_MAX), 0);
}

START_TEST(everything_arrives) {
    auto_fd a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    fill();
    ck_assert_int_eq(forksrv_spec_map_fd(spec, a, 0), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, b, 1), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, a, 1023), 0);
    spawn_on(expect_everything);
}
END_TEST

START_TEST(an_empty_spec_is_refused) {
    struct forksrv *s;
    ck_assert_int_eq(forksrv_new(&s), 0);
    struct forksrv_worker *w;
    ck_assert_int_eq(forksrv_submit(s, spec, &w), -ENOTCONN);
    ck_assert_int_eq(forksrv_spawn(s, spec, 0, &w), -ENOTCONN);
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "forksrv_open"));
    forksrv_free(s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_spec");
    TCase *tc = tcase_create("spec");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, refuses_bad_strings);
    tcase_add_test(tc, argv_and_environment_have_a_limit_together);
    tcase_add_test(tc, refuses_bad_numbers);
    tcase_add_test(tc, refuses_bad_fds);
    tcase_add_test(tc, defaults_are_left_out);
    tcase_add_test(tc, everything_arrives);
    tcase_add_test(tc, an_empty_spec_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
