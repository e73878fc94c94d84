/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers on one session, each test against a server that follows a script: in order, out of order, late, and never. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "client/forksrv.h"
#include "common/cleanup.h"
#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static struct forksrv *s;
static struct forksrv_spec *spec;
static struct fake fake;

static void begin(fake_script *script) {
    static const char *const argv[] = {"/bin/true", NULL};
    fake_start(&fake, script);
    ck_assert_int_eq(forksrv_new(&s), 0);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    ck_assert_msg(forksrv_open(s) == 0, "%s", forksrv_error(s));
    ck_assert_int_eq(forksrv_spec_new(&spec), 0);
    ck_assert_int_eq(forksrv_spec_set_argv(spec, argv), 0);
}

static void finish(void) {
    forksrv_spec_free(spec);
    forksrv_free(s);
    fake_stop(&fake);
}

static void until_the_end(struct fake *f) {
    struct message m;
    while (fake_read(f, &m))
        ;
}

#define OK(expression) ck_assert_msg((expression) == 0, "%s: %s", #expression, forksrv_error(s))

/* ---- one worker ---- */

static void starts_and_ends(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_check(message_u32(&m, ATTR_SPAWN_FLAGS, 0) == (SPAWN_REPORT_EXECED | SPAWN_PIDFD));
    uint32_t serial = m.serial;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fake_started(f, serial, 77, 4711, fd);
    close_fd(fd);
    fake_exited(f, serial, 77, 7);
    until_the_end(f);
}

START_TEST(spawn_and_wait) {
    begin(starts_and_ends);
    struct forksrv_worker *w;
    struct forksrv_end end;
    struct forksrv_event ev;
    OK(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w));
    ck_assert_uint_eq(forksrv_worker_id(w), 77);
    ck_assert_int_eq(forksrv_worker_pid(w), 4711);
    int fd = forksrv_worker_pidfd(w);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(forksrv_worker_take_pidfd(w), fd);
    ck_assert_int_eq(forksrv_worker_pidfd(w), -1);
    close_fd(fd);
    OK(forksrv_worker_wait(w, FORKSRV_FOREVER, &end));
    ck_assert_int_eq(end.code, 7);
    ck_assert_int_eq(end.signo, 0);
    ck_assert_int_eq(end.reason, FORKSRV_REASON_EXITED);
    ck_assert_uint_eq(end.wall, 12345);
    ck_assert_int_eq(forksrv_worker_state(w), FORKSRV_STATE_ENDED);
    OK(forksrv_worker_wait(w, 0, NULL));
    OK(forksrv_worker_end(w, &end));
    ck_assert_int_eq(forksrv_next_event(s, &ev), 0);
    finish();
}
END_TEST

static void fails(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_failed(f, m.serial, STAGE_EXEC, ENOENT, "exec: No such file or directory: /bin/nope");
    fake_expect(f, MSG_SPAWN, &m);
    fake_failed(f, m.serial, STAGE_CGROUP, EOPNOTSUPP, NULL);
    fake_expect(f, MSG_SPAWN, &m);
    fake_failed(f, m.serial, STAGE_LIMIT, 0x7fffffff, NULL);
    until_the_end(f);
}

START_TEST(failed_spawns) {
    begin(fails);
    struct forksrv_worker *w = NULL;
    struct forksrv_event ev;
    ck_assert_int_eq(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w), -ENOENT);
    ck_assert_str_eq(forksrv_error(s), "exec: No such file or directory: /bin/nope");
    ck_assert_int_eq(forksrv_last_stage(s), FORKSRV_STAGE_EXEC);
    ck_assert_str_eq(forksrv_stage_name(FORKSRV_STAGE_EXEC), "exec");
    ck_assert_int_eq(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w), -EOPNOTSUPP);
    ck_assert_str_eq(forksrv_error(s), "cgroup: Operation not supported");
    ck_assert_int_eq(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w), -EIO);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(forksrv_next_event(s, &ev), 0);
    finish();
}
END_TEST

/* The worker whose spawn ran out of time is killed as soon as it turns up. */
static void starts_late(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    uint32_t serial = m.serial;
    fake_expect(f, MSG_HELLO, &m);
    fake_started(f, serial, 9, 10, -1);
    fake_error(f, m.serial, ENOSYS, "no hello here");
    fake_expect(f, MSG_SIGNAL, &m);
    fake_check(message_u64(&m, ATTR_WORKER, 0) == 9 && message_u32(&m, ATTR_SIGNO, 0) == SIGKILL);
    fake_error(f, m.serial, ESRCH, NULL);
    fake_exited(f, serial, 9, 0);
    fake_expect(f, MSG_SPAWN, &m);
    fake_check(m.serial != 0);
    fake_started(f, m.serial, 11, 12, -1);
    until_the_end(f);
}

START_TEST(spawn_times_out) {
    begin(starts_late);
    struct forksrv_worker *w;
    struct forksrv_event ev;
    ck_assert_int_eq(forksrv_spawn(s, spec, 1000, &w), -ETIMEDOUT);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOSYS);
    ck_assert_str_eq(forksrv_error(s), "no hello here");
    OK(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w));
    ck_assert_uint_eq(forksrv_worker_id(w), 11);
    ck_assert_int_eq(forksrv_worker_wait(w, 1000, NULL), -ETIMEDOUT);
    ck_assert_int_eq(forksrv_worker_wait(w, 0, NULL), -ETIMEDOUT);
    ck_assert_int_eq(forksrv_next_event(s, &ev), 0);
    finish();
}
END_TEST

/* ---- many workers, events ---- */

enum { MANY = 2000 };

static void many(struct fake *f) {
    static uint32_t serials[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        struct message m;
        fake_expect(f, MSG_SPAWN, &m);
        serials[i] = m.serial;
    }
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    /* The last comes first. */
    for (unsigned i = MANY; i-- > 0;) {
        fake_started(f, serials[i], i + 1, (pid_t)(i + 100), i % 8 == 0 ? fd : -1);
        if (i % 3 == 0)
            fake_failed(f, serials[i], STAGE_EXEC, EACCES, NULL);
        else
            fake_exited(f, serials[i], i + 1, i & 0xff);
    }
    close_fd(fd);
    until_the_end(f);
}

static int count_fds(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Every second handle is let go before anything is known of it. */
START_TEST(many_workers_at_once) {
    begin(many);
    static struct forksrv_worker *workers[MANY];
    forksrv_spec_set_report(spec, FORKSRV_REPORT_STARTED);
    int fds = count_fds();
    for (unsigned i = 0; i < MANY; i++) {
        OK(forksrv_submit(s, spec, &workers[i]));
        ck_assert_int_eq(forksrv_worker_state(workers[i]), FORKSRV_STATE_SUBMITTED);
        forksrv_worker_set_data(workers[i], &workers[i]);
    }
    for (unsigned i = 0; i < MANY; i += 2)
        forksrv_worker_free(workers[i]);
    unsigned started = 0, ended = 0, failed = 0;
    while (ended + failed < MANY / 2) {
        struct forksrv_event ev;
        ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
        ck_assert_ptr_nonnull(ev.worker);
        size_t i = (size_t)((struct forksrv_worker **)forksrv_worker_data(ev.worker) - workers);
        ck_assert_uint_eq(i % 2, 1);
        started += ev.kind == FORKSRV_EVENT_STARTED;
        if (ev.kind == FORKSRV_EVENT_FAILED) {
            failed++;
            ck_assert_uint_eq(i % 3, 0);
            ck_assert_int_eq(ev.error, -EACCES);
            ck_assert_int_eq(ev.stage, FORKSRV_STAGE_EXEC);
            ck_assert_str_eq(ev.text, "exec: Permission denied");
            ck_assert_int_eq(forksrv_worker_wait(ev.worker, 0, NULL), -EACCES);
            forksrv_worker_free(ev.worker);
        } else if (ev.kind == FORKSRV_EVENT_ENDED) {
            struct forksrv_end end;
            ended++;
            OK(forksrv_worker_end(ev.worker, &end));
            ck_assert_int_eq(end.code, (int)(i & 0xff));
            forksrv_worker_free(ev.worker);
        }
    }
    ck_assert_uint_eq(started, MANY / 2);
    ck_assert_int_eq(count_fds(), fds);
    finish();
}
END_TEST

/* A program's own loop, with nothing but poll. */
START_TEST(foreign_loop) {
    begin(starts_and_ends);
    struct forksrv_worker *w;
    struct forksrv_event ev;
    OK(forksrv_submit(s, spec, &w));
    ck_assert_int_eq(forksrv_events(s), POLLIN | POLLOUT);
    bool ended = false;
    while (!ended) {
        struct pollfd p = {.fd = forksrv_fd(s), .events = (short)forksrv_events(s)};
        ck_assert_int_eq(poll(&p, 1, -1), 1);
        OK(forksrv_process(s));
        while (forksrv_next_event(s, &ev) == 1)
            ended |= ev.kind == FORKSRV_EVENT_ENDED;
    }
    ck_assert_int_eq(forksrv_events(s), POLLIN);
    finish();
}
END_TEST

/* ---- fds ---- */

/* Every SPAWN of this test has its number as the content of each fd. */
static void reads_fds(struct fake *f) {
    for (unsigned i = 0; i < 6; i++) {
        struct message m;
        fake_expect(f, MSG_SPAWN, &m);
        unsigned n = message_fds(&m);
        int fds[LIMIT_FDS];
        fake_check(fd_queue_take(&f->fds, n, fds) == 0);
        for (unsigned k = 0; k < n; k++) {
            char number = 0;
            fake_check(pread(fds[k], &number, 1, 0) == 1 && number == (char)('a' + i));
            close_fd(fds[k]);
        }
        const struct attribute *map = &m.attributes[ATTR_FDMAP];
        fake_check(map->size / 8 == (n > 0 ? n + 1 : 0));
        fake_started(f, m.serial, i + 1, 1, -1);
    }
    until_the_end(f);
}

static int mapped[LIMIT_MAPPED_FDS];
static unsigned n_mapped;

static void map_files(unsigned i, unsigned n) {
    char path[] = "/tmp/forksrv-fd.XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    char number = (char)('a' + i);
    ck_assert_int_eq(write(fd, &number, 1), 1);
    for (unsigned k = 0; k < n; k++) {
        int one = fcntl(fd, F_DUPFD_CLOEXEC, 200);
        ck_assert_int_ge(one, 0);
        mapped[n_mapped++] = one;
        ck_assert_int_eq(forksrv_spec_map_fd(spec, one, (int)k), 0);
        if (k == 0)
            ck_assert_int_eq(forksrv_spec_map_fd(spec, one, 1000), 0);
    }
    close_fd(fd);
}

static void unmap_files(void) {
    for (int target = 0; target < 1024; target++)
        ck_assert_int_eq(forksrv_spec_map_fd(spec, -1, target), 0);
    while (n_mapped > 0)
        close(mapped[--n_mapped]);
}

/* Borrowed until submit returns: closed right after it. A large request fills the socket, so that some must be kept. */
START_TEST(fds_travel_with_their_request) {
    static const unsigned counts[6] = {0, 3, 249, 0, 200, 2};
    begin(reads_fds);
    size_t size = 900 * 1024;
    char *big = malloc(size);
    memset(big, 'x', size);
    big[size - 1] = 0;
    struct forksrv_worker *workers[6];
    for (unsigned i = 0; i < 6; i++) {
        map_files(i, counts[i]);
        if (_i == 1)
            ck_assert_int_eq(forksrv_spec_setenv(spec, "BIG", i == 0 || i == 2 ? big : "small"), 0);
        OK(forksrv_submit(s, spec, &workers[i]));
        unmap_files();
    }
    for (unsigned i = 0; i < 6; i++) {
        struct forksrv_event ev;
        ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
        ck_assert_int_eq(ev.kind, FORKSRV_EVENT_STARTED);
        ck_assert_ptr_eq(ev.worker, workers[i]);
        ck_assert_uint_eq(forksrv_worker_id(ev.worker), i + 1);
    }
    free(big);
    finish();
}
END_TEST

enum { IN_FLIGHT = 8, FDS_EACH = 100 };

static void takes_many_fds(struct fake *f) {
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        struct message m;
        fake_expect(f, MSG_SPAWN, &m);
        int fds[LIMIT_FDS];
        fake_check(message_fds(&m) == FDS_EACH && fd_queue_take(&f->fds, FDS_EACH, fds) == 0);
        for (unsigned k = 0; k < FDS_EACH; k++)
            close_fd(fds[k]);
        fake_started(f, m.serial, i + 1, 1, -1);
    }
    until_the_end(f);
}

/* The kernel bounds what a user without privileges has on its way through sockets, and no poll tells when there is room again. */
START_TEST(more_fds_in_flight_than_the_kernel_likes) {
    begin(takes_many_fds);
    map_files(0, FDS_EACH - 1);
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 2, 900), 0);
    struct rlimit before, few = {320, 320};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    kill(fake.pid, SIGSTOP);
    uid_t uid = geteuid();
    /* The kernel counts for each user: nobody else may be this one. */
    ck_assert_int_eq(seteuid(uid == 0 ? 1000000 + (uid_t)getpid() : uid), 0);
    struct forksrv_worker *workers[IN_FLIGHT];
    unsigned n = 0;
    while (n < IN_FLIGHT && forksrv_submit(s, spec, &workers[n]) == 0)
        n++;
    ck_assert_uint_gt(n, 320 / FDS_EACH);
    ck_assert_msg(n < IN_FLIGHT, "the kernel took everything");
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "cannot be kept for the worker: Too many open files"));
    ck_assert_int_eq(forksrv_worker_wait(workers[n - 1], 5000, NULL), -ETIMEDOUT);
    kill(fake.pid, SIGCONT);
    struct forksrv_event ev;
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        if (i >= n)
            OK(forksrv_submit(s, spec, &workers[i]));
        ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
        ck_assert_int_eq(ev.kind, FORKSRV_EVENT_STARTED);
    }
    ck_assert_int_eq(seteuid(uid), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    unmap_files();
    finish();
}
END_TEST

/* ---- a full queue ---- */

static void counts_spawns(struct fake *f) {
    struct message m;
    unsigned n = 0;
    fake_check(fake_read(f, &m));
    while (m.type == MSG_SPAWN) {
        n++;
        fake_check(fake_read(f, &m));
    }
    fake_check(m.type == MSG_HELLO && n >= 5);
    fake_error(f, m.serial, ENOSYS, NULL);
    until_the_end(f);
}

START_TEST(a_full_queue) {
    begin(counts_spawns);
    size_t size = 1024 * 1024;
    char *big = malloc(size);
    memset(big, 'x', size);
    big[size - 1] = 0;
    ck_assert_int_eq(forksrv_spec_setenv(spec, "BIG", big), 0);
    free(big);
    kill(fake.pid, SIGSTOP);
    int r;
    struct forksrv_worker *w;
    unsigned n = 0;
    while ((r = forksrv_submit(s, spec, &w)) == 0)
        n++;
    ck_assert_int_eq(r, -EAGAIN);
    ck_assert_uint_ge(n, 4);
    forksrv_spec_set_report(spec, FORKSRV_REPORT_END);
    ck_assert_int_eq(forksrv_spawn(s, spec, 1000, &w), -ETIMEDOUT);
    kill(fake.pid, SIGCONT);
    OK(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w));
    ck_assert_int_eq(forksrv_worker_state(w), FORKSRV_STATE_SUBMITTED);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOSYS);
    ck_assert_str_eq(forksrv_error(s), "Function not implemented");
    finish();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_session");
    TCase *tc = tcase_create("session");
    tcase_add_test(tc, spawn_and_wait);
    tcase_add_test(tc, failed_spawns);
    tcase_add_test(tc, spawn_times_out);
    tcase_add_test(tc, many_workers_at_once);
    tcase_add_test(tc, foreign_loop);
    tcase_add_loop_test(tc, fds_travel_with_their_request, 0, 2);
    tcase_add_test(tc, more_fds_in_flight_than_the_kernel_likes);
    tcase_add_test(tc, a_full_queue);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
