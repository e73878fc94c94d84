/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Zygotes as a client sees and commands them: lists in any number of parts, with entries of later versions and with nonsense; and
 * warm, stop, reload with their errors. */
#include <errno.h>
#include <stdio.h>

#include "client/forksrv.h"
#include "tests/unit/fake.h"
#include "tests/unit/unit.h"

static struct forksrv *s;
static struct fake fake;

static void begin(fake_script *script, uint8_t first) {
    fake_start_with(&fake, script, first);
    ck_assert_int_eq(forksrv_new(&s), 0);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    ck_assert_msg(forksrv_open(s) == 0, "%s", forksrv_error(s));
}

static void finish(void) {
    forksrv_free(s);
    fake_stop(&fake);
}

static void until_the_end(struct fake *f) {
    struct message m;
    while (fake_read(f, &m))
        ;
}

#define OK(expression) ck_assert_msg((expression) == 0, "%s: %s", #expression, forksrv_error(s))

/* ---- lists ---- */

struct part {
    struct wire_buf out;
    struct message_writer w;
};

static void begin_part(struct part *p, uint32_t serial, bool more) {
    wire_buf_init(&p->out, 0);
    message_begin(&p->w, &p->out, MSG_ZYGOTES, more ? MESSAGE_MORE : 0, serial);
}

static void put(struct part *p, const char *zygote, const char *key, const char *text, uint64_t value) {
    message_open_record(&p->w);
    if (zygote != NULL)
        message_put_str(&p->w, ATTR_ZYGOTE, zygote);
    if (key != NULL)
        message_put_str(&p->w, ATTR_KEY, key);
    if (text != NULL)
        message_put_str(&p->w, ATTR_TEXT, text);
    else
        message_put_u64(&p->w, ATTR_VALUE, value);
    message_close_record(&p->w);
}

static void end_part(struct fake *f, struct part *p) {
    fake_check(message_end(&p->w) == 0);
    fake_write(f, &p->out, NULL, 0);
}

static void put_all(struct part *p, const char *name) {
    static const char *const texts[] = {"state", "runtime", "software", "program", "trouble"};
    static const char *const numbers[] = {"pid",     "preload-usec",  "warm-usec", "spares", "setting.spares", "workers",
                                          "waiting", "limit.workers", "forks",     "starts", "of the future"};
    char text[32];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(text, sizeof text, "its %s", texts[i]);
        put(p, name, texts[i], text, 0);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        put(p, name, numbers[i], NULL, i + 1);
    put(p, name, "also of the future", "a text", 0);
}

static void lists(struct fake *f) {
    struct message m;
    struct part p;
    fake_expect(f, MSG_ZYGOTE, &m);
    fake_check(message_u32(&m, ATTR_ACTION, 0) == ZYGOTE_LIST && !message_has(&m, ATTR_ZYGOTE));
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "z%u", i);
        begin_part(&p, m.serial, true);
        put_all(&p, name);
        end_part(f, &p);
    }
    begin_part(&p, m.serial, false);
    /* One that says little; without an end of its own. */
    put(&p, "small", "forks", NULL, UINT64_MAX);
    end_part(f, &p);
    fake_expect(f, MSG_ZYGOTE, &m);
    fake_check(message_u32(&m, ATTR_ACTION, 0) == ZYGOTE_LIST && strcmp(message_str(&m, ATTR_ZYGOTE), "one") == 0);
    begin_part(&p, m.serial, false);
    end_part(f, &p);
    fake_expect(f, MSG_ZYGOTE, &m);
    fake_error(f, m.serial, ENOENT, "there is no zygote \"two\"");
    until_the_end(f);
}

static void check_all(const struct forksrv_zygote_info *i, const char *name) {
    ck_assert_str_eq(i->name, name);
    ck_assert_str_eq(i->state, "its state");
    ck_assert_str_eq(i->runtime, "its runtime");
    ck_assert_str_eq(i->software, "its software");
    ck_assert_str_eq(i->program, "its program");
    ck_assert_str_eq(i->trouble, "its trouble");
    ck_assert_int_eq(i->pid, 1);
    ck_assert(i->preload == 2 && i->warm == 3 && i->spares == 4 && i->spares_wanted == 5);
    ck_assert(i->workers == 6 && i->waiting == 7 && i->workers_max == 8 && i->forks == 9 && i->starts == 10);
}

START_TEST(list_of_zygotes) {
    struct forksrv_zygotes *all, *one, *none = NULL;
    begin(lists, 1);
    OK(forksrv_list_zygotes(s, NULL, FORKSRV_FOREVER, &all));
    OK(forksrv_list_zygotes(s, "one", FORKSRV_FOREVER, &one));
    ck_assert_int_eq(forksrv_list_zygotes(s, "two", FORKSRV_FOREVER, &none), -ENOENT);
    ck_assert_ptr_null(none);
    ck_assert_str_eq(forksrv_error(s), "there is no zygote \"two\"");
    finish();
    /* Lists outlive the session. */
    ck_assert_uint_eq(forksrv_zygotes_count(all), 41);
    check_all(forksrv_zygotes_get(all, 0), "z0");
    check_all(forksrv_zygotes_get(all, 39), "z39");
    const struct forksrv_zygote_info *i = forksrv_zygotes_get(all, 40);
    ck_assert_str_eq(i->name, "small");
    ck_assert(i->state[0] == 0 && i->runtime[0] == 0 && i->program[0] == 0 && i->software[0] == 0 && i->trouble[0] == 0);
    ck_assert(i->pid == 0 && i->forks == UINT64_MAX && i->starts == 0);
    ck_assert_ptr_null(forksrv_zygotes_get(all, 41));
    ck_assert_uint_eq(forksrv_zygotes_count(one), 0);
    ck_assert_ptr_null(forksrv_zygotes_get(one, 0));
    forksrv_zygotes_free(all);
    forksrv_zygotes_free(one);
    forksrv_zygotes_free(NULL);
}
END_TEST

/* What the server says instead of a list. The key's first byte tells it which: that is all that both know before. */
enum nonsense { NO_NAME, NO_KEY, THE_SAME_AGAIN, NOT_A_RECORD, WRONG_ANSWER, WRONG_PART, NONSENSE };

static void lists_nonsense(struct fake *f) {
    struct message m;
    struct part p;
    enum nonsense what = (enum nonsense)f->key[0];
    fake_expect(f, MSG_ZYGOTE, &m);
    begin_part(&p, m.serial, true);
    put_all(&p, "first");
    end_part(f, &p);
    begin_part(&p, m.serial, false);
    if (what == NO_NAME)
        put(&p, NULL, "state", "warm", 0);
    else if (what == NO_KEY)
        put(&p, "x", NULL, "warm", 0);
    else if (what == THE_SAME_AGAIN)
        put_all(&p, "first");
    else if (what == NOT_A_RECORD)
        message_put_bytes(&p.w, ATTR_RECORD, "\0\0\0\1", 4);
    else if (what == WRONG_PART)
        p.w.buf->data[p.w.buf->start + 5] = 0x05; /* LISTED */
    if (what == WRONG_ANSWER) {
        wire_buf_done(&p.out);
        fake_done(f, m.serial);
    } else {
        end_part(f, &p);
    }
    until_the_end(f);
}

START_TEST(a_list_of_nonsense) {
    struct forksrv_zygotes *l = NULL;
    struct forksrv_event ev;
    begin(lists_nonsense, (uint8_t)_i);
    ck_assert_int_eq(forksrv_list_zygotes(s, NULL, FORKSRV_FOREVER, &l), -ENOTCONN);
    ck_assert_ptr_null(l);
    ck_assert_int_eq(forksrv_next_event(s, &ev), 1);
    ck_assert_int_eq(ev.kind, FORKSRV_EVENT_CLOSED);
    ck_assert_int_eq(ev.error, -EPROTO);
    finish();
}
END_TEST

/* ---- warm, stop, reload ---- */

static void obeys(struct fake *f) {
    static const enum zygote_action actions[] = {ZYGOTE_WARM, ZYGOTE_STOP, ZYGOTE_RELOAD};
    struct message m;
    for (size_t i = 0; i < 3; i++) {
        fake_expect(f, MSG_ZYGOTE, &m);
        fake_check(message_u32(&m, ATTR_ACTION, 0) == actions[i] && strcmp(message_str(&m, ATTR_ZYGOTE), "z") == 0);
        fake_done(f, m.serial);
    }
    fake_expect(f, MSG_ZYGOTE, &m);
    fake_error(f, m.serial, EIO, "zygote z: Preload=a: a traceback");
    /* Two that are given up; their answers come all the same. */
    uint32_t serials[2];
    for (size_t i = 0; i < 2; i++) {
        fake_expect(f, MSG_ZYGOTE, &m);
        serials[i] = m.serial;
    }
    fake_expect(f, MSG_HELLO, &m);
    fake_done(f, serials[0]);
    struct part p;
    for (int more = 1; more >= 0; more--) {
        begin_part(&p, serials[1], more);
        put_all(&p, "late");
        end_part(f, &p);
    }
    fake_error(f, m.serial, ENOTSUP, "no pings");
    until_the_end(f);
}

START_TEST(commands) {
    struct forksrv_zygotes *l = NULL;
    char longest[66];
    memset(longest, 'x', sizeof longest);
    longest[65] = 0;
    begin(obeys, 1);
    OK(forksrv_warm_zygote(s, "z", FORKSRV_FOREVER));
    OK(forksrv_stop_zygote(s, "z", FORKSRV_FOREVER));
    OK(forksrv_reload_zygote(s, "z", FORKSRV_FOREVER));
    ck_assert_int_eq(forksrv_warm_zygote(s, "z", FORKSRV_FOREVER), -EIO);
    ck_assert_str_eq(forksrv_error(s), "zygote z: Preload=a: a traceback");
    /* What is no name is not even sent. */
    ck_assert_int_eq(forksrv_warm_zygote(s, NULL, FORKSRV_FOREVER), -EINVAL);
    ck_assert_str_eq(forksrv_error(s), "which zygote?");
    ck_assert_int_eq(forksrv_stop_zygote(s, "", FORKSRV_FOREVER), -EINVAL);
    ck_assert_int_eq(forksrv_reload_zygote(s, longest, FORKSRV_FOREVER), -EINVAL);
    ck_assert_int_eq(forksrv_list_zygotes(s, longest, FORKSRV_FOREVER, &l), -EINVAL);
    ck_assert_str_eq(forksrv_error(s), "the name of a zygote has 1 to 64 bytes");
    ck_assert_int_eq(forksrv_warm_zygote(s, "z", 1000), -ETIMEDOUT);
    ck_assert_int_eq(forksrv_list_zygotes(s, "z", 1000, &l), -ETIMEDOUT);
    ck_assert_ptr_null(l);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), -ENOTSUP);
    finish();
}
END_TEST

START_TEST(no_session) {
    struct forksrv_zygotes *l = NULL;
    ck_assert_int_eq(forksrv_new(&s), 0);
    ck_assert_int_eq(forksrv_warm_zygote(s, "z", 0), -ENOTCONN);
    ck_assert_int_eq(forksrv_list_zygotes(s, NULL, 0, &l), -ENOTCONN);
    ck_assert_ptr_null(l);
    forksrv_free(s);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_zygotes");
    TCase *tc = tcase_create("zygotes");
    tcase_add_test(tc, list_of_zygotes);
    tcase_add_loop_test(tc, a_list_of_nonsense, 0, NONSENSE);
    tcase_add_test(tc, commands);
    tcase_add_test(tc, no_session);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
