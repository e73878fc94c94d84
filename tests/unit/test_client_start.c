/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv_open_start: requests that are made before the server has proved itself, with servers that do and servers that do not.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "client/forksrv.h"
#include "tests/unit/servers.h"
#include "tests/unit/unit.h"

static struct forksrv *s;
static struct fake fake;

static void setup(void) {
    unsetenv("FORKSRV_AUTHKEY_FILE");
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("LISTEN_PID");
    ck_assert_int_eq(forksrv_new(&s), 0);
}

static void teardown(void) {
    forksrv_free(s);
}

static void close_session(void) {
    forksrv_free(s);
    s = NULL;
    fake_stop(&fake);
}

static void assert_error(int r, int expected, const char *text) {
    ck_assert_msg(r == expected, "%d (%s) instead of %d: %s", r, strerror(-r), expected, forksrv_error(s));
    ck_assert_msg(strstr(forksrv_error(s), text) != NULL, "the error does not say '%s': %s", text, forksrv_error(s));
}

/* Until an event comes: what a program's own loop does. */
static struct forksrv_event next_event(void) {
    struct forksrv_event e;
    int r = 0;
    while (forksrv_next_event(s, &e) == 0) {
        ck_assert_int_eq(r, 0);
        struct pollfd p = {forksrv_fd(s), (short)forksrv_events(s), 0};
        ck_assert_int_ge(poll(&p, 1, -1), 0);
        r = forksrv_process(s);
    }
    return e;
}

static struct forksrv_worker *submit_with_fd(int fd) {
    static const char *const argv[] = {"true", NULL};
    struct forksrv_spec *spec;
    struct forksrv_worker *w;
    ck_assert_int_eq(forksrv_spec_new(&spec), 0);
    ck_assert_int_eq(forksrv_spec_set_argv(spec, argv), 0);
    ck_assert_int_eq(forksrv_spec_set_report(spec, FORKSRV_REPORT_END), 0);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, fd, 1), 0);
    ck_assert_int_eq(forksrv_submit(s, spec, &w), 0);
    forksrv_spec_free(spec);
    return w;
}

static void runs_one_worker(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_check(message_fds(&m) == 1 && f->fds.count == 1);
    fake_exited(f, m.serial, 1, 7);
    wait_for_the_end(f);
}

/* What is asked for before the server has proved itself waits, with its fds, until it has. */
START_TEST(starts_to_open) {
    fake_start(&fake, runs_one_worker);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    forksrv_set_lazy(s, _i);
    ck_assert_int_eq(forksrv_open_start(s), 0);
    ck_assert_int_eq(forksrv_open_start(s), -EISCONN);
    ck_assert_int_eq(forksrv_open(s), -EISCONN);
    ck_assert_int_eq(forksrv_events(s), POLLIN);
    struct forksrv_worker *w = submit_with_fd(STDERR_FILENO);
    struct forksrv_end end;
    if (_i == 0)
        ck_assert_int_eq(forksrv_worker_wait(w, FORKSRV_FOREVER, &end), 0);
    ck_assert_int_eq(next_event().kind, FORKSRV_EVENT_OPENED);
    if (_i == 1)
        ck_assert_int_eq(next_event().kind, FORKSRV_EVENT_ENDED);
    ck_assert_int_eq(forksrv_worker_end(w, &end), 0);
    ck_assert_int_eq(end.code, 7);
    close_session();
}
END_TEST

/* Whoever cannot prove itself has been told nothing, and what was to be started has not been. */
START_TEST(starts_to_open_and_fails) {
    static const struct {
        fake_script *script;
        int error;
        const char *text;
    } cases[] = {
        {says_failure, -EACCES, "takes no connection"}, {says_http, -EPROTO, "does not speak"},
        {goes, -EPROTO, "closed the connection"},       {welcomes_blindly, -EKEYREJECTED, "cannot prove"},
        {says_nothing, -ETIMEDOUT, "in time"},
    };
    fake_start_raw(&fake, cases[_i].script);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    forksrv_set_timeout(s, cases[_i].error == -ETIMEDOUT ? 20000 : FORKSRV_FOREVER);
    ck_assert_int_eq(forksrv_open_start(s), 0);
    struct forksrv_worker *w = submit_with_fd(STDERR_FILENO);
    if (cases[_i].error == -ETIMEDOUT) {
        /* A blocking call wakes up for the end of the handshake's time, too. */
        ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOTCONN);
        ck_assert_int_eq(forksrv_process(s), -ENOTCONN);
    }
    struct forksrv_event e = next_event();
    ck_assert_int_eq(e.kind, FORKSRV_EVENT_FAILED);
    ck_assert_ptr_eq(e.worker, w);
    ck_assert_int_eq(e.error, cases[_i].error);
    ck_assert_msg(strstr(e.text, cases[_i].text) != NULL, "%s", e.text);
    e = next_event();
    ck_assert_int_eq(e.kind, FORKSRV_EVENT_CLOSED);
    ck_assert_int_eq(e.error, cases[_i].error);
    ck_assert_int_eq(forksrv_worker_wait(w, 0, NULL), cases[_i].error);
    ck_assert_int_eq(forksrv_events(s), 0);
    close_session();
}
END_TEST

START_TEST(starts_to_open_nowhere) {
    forksrv_set_address(s, "/dev/null/nothing");
    assert_error(forksrv_open_start(s), -ENOENT, "/dev/null/nothing");
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    assert_error(forksrv_open_start(s), -ENOKEY, "no authkey was found");
    fake_stop(&fake);
    fake_start(&fake, answer_hello);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    ck_assert_int_eq(forksrv_open_start(s), 0);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), 0);
    close_session();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_start");
    TCase *tc = tcase_create("start");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, starts_to_open, 0, 2);
    tcase_add_loop_test(tc, starts_to_open_and_fails, 0, 5);
    tcase_add_test(tc, starts_to_open_nowhere);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
