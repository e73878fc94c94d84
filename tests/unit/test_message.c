/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading messages: what docs/PROTOCOL.md says, as tables of its own, tried for every message, state, sender, attribute and size;
 * then what a hostile peer would send. */
#include "protocol/message.h"

#include <errno.h>

#include "tests/unit/raw.h"
#include "tests/unit/unit.h"

enum { R = 1 << STATE_READY, RC = 1 << STATE_READY | 1 << STATE_CLOSING };

static const struct {
    unsigned type;
    enum message_sender sender;
    int states;
    unsigned flags; /* permitted ones */
    const char *name;
} types[] = {
    {0x0001, FROM_CLIENT, R, 0, "HELLO"},         {0x0002, FROM_CLIENT, R, 0xff, "SPAWN"},
    {0x0003, FROM_CLIENT, RC, 0, "SIGNAL"},       {0x0004, FROM_CLIENT, RC, 0, "LIST"},
    {0x0005, FROM_CLIENT, RC, 0, "STATUS"},       {0x0006, FROM_CLIENT, RC, 0, "WATCH"},
    {0x0007, FROM_CLIENT, R, 0, "ZYGOTE"},        {0x0008, FROM_CLIENT, RC, 0, "BYE"},
    {0x0009, FROM_CLIENT, RC, 0, "WAIT"},         {0x0101, FROM_SERVER, RC, 0, "HELLO_REPLY"},
    {0x0102, FROM_SERVER, RC, 0xff, "STARTED"},   {0x0103, FROM_SERVER, RC, 0, "FAILED"},
    {0x0104, FROM_SERVER, RC, 0, "EXITED"},       {0x0105, FROM_SERVER, RC, 0x100, "LISTED"},
    {0x0106, FROM_SERVER, RC, 0, "STATUS_REPLY"}, {0x0107, FROM_SERVER, RC, 0, "EVENT"},
    {0x0108, FROM_SERVER, RC, 0, "ERROR"},        {0x0109, FROM_SERVER, RC, 0, "DONE"},
    {0x010a, FROM_SERVER, RC, 0x100, "ZYGOTES"},  {0x0201, FROM_ZYGOTE, R, 0, "READY"},
    {0x0202, FROM_ZYGOTE, R, 0, "UNREADY"},       {0x0203, FROM_ZYGOTE, R, 0xff, "FORKED"},
    {0x0204, FROM_ZYGOTE, R, 0, "UNFORKED"},      {0x0205, FROM_ZYGOTE, R, 0, "ENDED"},
    {0x0206, FROM_ZYGOTE, R, 0, "REAPED"},        {0x0207, FROM_ZYGOTE, R, 0xff, "BORN"},
    {0x0208, FROM_ZYGOTE, R, 0, "SPARES"},        {0x0301, TO_ZYGOTE, R, 0xff, "FORK"},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* good, bad: sizes of values, ended by -1. Values are zeros, strings end with their only NUL. */
static const struct {
    unsigned number;
    char kind; /* n number, s string, l list of strings, a array, r records */
    int good[4], bad[6];
    const char *where;
} attrs[] = {
    {0x01, 'n', {4, -1}, {0, 3, 5, 8, -1}, "HELLO HELLO_REPLY READY"},
    {0x02, 's', {1, 128, -1}, {0, 129, -1}, "HELLO HELLO_REPLY READY"},
    {0x03, 'n', {8, -1}, {0, 4, 7, 9, -1}, "HELLO HELLO_REPLY"},
    {0x05, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SIGNAL WAIT STARTED FAILED EXITED EVENT"},
    {0x06, 'n', {4, -1}, {0, 3, 5, 8, -1}, "STARTED EVENT FORKED ENDED REAPED BORN"},
    {0x07, 's', {1, 2, 65, -1}, {0, 66, -1}, "SPAWN FORK WAIT EVENT BORN"},
    {0x08, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FAILED ERROR EVENT UNREADY UNFORKED"},
    {0x09, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FAILED EVENT UNFORKED"},
    {0x0a, 's', {1, 4096, -1}, {0, 4097, -1}, "FAILED ERROR EVENT READY UNREADY UNFORKED"},
    {0x0b, 'r', {0, -1}, {-1}, "LISTED STATUS_REPLY ZYGOTES"},
    {0x0c, 's', {1, -1}, {0, -1}, ""},
    {0x0d, 'n', {8, -1}, {0, 4, 7, 9, -1}, "EVENT SPARES"},
    {0x0e, 'n', {4, -1}, {0, 3, 5, 8, -1}, "EVENT"},
    {0x10, 's', {1, 4096, -1}, {0, 4097, -1}, "SPAWN FORK EVENT"},
    {0x11, 'l', {0, 1, 65536, -1}, {65537, -1}, "SPAWN FORK"},
    {0x12, 'l', {0, 1, 65536, -1}, {65537, -1}, "SPAWN FORK"},
    {0x13, 's', {1, 4096, -1}, {0, 4097, -1}, "SPAWN FORK"},
    {0x14, 'a', {0, 8, 2000, -1}, {7, 4, 12, 2001, 2008, -1}, "SPAWN FORK"},
    {0x15, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK"},
    {0x16, 'a', {0, 24, 384, -1}, {8, 23, 25, 385, 408, -1}, "SPAWN FORK"},
    {0x17, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK"},
    {0x18, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK"},
    {0x19, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK EVENT"},
    {0x1a, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x1b, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x1c, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x1d, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x1e, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x1f, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x20, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x22, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SIGNAL"},
    {0x23, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SIGNAL"},
    {0x24, 'a', {16, -1}, {0, 4, 15, 17, 32, -1}, "EXITED EVENT ENDED"},
    {0x25, 'a', {0, 72, 256, -1}, {4, 7, 9, 257, 264, -1}, "EXITED EVENT ENDED REAPED"},
    {0x26, 'n', {8, -1}, {0, 4, 7, 9, -1}, "EXITED EVENT"},
    {0x27, 'n', {8, -1}, {0, 4, 7, 9, -1}, "EVENT"},
    {0x28, 'n', {8, -1}, {0, 4, 7, 9, -1}, "EVENT"},
    {0x29, 'n', {4, -1}, {0, 3, 5, 8, -1}, "WATCH"},
    {0x2a, 's', {1, 65, -1}, {0, 66, -1}, "SPAWN FORK ZYGOTE EVENT"},
    {0x2b, 'n', {4, -1}, {0, 3, 5, 8, -1}, "ZYGOTE"},
    {0x2c, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPARES FORKED"},
    {0x2d, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FORK"},
    {0x2e, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FORK"},
    {0x2f, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FORK"},
    {0x30, 'n', {4, -1}, {0, 3, 5, 8, -1}, "FORK"},
    {0x31, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK"},
    {0x32, 'n', {4, -1}, {0, 3, 5, 8, -1}, "SPAWN FORK"},
    {0x33, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK"},
    {0x34, 'a', {16, -1}, {0, 4, 15, 17, 32, -1}, "SPAWN FORK WAIT"},
    {0x35, 'n', {8, -1}, {0, 4, 7, 9, -1}, "SPAWN FORK WAIT"},
};
enum { ATTRS = sizeof attrs / sizeof attrs[0] };

/* What a RECORD may hold. */
static const unsigned in_records[] = {0x05, 0x06, 0x07, 0x0a, 0x0c, 0x0d, 0x10, 0x19, 0x24, 0x25, 0x26, 0x27, 0x28, 0x2a};

static bool is_in(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = strstr(list, name); p != NULL; p = strstr(p + n, name))
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

static int read_raw(const struct raw *raw, enum message_sender sender, enum session_state state, struct message *ret) {
    /* A failure leaves the output alone. */
    memset(ret, 0x5c, sizeof *ret);
    const struct message before = *ret;
    int r = message_read(raw->data, raw->size, sender, state, ret);
    if (r < 0)
        ck_assert_mem_eq(ret, &before, sizeof before);
    return r;
}

static void put_value(struct raw *raw, unsigned number, char kind, size_t size) {
    uint8_t *value = calloc(1, size + 1);
    if (kind == 's' && size > 0)
        memset(value, 'x', size - 1);
    raw_attribute(raw, number, value, size);
    free(value);
}

/* ---- the tables ---- */

START_TEST(message_and_state) {
    for (int state = STATE_UNAUTHENTICATED; state <= STATE_CLOSING; state++)
        for (int sender = FROM_CLIENT; sender <= TO_ZYGOTE; sender++) {
            struct raw raw = raw_message(types[_i].type, 0, 1);
            struct message m;
            int want = sender != (int)types[_i].sender ? -EBADMSG : types[_i].states & 1 << state ? 0 : -EPERM;
            ck_assert_int_eq(read_raw(&raw, (enum message_sender)sender, (enum session_state)state, &m), want);
            if (want == 0) {
                ck_assert_uint_eq(m.type, types[_i].type);
                ck_assert_uint_eq(m.serial, 1);
                ck_assert(!m.unsupported);
            }
            raw_done(&raw);
        }
}
END_TEST

START_TEST(flags) {
    for (unsigned flag = 0; flag <= 0xffff; flag++) {
        struct raw raw = raw_message(types[_i].type, flag, 7);
        struct message m;
        bool good = (flag & ~types[_i].flags) == 0 && (flag & 0xff) <= 253;
        ck_assert_int_eq(read_raw(&raw, types[_i].sender, STATE_READY, &m), good ? 0 : -EBADMSG);
        if (good)
            ck_assert_uint_eq(message_fds(&m), flag & 0xff);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(serial_zero) {
    struct raw raw = raw_message(types[_i].type, 0, 0);
    struct message m;
    bool good = types[_i].sender != FROM_CLIENT;
    ck_assert_int_eq(read_raw(&raw, types[_i].sender, STATE_READY, &m), good ? 0 : -EBADMSG);
    raw_done(&raw);
}
END_TEST

START_TEST(unknown_types) {
    for (unsigned type = 0; type <= 0xffff; type++) {
        bool known = false;
        for (size_t i = 0; i < TYPES; i++)
            known |= types[i].type == type;
        if (known)
            continue;
        struct raw raw = raw_message(type, 0, 1);
        struct message m;
        for (int sender = FROM_CLIENT; sender <= TO_ZYGOTE; sender++)
            ck_assert_int_eq(read_raw(&raw, (enum message_sender)sender, STATE_READY, &m), -EBADMSG);
        raw_done(&raw);
    }
}
END_TEST

static void one_attribute(size_t type, size_t attr, int size, unsigned required, int want) {
    struct raw raw = raw_message(types[type].type, 0, 1);
    put_value(&raw, attrs[attr].number | required, attrs[attr].kind, (size_t)size);
    struct message m;
    int r = read_raw(&raw, types[type].sender, STATE_READY, &m);
    ck_assert_msg(r == want, "%s, attribute 0x%02x, %d bytes: %d, not %d", types[type].name, attrs[attr].number, size, r, want);
    if (want == 0) {
        ck_assert(message_has(&m, attrs[attr].number));
        ck_assert_uint_eq(m.attributes[attrs[attr].number].size, (size_t)size);
        ck_assert(!m.unsupported);
    }
    raw_done(&raw);
}

START_TEST(every_attribute_in_every_message) {
    for (size_t type = 0; type < TYPES; type++) {
        bool fits = is_in(attrs[_i].where, types[type].name);
        for (const int *size = attrs[_i].good; *size >= 0; size++) {
            one_attribute(type, (size_t)_i, *size, 0, fits ? 0 : -EBADMSG);
            one_attribute(type, (size_t)_i, *size, 0x8000, fits ? 0 : -EBADMSG);
        }
        for (const int *size = attrs[_i].bad; *size >= 0; size++)
            one_attribute(type, (size_t)_i, *size, 0, -EBADMSG);
    }
}
END_TEST

START_TEST(twice) {
    for (size_t type = 0; type < TYPES; type++) {
        if (!is_in(attrs[_i].where, types[type].name))
            continue;
        struct raw raw = raw_message(types[type].type, 0, 1);
        put_value(&raw, attrs[_i].number, attrs[_i].kind, (size_t)attrs[_i].good[0]);
        put_value(&raw, attrs[_i].number | 0x8000, attrs[_i].kind, (size_t)attrs[_i].good[0]);
        struct message m;
        ck_assert_int_eq(read_raw(&raw, types[type].sender, STATE_READY, &m), attrs[_i].kind == 'r' ? 0 : -EBADMSG);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(unknown_attributes) {
    static const unsigned unknown[] = {0x00, 0x04, 0x0f, 0x21, 0x36, 0x37, 0x38, 0x39, 0x100, 0x7fff};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        for (int required = 0; required < 2; required++) {
            struct raw raw = raw_message(MSG_SPAWN, 0, 1);
            raw_attribute(&raw, unknown[i] | (required ? 0x8000 : 0), "abc", 3);
            raw_attribute(&raw, ATTR_UMASK, "\0\0\0\x3f", 4);
            struct message m;
            ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), 0);
            ck_assert_int_eq(m.unsupported, required);
            ck_assert_uint_eq(message_u32(&m, ATTR_UMASK, 0), 077);
            raw_done(&raw);
        }
}
END_TEST

START_TEST(too_many_attributes) {
    for (int more = 0; more < 2; more++) {
        struct raw one = {0}, raw = raw_message(MSG_SPAWN, 0, 1);
        raw_attribute(&one, 0x7000, NULL, 0);
        size_t n = (size_t)(LIMIT_ATTRIBUTES + more) * one.size;
        uint8_t *all = malloc(n);
        for (size_t at = 0; at < n; at += one.size)
            memcpy(all + at, one.data, one.size);
        raw_put(&raw, all, n);
        free(all);
        raw_done(&one);
        struct message m;
        ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), more ? -EBADMSG : 0);
        raw_done(&raw);
    }
}
END_TEST

/* ---- values ---- */

START_TEST(strings) {
    static const struct {
        const char *bytes;
        size_t size;
        int result;
    } cases[] = {
        {"name\0", 5, 0},          {"\0", 1, 0},          {"name", 4, -EBADMSG},
        {"na\0me\0", 6, -EBADMSG}, {"\0\0", 2, -EBADMSG}, {"na\0me", 5, -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raw raw = raw_message(MSG_WAIT, 0, 1);
        raw_attribute(&raw, ATTR_NAME, cases[i].bytes, cases[i].size);
        struct message m;
        ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), cases[i].result);
        if (cases[i].result == 0)
            ck_assert_str_eq(message_str(&m, ATTR_NAME), cases[i].bytes);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(lists_of_strings) {
    static const struct {
        const char *bytes;
        size_t size;
        int count; /* -1: malformed */
    } cases[] = {{"", 0, 0}, {"\0", 1, 1}, {"a\0b\0", 4, 2}, {"\0\0\0", 3, 3}, {"a\0b", 3, -1}, {"a", 1, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raw raw = raw_message(MSG_SPAWN, 0, 1);
        raw_attribute(&raw, ATTR_ARGV, cases[i].bytes, cases[i].size);
        struct message m;
        ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), cases[i].count < 0 ? -EBADMSG : 0);
        if (cases[i].count >= 0)
            ck_assert_uint_eq(message_strs_count(&m, ATTR_ARGV), (size_t)cases[i].count);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(absent) {
    struct raw raw = raw_message(MSG_SPAWN, 0, 1);
    struct message m;
    ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), 0);
    ck_assert(!message_has(&m, ATTR_UMASK));
    ck_assert_uint_eq(message_u32(&m, ATTR_UMASK, 18), 18);
    ck_assert_uint_eq(message_u64(&m, ATTR_TIME_LIMIT, UINT64_MAX), UINT64_MAX);
    ck_assert_ptr_null(message_str(&m, ATTR_CWD));
    ck_assert_uint_eq(message_strs_count(&m, ATTR_ARGV), 0);
    struct attribute record = {0};
    struct message one;
    ck_assert_int_eq(message_next_record(&m, &record, &one), 0);
    raw_done(&raw);
}
END_TEST

/* ---- broken bytes ---- */

static struct raw full_spawn(void) {
    struct raw raw = raw_message(MSG_SPAWN, 2, 1);
    raw_attribute(&raw, ATTR_PROGRAM, "/bin/true", 10);
    raw_attribute(&raw, ATTR_ARGV, "true\0-x\0", 8);
    raw_attribute(&raw, ATTR_ENVIRON, "A=1\0B=2\0", 8);
    raw_attribute(&raw, ATTR_UMASK, "\0\0\0\x12", 4);
    raw_attribute(&raw, ATTR_TIME_LIMIT, "\0\0\0\0\0\0\0\x9", 8);
    return raw;
}

START_TEST(truncated_at_every_byte) {
    struct raw whole = full_spawn();
    size_t starts[8] = {8}, n_starts = 1;
    for (size_t at = 8; at < whole.size;) {
        at += 8 + ((wire_get_u32(whole.data + at + 4) + 3) & ~3u);
        starts[n_starts++] = at;
    }
    for (size_t n = 0; n <= whole.size; n++) {
        struct raw cut = {0};
        raw_put(&cut, whole.data, n);
        struct message m;
        bool boundary = false;
        for (size_t i = 0; i < n_starts; i++)
            boundary |= starts[i] == n;
        ck_assert_int_eq(read_raw(&cut, FROM_CLIENT, STATE_READY, &m), boundary ? 0 : -EBADMSG);
        raw_done(&cut);
    }
    raw_put(&whole, "", 1);
    struct message m;
    ck_assert_int_eq(read_raw(&whole, FROM_CLIENT, STATE_READY, &m), -EBADMSG);
    raw_done(&whole);
}
END_TEST

START_TEST(padding_and_reserved_bytes_are_zero) {
    struct raw raw = full_spawn();
    struct message m;
    ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), 0);
    /* "/bin/true" and its NUL fill 10 of 12 bytes from 16 on; 10 and 11 are the reserved ones of its header. */
    static const size_t zero[] = {26, 27, 10, 11};
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++) {
        ck_assert_uint_eq(raw.data[zero[i]], 0);
        raw.data[zero[i]] = 1;
        ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), -EBADMSG);
        raw.data[zero[i]] = 0;
    }
    raw_done(&raw);
}
END_TEST

START_TEST(lengths_that_lie) {
    static const uint32_t lengths[] = {5, 6, 7, 8, 9, 0x7fffffff, 0x80000000, 0xfffffff8, 0xfffffffd, 0xfffffffe, 0xffffffff};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct raw raw = raw_message(MSG_SPAWN, 0, 1);
        raw_u32(&raw, 0x7000u << 16);
        raw_u32(&raw, lengths[i]);
        raw_u32(&raw, 0);
        struct message m;
        ck_assert_int_eq(read_raw(&raw, FROM_CLIENT, STATE_READY, &m), -EBADMSG);
        raw_done(&raw);
    }
}
END_TEST

/* ---- records ---- */

START_TEST(records_hold_what_they_may) {
    bool may = false;
    for (size_t i = 0; i < sizeof in_records / sizeof in_records[0]; i++)
        may |= in_records[i] == attrs[_i].number;
    for (int bad = 0; bad < 2; bad++) {
        int size = bad ? attrs[_i].bad[0] : attrs[_i].good[0];
        if (size < 0)
            continue;
        struct raw inner = {0}, raw = raw_message(MSG_LISTED, 0, 1);
        put_value(&inner, attrs[_i].number, attrs[_i].kind, (size_t)size);
        raw_attribute(&raw, ATTR_RECORD, inner.data, inner.size);
        struct message m, one;
        struct attribute record = {0};
        ck_assert_int_eq(read_raw(&raw, FROM_SERVER, STATE_READY, &m), 0);
        ck_assert_int_eq(message_next_record(&m, &record, &one), may && !bad ? 1 : -EBADMSG);
        if (may && !bad) {
            ck_assert(message_has(&one, attrs[_i].number));
            ck_assert_int_eq(message_next_record(&m, &record, &one), 0);
        }
        raw_done(&inner);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(walk_of_records) {
    struct raw raw = raw_message(MSG_LISTED, MESSAGE_MORE, 9);
    raw_attribute(&raw, 0x7001, "skip", 4);
    for (unsigned i = 0; i < 3; i++) {
        struct raw inner = {0};
        uint8_t pid[4] = {0, 0, 0, (uint8_t)(i + 1)};
        raw_attribute(&inner, ATTR_PID, pid, 4);
        if (i == 1) /* an empty name is a name */
            raw_attribute(&inner, ATTR_NAME, "", 1);
        raw_attribute(&raw, ATTR_RECORD | (i == 2 ? ATTR_REQUIRED : 0), inner.data, inner.size);
        raw_attribute(&raw, 0x7001, "skip it", 7);
        raw_done(&inner);
    }
    raw_attribute(&raw, ATTR_RECORD, NULL, 0);
    struct message m, one;
    ck_assert_int_eq(read_raw(&raw, FROM_SERVER, STATE_READY, &m), 0);
    struct attribute record = {0};
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(message_next_record(&m, &record, &one), 1);
        ck_assert_uint_eq(message_u32(&one, ATTR_PID, 0), i + 1);
        ck_assert_int_eq(message_has(&one, ATTR_NAME), i == 1);
        ck_assert_uint_eq(one.serial, 9);
    }
    ck_assert_int_eq(message_next_record(&m, &record, &one), 1);
    ck_assert(!message_has(&one, ATTR_PID));
    ck_assert_int_eq(message_next_record(&m, &record, &one), 0);
    raw_done(&raw);
}
END_TEST

START_TEST(malformed_records) {
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\0", 1},                           /* less than a header */
        {"\0\x06\0\0\0\0\0\4\0\0\0", 11},    /* a cut value */
        {"\0\x06\0\0\0\0\0\x8\0\0\0\1", 12}, /* longer than the record */
        {"\0\x06\0\1\0\0\0\4\0\0\0\1", 12},  /* reserved bytes */
        {"\0\x0b\0\0\0\0\0\0", 8},           /* a record in a record */
        {"\0\x06\0\0\0\0\0\4\0\0\0\1"
         "\0\x06\0\0\0\0\0\4\0\0\0\1",
         24}, /* twice the same */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct raw raw = raw_message(MSG_LISTED, 0, 9);
        raw_attribute(&raw, ATTR_RECORD, cases[i].bytes, cases[i].size);
        struct message m, one;
        ck_assert_int_eq(read_raw(&raw, FROM_SERVER, STATE_READY, &m), 0);
        struct attribute record = {0};
        ck_assert_int_eq(message_next_record(&m, &record, &one), -EBADMSG);
        raw_done(&raw);
    }
}
END_TEST

START_TEST(names) {
    ck_assert_str_eq(stage_name(STAGE_NONE), "none");
    ck_assert_str_eq(stage_name(STAGE_FDS), "fds");
    ck_assert_str_eq(stage_name(STAGE_EXEC), "exec");
    ck_assert_str_eq(stage_name(STAGE_COUNT), "unknown");
    ck_assert_str_eq(end_reason_name(REASON_EXITED), "exited");
    ck_assert_str_eq(end_reason_name(REASON_STOPPED), "stopped");
    ck_assert_str_eq(end_reason_name(REASON_COUNT), "unknown");
    for (int i = 0; i < STAGE_COUNT; i++)
        ck_assert_ptr_nonnull(stage_name((enum stage)i));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("message");
    TCase *tests = tcase_create("message");
    tcase_add_loop_test(tests, message_and_state, 0, TYPES);
    tcase_add_loop_test(tests, flags, 0, TYPES);
    tcase_add_loop_test(tests, serial_zero, 0, TYPES);
    tcase_add_test(tests, unknown_types);
    tcase_add_loop_test(tests, every_attribute_in_every_message, 0, ATTRS);
    tcase_add_loop_test(tests, twice, 0, ATTRS);
    tcase_add_test(tests, unknown_attributes);
    tcase_add_test(tests, too_many_attributes);
    tcase_add_test(tests, strings);
    tcase_add_test(tests, lists_of_strings);
    tcase_add_test(tests, absent);
    tcase_add_test(tests, truncated_at_every_byte);
    tcase_add_test(tests, padding_and_reserved_bytes_are_zero);
    tcase_add_test(tests, lengths_that_lie);
    tcase_add_loop_test(tests, records_hold_what_they_may, 0, ATTRS);
    tcase_add_test(tests, walk_of_records);
    tcase_add_test(tests, malformed_records);
    tcase_add_test(tests, names);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
