/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv_cpython_*: what a server gets, and all that one can do wrong. tests/live/client-cpython.tap asks real ones. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/forksrv.h"
#include "common/cleanup.h"
#include "tests/unit/fake.h"
#include "tests/unit/servers.h"
#include "tests/unit/unit.h"

enum { PID = 4660, SHORT = 50 * 1000, LARGE = 4 * 1024 * 1024 };

static struct forksrv *s;
static struct fake fake;
static struct forksrv_cpython *process;

static void setup(void) {
    unsetenv("FORKSRV_ADDRESS");
    unsetenv("FORKSRV_AUTHKEY_FILE");
    process = NULL;
    ck_assert_int_eq(forksrv_new(&s), 0);
}

static void teardown(void) {
    forksrv_cpython_free(process);
    forksrv_free(s);
}

static void reach(fake_script *script) {
    fake_start(&fake, script);
    ck_assert_int_eq(forksrv_set_address(s, fake.address), 0);
    ck_assert_int_eq(forksrv_set_authkey(s, fake.key, sizeof fake.key), 0);
}

static void assert_error(int r, int expected, const char *text) {
    ck_assert_msg(r == expected, "%d (%s) instead of %d: %s", r, strerror(-r), expected, forksrv_error(s));
    ck_assert_msg(strstr(forksrv_error(s), text) != NULL, "the error does not say '%s': %s", text, forksrv_error(s));
    ck_assert_ptr_null(process);
}

static int ask(uint64_t timeout) {
    return forksrv_cpython_fork(s, "data", 4, NULL, 0, timeout, &process);
}

/* ---- what the server does ---- */

static void wait_readable(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, -1) < 0)
        fake_check(errno == EINTR);
}

/* The one byte of the request. */
static void take(struct fake *f, unsigned n) {
    uint8_t count;
    wait_readable(f->session);
    fake_check(fds_receive(f->session, &count, 1, &f->fds) == 1);
    fake_check(count == n && f->fds.count == n);
    /* A client whose time is up has gone: it decides what it calls that. */
    signal(SIGPIPE, SIG_IGN);
}

static void tell(struct fake *f, int64_t number) {
    fake_check(write(f->fds.fds[1], &number, sizeof number) == (ssize_t)sizeof number || errno == EPIPE);
}

static void accept_it(struct fake *f, unsigned n) {
    take(f, n);
    fake_check(write(f->session, "A", 1) == 1 || errno == EPIPE);
}

static void expect_data(struct fake *f, const char *data) {
    char buffer[16];
    size_t n = strlen(data);
    fake_check(read(f->fds.fds[0], buffer, n) == (ssize_t)n && memcmp(buffer, data, n) == 0);
}

/* Until the client goes: the end of the data. */
static void wait_for_its_end(struct fake *f) {
    char buffer[4096];
    while (read(f->fds.fds[0], buffer, sizeof buffer) > 0)
        ;
}

static void exits(struct fake *f) {
    struct stat status;
    accept_it(f, 4);
    fake_check(fstat(f->fds.fds[1], &status) == 0 && S_ISFIFO(status.st_mode));
    tell(f, PID);
    expect_data(f, "data");
    tell(f, 7);
    wait_for_its_end(f);
}

static void is_killed(struct fake *f) {
    accept_it(f, 4);
    tell(f, PID);
    tell(f, -9);
    wait_for_its_end(f);
}

/* The client's own fds come after the four, in order. */
static void takes_fds(struct fake *f) {
    accept_it(f, 6);
    fake_check(write(f->fds.fds[4], "first", 5) == 5 && write(f->fds.fds[5], "second", 6) == 6);
    tell(f, PID);
    expect_data(f, "data");
    tell(f, 0);
    wait_for_its_end(f);
}

static void takes_most(struct fake *f) {
    accept_it(f, 253);
    tell(f, PID);
    wait_for_its_end(f);
}

static void goes_at_the_request(struct fake *f) {
    take(f, 4);
}

static void says_error(struct fake *f) {
    take(f, 4);
    fake_check(write(f->session, "\0\0\0\x08", 4) == 4);
}

static void never_answers(struct fake *f) {
    take(f, 4);
    wait_for_its_end(f);
}

static void forks_nothing(struct fake *f) {
    accept_it(f, 4);
}

static void never_forks(struct fake *f) {
    accept_it(f, 4);
    wait_for_its_end(f);
}

static void tells_no_pid(struct fake *f) {
    accept_it(f, 4);
    tell(f, 0);
    wait_for_its_end(f);
}

static void tells_half_a_pid(struct fake *f) {
    accept_it(f, 4);
    fake_check(write(f->fds.fds[1], "\1\0\0", 3) == 3);
    wait_for_its_end(f);
}

static void never_reads(struct fake *f) {
    accept_it(f, 4);
    tell(f, PID);
    /* The end of the status' reader is that of the client. */
    struct pollfd p = {.fd = f->fds.fds[1], .events = 0};
    while (poll(&p, 1, -1) != 1)
        ;
}

static void goes_before_the_data(struct fake *f) {
    accept_it(f, 4);
    close(f->fds.fds[0]);
    f->fds.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    tell(f, PID);
    tell(f, -11);
}

static void goes_before_the_end(struct fake *f) {
    accept_it(f, 4);
    tell(f, PID);
    expect_data(f, "data");
}

static void is_called(struct fake *f) {
    static const char *const parts[] = {"json", "dumps", "an argument", "ForkServerProcess"};
    char buffer[4096];
    accept_it(f, 4);
    tell(f, PID);
    ssize_t n = read(f->fds.fds[0], buffer, sizeof buffer);
    fake_check(n > 0 && memcmp(buffer, "\x80\x04", 2) == 0 && buffer[n - 1] == '.');
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        fake_check(memmem(buffer, (size_t)n, parts[i], strlen(parts[i])) != NULL);
    tell(f, 0);
    wait_for_its_end(f);
}

/* ---- what the client sees ---- */

static void assert_end(int code, int signo) {
    int is_code = 99, is_signo = 99;
    ck_assert_int_eq(forksrv_cpython_wait(process, FORKSRV_FOREVER, &is_code, &is_signo), 0);
    ck_assert_int_eq(is_code, code);
    ck_assert_int_eq(is_signo, signo);
}

static void done(void) {
    forksrv_cpython_free(process);
    process = NULL;
    fake_stop(&fake);
}

static void assert_process(int r) {
    ck_assert_msg(r == 0, "%s", forksrv_error(s));
    ck_assert_int_eq(forksrv_cpython_pid(process), PID);
}

START_TEST(a_process_that_exits) {
    reach(exits);
    assert_process(ask(FORKSRV_FOREVER));
    ck_assert_int_ne(fcntl(forksrv_cpython_fd(process), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_str_eq(forksrv_address(s), fake.address);
    assert_end(7, 0);
    assert_end(7, 0);
    done();
}
END_TEST

START_TEST(a_process_that_is_killed) {
    reach(is_killed);
    assert_process(ask(FORKSRV_FOREVER));
    assert_end(-1, 9);
    done();
}
END_TEST

START_TEST(the_session_serves_again) {
    for (int i = 0; i < 3; i++) {
        fake_start(&fake, exits);
        ck_assert_int_eq(forksrv_set_address(s, fake.address), 0);
        /* Once: it is kept. */
        if (i == 0)
            ck_assert_int_eq(forksrv_set_authkey(s, fake.key, sizeof fake.key), 0);
        assert_process(ask(FORKSRV_FOREVER));
        assert_end(7, 0);
        done();
    }
    fake_start(&fake, answer_hello);
    ck_assert_int_eq(forksrv_set_address(s, fake.address), 0);
    ck_assert_int_eq(forksrv_open(s), 0);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), 0);
    assert_error(ask(FORKSRV_FOREVER), -EISCONN, "open already");
    forksrv_free(s);
    s = NULL;
    fake_stop(&fake);
}
END_TEST

static int own_fds[2][2];

static void make_pipes(void) {
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pipe2(own_fds[i], O_CLOEXEC), 0);
}

START_TEST(fds_go_along) {
    char buffer[16];
    make_pipes();
    reach(takes_fds);
    assert_process(forksrv_cpython_fork(s, "data", 4, (const int[]){own_fds[0][1], own_fds[1][1]}, 2, FORKSRV_FOREVER, &process));
    for (int i = 0; i < 2; i++)
        close(own_fds[i][1]);
    ck_assert_int_eq(read(own_fds[0][0], buffer, sizeof buffer), 5);
    ck_assert_int_eq(read(own_fds[1][0], buffer, sizeof buffer), 6);
    assert_end(0, 0);
    done();
}
END_TEST

START_TEST(as_many_fds_as_can_be) {
    int many[250];
    for (size_t i = 0; i < 250; i++)
        many[i] = 2;
    reach(takes_most);
    assert_error(forksrv_cpython_fork(s, "", 0, many, 250, FORKSRV_FOREVER, &process), -E2BIG, "249");
    assert_process(forksrv_cpython_fork(s, "", 0, many, 249, FORKSRV_FOREVER, &process));
    done();
}
END_TEST

START_TEST(an_fd_that_is_none) {
    reach(wait_for_the_end);
    assert_error(forksrv_cpython_fork(s, "", 0, (const int[]){-1}, 1, FORKSRV_FOREVER, &process), -EBADF, "cannot be sent");
    done();
}
END_TEST

START_TEST(a_call) {
    static const char *const args[] = {"an argument", NULL};
    reach(is_called);
    assert_process(forksrv_cpython_call(s, "json:dumps", args, NULL, 0, FORKSRV_FOREVER, &process));
    assert_end(0, 0);
    done();
}
END_TEST

START_TEST(a_call_that_cannot_be) {
    static const char *const wrong[] = {"", "module", ":", "module:", ":name"};
    auto_free char *huge = malloc(LARGE);
    memset(huge, 'x', LARGE - 1);
    huge[LARGE - 1] = 0;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_error(forksrv_cpython_call(s, wrong[i], NULL, NULL, 0, FORKSRV_FOREVER, &process), -EINVAL, "MODULE:NAME");
    assert_error(forksrv_cpython_call(s, "a:b", (const char *const[]){huge, NULL}, NULL, 0, FORKSRV_FOREVER, &process), -E2BIG,
                 "too long");
}
END_TEST

static const struct {
    fake_script *script;
    int error;
    const char *text;
} bad[] = {
    {goes_at_the_request, -ECONNRESET, "did not take the request"},
    {says_error, -EOPNOTSUPP, "CPythonZygote="},
    {never_answers, -ETIMEDOUT, "in time"},
    {forks_nothing, -EIO, "forked nothing"},
    {never_forks, -ETIMEDOUT, "in time"},
    {tells_no_pid, -EPROTO, "which process"},
    {tells_half_a_pid, -EPROTO, "which process"},
};

/* Only those that say nothing need the time limit: the others must not run into it. */
START_TEST(a_bad_server) {
    reach(bad[_i].script);
    assert_error(ask(bad[_i].error == -ETIMEDOUT ? SHORT : FORKSRV_FOREVER), bad[_i].error, bad[_i].text);
    done();
}
END_TEST

START_TEST(data_that_nobody_reads) {
    auto_free char *huge = calloc(1, LARGE);
    reach(never_reads);
    assert_error(forksrv_cpython_fork(s, huge, LARGE, NULL, 0, SHORT, &process), -ETIMEDOUT, "in time");
    done();
}
END_TEST

/* No SIGPIPE, which would end this test; and the process' own end is told. */
START_TEST(data_that_nobody_can_read) {
    auto_free char *huge = calloc(1, LARGE);
    reach(goes_before_the_data);
    assert_process(forksrv_cpython_fork(s, huge, LARGE, NULL, 0, FORKSRV_FOREVER, &process));
    assert_end(-1, 11);
    done();
}
END_TEST

START_TEST(an_end_that_is_not_told) {
    int code = 99, signo = 99;
    reach(goes_before_the_end);
    assert_process(ask(FORKSRV_FOREVER));
    ck_assert_int_eq(forksrv_cpython_wait(process, FORKSRV_FOREVER, &code, &signo), -ENOTCONN);
    ck_assert_int_eq(forksrv_cpython_wait(process, FORKSRV_FOREVER, &code, &signo), -ENOTCONN);
    ck_assert_int_eq(code, 99);
    ck_assert_int_eq(signo, 99);
    done();
}
END_TEST

START_TEST(waiting_has_a_limit) {
    int code, signo;
    reach(takes_most);
    int many[249];
    for (size_t i = 0; i < 249; i++)
        many[i] = 2;
    assert_process(forksrv_cpython_fork(s, "", 0, many, 249, FORKSRV_FOREVER, &process));
    ck_assert_int_eq(forksrv_cpython_wait(process, 0, &code, &signo), -ETIMEDOUT);
    ck_assert_int_eq(forksrv_cpython_wait(process, SHORT, &code, &signo), -ETIMEDOUT);
    done();
}
END_TEST

START_TEST(nobody_there) {
    ck_assert_int_eq(forksrv_set_address(s, "/nope/control"), 0);
    ck_assert_int_eq(forksrv_set_authkey(s, fake.key, sizeof fake.key), 0);
    assert_error(ask(FORKSRV_FOREVER), -ENOENT, "/nope/control");
}
END_TEST

START_TEST(another_key) {
    const uint8_t other[LIMIT_AUTHKEY] = {1};
    reach(wait_for_the_end);
    ck_assert_int_eq(forksrv_set_authkey(s, other, sizeof other), 0);
    assert_error(ask(FORKSRV_FOREVER), -EKEYREJECTED, "refuses our authkey");
    done();
}
END_TEST

START_TEST(a_server_that_says_nothing) {
    fake_start_raw(&fake, says_nothing);
    ck_assert_int_eq(forksrv_set_address(s, fake.address), 0);
    ck_assert_int_eq(forksrv_set_authkey(s, fake.key, sizeof fake.key), 0);
    assert_error(ask(SHORT), -ETIMEDOUT, "in time");
    done();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client cpython");
    TCase *t = tcase_create("processes");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_process_that_exits);
    tcase_add_test(t, a_process_that_is_killed);
    tcase_add_test(t, the_session_serves_again);
    tcase_add_test(t, fds_go_along);
    tcase_add_test(t, as_many_fds_as_can_be);
    tcase_add_test(t, an_fd_that_is_none);
    tcase_add_test(t, a_call);
    tcase_add_test(t, a_call_that_cannot_be);
    suite_add_tcase(suite, t);
    t = tcase_create("servers");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_bad_server, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(t, data_that_nobody_reads);
    tcase_add_test(t, data_that_nobody_can_read);
    tcase_add_test(t, an_end_that_is_not_told);
    tcase_add_test(t, waiting_has_a_limit);
    tcase_add_test(t, nobody_there);
    tcase_add_test(t, another_key);
    tcase_add_test(t, a_server_that_says_nothing);
    suite_add_tcase(suite, t);
    return run_suite(suite);
}
