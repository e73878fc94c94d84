/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything but starting workers on one session: lists, signals, attaching, the watch; and how a session is lost, with servers
 * that go and servers that break the rules. */
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

static int count_fds(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

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

/* One message of several reads. */
static void lists_much(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_LIST, &m);
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_LISTED, 0, m.serial);
    for (unsigned i = 0; i < 4000; i++)
        put_worker(&w, i + 1, "a name", true);
    fake_check(message_end(&w) == 0);
    fake_write(f, &out, NULL, 0);
    until_the_end(f);
}

START_TEST(a_long_list) {
    begin(lists_much);
    struct forksrv_list *list;
    OK(forksrv_list_workers(s, FORKSRV_FOREVER, &list));
    ck_assert_uint_eq(forksrv_list_count(list), 4000);
    ck_assert_uint_eq(forksrv_list_get(list, 3999)->id, 4000);
    forksrv_list_free(list);
    finish();
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

static void goes_at_once(struct fake *f) {
    (void)f;
}

/* What is written to somebody who has gone is not an error of the write: the reason, if there is one, is still to be read. */
START_TEST(a_server_that_went_before) {
    begin(goes_at_once);
    struct pollfd p = {.fd = forksrv_fd(s), .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, -1), 1);
    struct forksrv_worker *workers[3];
    struct forksrv_event ev;
    ck_assert_int_eq(forksrv_spec_map_fd(spec, 2, 2), 0);
    for (unsigned i = 0; i < 3; i++)
        OK(forksrv_submit(s, spec, &workers[i]));
    ck_assert_int_eq(forksrv_wait_event(s, FORKSRV_FOREVER, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_CLOSED);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(forksrv_worker_state(workers[i]), FORKSRV_STATE_LOST);
    finish();
}
END_TEST

/* What is sent in the place of an answer to the HELLO with serial 1. */
static const struct {
    const char *what;
    const char *bytes;
    bool fd;
} broken[] = {
    {"a DONE for nobody", "00000008 0109 0000 00000777", false},
    {"a request from the server", "00000008 0001 0000 00000001", false},
    {"not the answer to HELLO", "00000008 0109 0000 00000001", false},
    {"too short an attribute", "0000000c 0102 0000 00000001 00000000", true},
    {"an fd that did not come", "00000008 0102 0001 00000001", false},
    {"more fds than came", "00000008 0102 0002 00000001", true},
    {"an empty frame", "00000000", false},
    {"a frame that is too long", "00400001", false},
    {"an fd that belongs to nothing", "00000014 0108 0000 00000001 0008 0000 00000004 00000001", true},
};

static void breaks_rules(struct fake *f) {
    struct message m;
    fake_expect(f, MSG_HELLO, &m);
    fake_check(m.serial == 1);
    unsigned i = f->key[0];
    uint8_t bytes[64];
    struct wire_buf out;
    wire_buf_init(&out, 0);
    wire_put_bytes(&out, bytes, unhex(broken[i].bytes, bytes, sizeof bytes));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    fake_write(f, &out, &null, broken[i].fd);
    until_the_end(f);
}

START_TEST(a_server_that_breaks_the_rules) {
    /* The key tells the server what to do: it is the only thing that both know before. */
    fake_start_with(&fake, breaks_rules, (uint8_t)_i);
    ck_assert_int_eq(forksrv_new(&s), 0);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    OK(forksrv_open(s));
    int fds = count_fds();
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), _i == 8 ? -EPERM : -ENOTCONN);
    struct forksrv_event ev;
    ck_assert_int_eq(forksrv_next_event(s, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_CLOSED);
    ck_assert_msg(ev.error == -EPROTO, "%s: %s", broken[_i].what, ev.text);
    forksrv_free(s);
    ck_assert_int_eq(count_fds(), fds - 1);
    fake_stop(&fake);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_requests");
    TCase *tc = tcase_create("requests");
    tcase_add_test(tc, list_of_workers);
    tcase_add_test(tc, a_long_list);
    tcase_add_test(tc, a_server_that_went_before);
    tcase_add_test(tc, status_of_the_instance);
    tcase_add_test(tc, signals_and_attach);
    tcase_add_test(tc, watch);
    tcase_add_loop_test(tc, a_lost_session, 0, 2);
    tcase_add_loop_test(tc, a_server_that_breaks_the_rules, 0, 9);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
