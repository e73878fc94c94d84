/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers and requests on one session, each test against a server that follows a script: in order, out of order, late, never, and
 * against the rules. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
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

/* ---- other requests ---- */

static void put_worker(struct message_writer *w, uint64_t id, const char *name, bool ended) {
    message_open_record(w);
    message_put_u64(w, ATTR_WORKER, id);
    message_put_u32(w, ATTR_PID, (uint32_t)id + 1000);
    if (name != NULL)
        message_put_str(w, ATTR_NAME, name);
    message_put_str(w, ATTR_PROGRAM, "/bin/x");
    message_put_u32(w, ATTR_SPAWN_FLAGS, SPAWN_DETACHED | SPAWN_PIDFD);
    message_put_u64(w, ATTR_WALL, 5);
    if (ended) {
        uint8_t *p = message_put_space(w, ATTR_END, 16);
        memset(p, 0, 16);
        wire_put_u32(p, END_DUMPED);
        wire_put_u32(p + 4, SIGSEGV);
        wire_put_u32(p + 8, REASON_SIGNALLED);
        p = message_put_space(w, ATTR_RUSAGE, 8 * RUSAGE_FIELDS);
        for (unsigned i = 0; i < RUSAGE_FIELDS; i++)
            wire_put_u64(p + (size_t)i * 8, i + 1);
    }
    message_close_record(w);
}

static void lists(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_LIST, &m);
    for (unsigned part = 0; part < 3; part++) {
        struct wire_buf out;
        struct message_writer w;
        wire_buf_init(&out, 0);
        message_begin(&w, &out, MSG_LISTED, part < 2 ? MESSAGE_MORE : 0, m.serial);
        for (unsigned i = 0; i < 20; i++)
            put_worker(&w, part * 20 + i + 1, i % 2 == 0 ? "even" : NULL, i == 3);
        fake_check(message_end(&w) == 0);
        fake_write(f, &out, NULL, 0);
    }
    until_the_end(f);
}

START_TEST(list_of_workers) {
    begin(lists);
    struct forksrv_list *list;
    OK(forksrv_list_workers(s, FORKSRV_FOREVER, &list));
    finish();
    /* The list outlives the session. */
    ck_assert_uint_eq(forksrv_list_count(list), 60);
    const struct forksrv_info *i = forksrv_list_get(list, 43);
    ck_assert_uint_eq(i->id, 44);
    ck_assert_int_eq(i->pid, 1044);
    ck_assert_str_eq(i->name, "");
    ck_assert_str_eq(i->program, "/bin/x");
    ck_assert_uint_eq(i->flags, FORKSRV_DETACHED);
    ck_assert_int_eq(i->state, FORKSRV_STATE_ENDED);
    ck_assert_int_eq(i->end.signo, SIGSEGV);
    ck_assert_int_eq(i->end.code, -1);
    ck_assert_int_eq(i->end.core_dumped, 1);
    ck_assert_int_eq(i->end.reason, FORKSRV_REASON_SIGNALLED);
    ck_assert_uint_eq(i->end.user_time, 1);
    ck_assert_uint_eq(i->end.involuntary_switches, 9);
    ck_assert_str_eq(forksrv_list_get(list, 42)->name, "even");
    ck_assert_int_eq(forksrv_list_get(list, 42)->state, FORKSRV_STATE_RUNNING);
    ck_assert_ptr_null(forksrv_list_get(list, 60));
    forksrv_list_free(list);
    forksrv_list_free(NULL);
}
END_TEST

static void tells_status(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_STATUS, &m);
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_STATUS_REPLY, 0, m.serial);
    for (unsigned i = 0; i < 20; i++) {
        message_open_record(&w);
        message_put_str(&w, ATTR_KEY, "workers.live");
        message_put_u64(&w, ATTR_VALUE, i);
        message_close_record(&w);
    }
    message_open_record(&w);
    message_put_str(&w, ATTR_KEY, "version");
    message_put_str(&w, ATTR_TEXT, "1.2.3");
    message_close_record(&w);
    fake_check(message_end(&w) == 0);
    fake_write(f, &out, NULL, 0);
    until_the_end(f);
}

START_TEST(status_of_the_instance) {
    begin(tells_status);
    struct forksrv_status *st;
    const char *name, *text;
    uint64_t value;
    OK(forksrv_get_status(s, FORKSRV_FOREVER, &st));
    finish();
    ck_assert_uint_eq(forksrv_status_count(st), 21);
    ck_assert_int_eq(forksrv_status_get(st, 19, &name, &value, &text), 0);
    ck_assert_str_eq(name, "workers.live");
    ck_assert_uint_eq(value, 19);
    ck_assert_ptr_null(text);
    ck_assert_int_eq(forksrv_status_get(st, 20, &name, &value, &text), 0);
    ck_assert_str_eq(text, "1.2.3");
    ck_assert_int_eq(forksrv_status_get(st, 21, &name, &value, &text), -ERANGE);
    forksrv_status_free(st);
    forksrv_status_free(NULL);
}
END_TEST

static void takes_signals(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SIGNAL, &m);
    fake_check(message_u64(&m, ATTR_WORKER, 0) == 5 && message_u32(&m, ATTR_SIGNO, 0) == SIGTERM);
    fake_check(message_u32(&m, ATTR_SIGNAL_FLAGS, 0) == SIGNAL_GROUP);
    fake_done(f, m.serial);
    fake_expect(f, MSG_SIGNAL, &m);
    fake_error(f, m.serial, ESRCH, "there is no worker 6");
    fake_expect(f, MSG_SIGNAL, &m);
    fake_done(f, m.serial);
    fake_expect(f, MSG_WAIT, &m);
    fake_check(strcmp(message_str(&m, ATTR_NAME), "door") == 0);
    fake_error(f, m.serial, EEXIST, "two are called door");
    fake_expect(f, MSG_WAIT, &m);
    fake_check(message_u64(&m, ATTR_WORKER, 0) == 8);
    fake_started(f, m.serial, 8, 88, -1);
    fake_exited(f, m.serial, 8, 3);
    until_the_end(f);
}

START_TEST(signals_and_attach) {
    begin(takes_signals);
    struct forksrv_worker *w;
    struct forksrv_end end;
    OK(forksrv_signal(s, 5, SIGTERM, FORKSRV_SIGNAL_GROUP, FORKSRV_FOREVER));
    ck_assert_int_eq(forksrv_signal(s, 6, SIGTERM, 0, FORKSRV_FOREVER), -ESRCH);
    ck_assert_str_eq(forksrv_error(s), "there is no worker 6");
    ck_assert_int_eq(forksrv_signal(s, 6, 4711, 0, FORKSRV_FOREVER), -EINVAL);
    ck_assert_int_eq(forksrv_signal(s, 6, SIGTERM, 1u << 7, FORKSRV_FOREVER), -EINVAL);
    OK(forksrv_submit_signal(s, 7, SIGINT, 0));
    ck_assert_int_eq(forksrv_attach(s, 0, NULL, 0, &w), -EINVAL);
    ck_assert_int_eq(forksrv_attach(s, 0, "door", FORKSRV_FOREVER, &w), -EEXIST);
    ck_assert_str_eq(forksrv_error(s), "two are called door");
    OK(forksrv_attach(s, 8, NULL, FORKSRV_FOREVER, &w));
    ck_assert_int_eq(forksrv_worker_pid(w), 88);
    OK(forksrv_worker_wait(w, FORKSRV_FOREVER, &end));
    ck_assert_int_eq(end.code, 3);
    finish();
}
END_TEST

/* ---- watch ---- */

static void put_event(struct fake *f, uint32_t serial, uint32_t kind, uint64_t id) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_EVENT, 0, serial);
    message_put_u32(&w, ATTR_EVENT, kind);
    if (kind == EVENT_LOST) {
        message_put_u64(&w, ATTR_VALUE, id);
    } else {
        message_put_u64(&w, ATTR_WORKER, id);
        message_put_str(&w, ATTR_NAME, "watched");
    }
    if (kind == EVENT_FAILED) {
        message_put_u32(&w, ATTR_STAGE, STAGE_CWD);
        message_put_u32(&w, ATTR_ERRNO, ENOTDIR);
    }
    fake_check(message_end(&w) == 0);
    fake_write(f, &out, NULL, 0);
}

static void is_watched(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_WATCH, &m);
    fake_check(message_u32(&m, ATTR_ENABLE, 0) == 1);
    uint32_t watch = m.serial;
    fake_done(f, watch);
    put_event(f, watch, EVENT_STARTED, 1);
    put_event(f, watch, EVENT_FAILED, 2);
    put_event(f, watch, EVENT_ENDED, 3);
    put_event(f, watch, 99, 4);
    put_event(f, watch, EVENT_LOST, 5);
    /* More than anybody keeps for a program that does not look. */
    fake_expect(f, MSG_HELLO, &m);
    for (unsigned i = 0; i < 5000; i++)
        put_event(f, watch, EVENT_STARTED, i);
    fake_error(f, m.serial, ENOSYS, NULL);
}

START_TEST(watch) {
    begin(is_watched);
    struct forksrv_event ev;
    OK(forksrv_watch(s, 1, FORKSRV_FOREVER));
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_WATCH_STARTED);
    ck_assert_uint_eq(ev.info->id, 1);
    ck_assert_str_eq(ev.info->name, "watched");
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_WATCH_FAILED);
    ck_assert_int_eq(ev.error, -ENOTDIR);
    ck_assert_int_eq(ev.stage, FORKSRV_STAGE_CWD);
    ck_assert_str_eq(ev.text, "Not a directory");
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_WATCH_ENDED);
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_WATCH_LOST);
    ck_assert_uint_eq(ev.count, 5);
    ck_assert_ptr_null(ev.info);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOSYS);
    unsigned kept = 0;
    while (forksrv_next_event(s, &ev) == 1 && ev.kind == FORKSRV_EVENT_WATCH_STARTED)
        kept++;
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_WATCH_LOST);
    ck_assert_uint_eq(kept + ev.count, 5000);
    ck_assert_uint_gt(kept, 1000);
    finish();
}
END_TEST

/* ---- the end of a session ---- */

static void goes_after_a_start(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_started(f, m.serial, 1, 1, -1);
    if (fake_read(f, &m))
        fake_error(f, 0, ESHUTDOWN, "the instance stops");
}

static void goes_silently(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_SPAWN, &m);
    fake_started(f, m.serial, 1, 1, -1);
    fake_expect(f, MSG_HELLO, &m);
}

START_TEST(a_lost_session) {
    begin(_i == 0 ? goes_after_a_start : goes_silently);
    struct forksrv_worker *w, *other;
    struct forksrv_event ev;
    struct forksrv_end end;
    const char *why = _i == 0 ? "the instance stops" : "closed the session";
    OK(forksrv_spawn(s, spec, FORKSRV_FOREVER, &w));
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOTCONN);
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), why));
    ck_assert_int_eq(forksrv_worker_state(w), FORKSRV_STATE_LOST);
    ck_assert_int_eq(forksrv_worker_wait(w, FORKSRV_FOREVER, &end), -ENOTCONN);
    ck_assert_int_eq(forksrv_worker_end(w, &end), -EAGAIN);
    ck_assert_int_eq(forksrv_spawn(s, spec, FORKSRV_FOREVER, &other), -ENOTCONN);
    ck_assert_int_eq(forksrv_submit(s, spec, &other), -ENOTCONN);
    ck_assert_int_eq(forksrv_process(s), -ENOTCONN);
    ck_assert_int_eq(forksrv_open(s), -EISCONN);
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_CLOSED);
    ck_assert_int_eq(ev.error, _i == 0 ? -ESHUTDOWN : -ECONNRESET);
    ck_assert_ptr_nonnull(strstr(ev.text, why));
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), -ENOTCONN);
    ck_assert_int_eq(forksrv_events(s), 0);
    finish();
}
END_TEST

static void raw(struct fake *f, const char *hex, int fd) {
    struct wire_buf out;
    wire_buf_init(&out, 0);
    uint8_t bytes[256];
    size_t n = 0;
    for (const char *p = hex; p[0] != 0 && p[1] != 0; p += 2) {
        char digits[3] = {p[0], p[1], 0};
        bytes[n++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    wire_put_bytes(&out, bytes, n);
    fake_write(f, &out, &fd, fd >= 0);
}

static void breaks_rules(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_HELLO, &m);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    switch (m.attributes[ATTR_SOFTWARE].data != NULL ? f->key[0] : 0) {
    case 1: /* a DONE for nobody */
        raw(f,
            "00000008"
            "0109"
            "0000"
            "00000777",
            -1);
        break;
    case 2: /* a request from the server */
        raw(f,
            "00000008"
            "0001"
            "0000"
            "00000001",
            -1);
        break;
    case 3: /* not the answer to HELLO */
        raw(f,
            "00000008"
            "0109"
            "0000"
            "00000001",
            -1);
        break;
    case 4: /* an fd that belongs to nothing */
        raw(f,
            "0000000c"
            "0102"
            "0000"
            "00000001"
            "00000000",
            null);
        break;
    case 5: /* an fd that did not come */
        raw(f,
            "00000008"
            "0102"
            "0001"
            "00000001",
            -1);
        break;
    case 6: /* two of them */
        raw(f,
            "00000008"
            "0102"
            "0002"
            "00000001",
            null);
        break;
    case 7: /* an empty frame */
        raw(f, "00000000", -1);
        break;
    case 8: /* a frame that is too long */
        raw(f, "00400001", -1);
        break;
    default: /* fds without any frame of theirs */
        raw(f,
            "00000014"
            "0108"
            "0000"
            "00000001"
            "0008"
            "0000"
            "00000004"
            "00000001",
            null);
    }
    until_the_end(f);
}

START_TEST(a_server_that_breaks_the_rules) {
    /* The key tells the server what to do: it is the only thing that both know before. */
    fake_start_with(&fake, breaks_rules, (uint8_t)(_i + 1));
    ck_assert_int_eq(forksrv_new(&s), 0);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    OK(forksrv_open(s));
    int fds = count_fds();
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), _i == 8 ? -EPERM : -ENOTCONN);
    struct forksrv_event ev;
    ck_assert_int_eq(forksrv_next_event(s, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_CLOSED);
    ck_assert_int_eq(ev.error, -EPROTO);
    forksrv_free(s);
    ck_assert_int_eq(count_fds(), fds - 1);
    fake_stop(&fake);
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
    tcase_add_test(tc, a_full_queue);
    tcase_add_test(tc, list_of_workers);
    tcase_add_test(tc, status_of_the_instance);
    tcase_add_test(tc, signals_and_attach);
    tcase_add_test(tc, watch);
    tcase_add_loop_test(tc, a_lost_session, 0, 2);
    tcase_add_loop_test(tc, a_server_that_breaks_the_rules, 0, 9);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
