/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing messages: what is written is read back the same, for every message; and what cannot be written (too long, no memory, no
 * room in a bounded queue) leaves the buffer as it was. */
#include <errno.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "tests/unit/unit.h"

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool memory_is_out;

void *__wrap_realloc(void *p, size_t n) {
    return memory_is_out ? NULL : __real_realloc(p, n);
}

/* The next frame of the buffer as a message; its bytes stay there until the caller consumes `ret_size`. */
static void read_back(const struct wire_buf *b, enum message_sender sender, struct message *ret_message, size_t *ret_size) {
    const uint8_t *payload;
    ck_assert_int_eq(frame_get(wire_buf_head(b), wire_buf_len(b), LIMIT_FRAME, &payload, ret_size), 1);
    ck_assert_int_eq(message_read(payload, *ret_size - FRAME_HEADER, sender, STATE_READY, ret_message), 0);
    ck_assert(!ret_message->unsupported);
}

START_TEST(spawn) {
    struct wire_buf b;
    struct message_writer w;
    struct message m;
    size_t size;
    wire_buf_init(&b, 0);
    message_begin(&w, &b, MSG_SPAWN, 3, 0xfedcba98);
    message_put_str(&w, ATTR_PROGRAM, "/bin/sh");
    message_put_bytes(&w, ATTR_ARGV, "sh\0-c\0true\0", 11);
    message_put_bytes(&w, ATTR_ENVIRON, NULL, 0);
    message_put_str(&w, ATTR_CWD, "/tmp");
    message_put_str_cut(&w, ATTR_NAME, "a long name", 6);
    uint8_t *map = message_put_space(&w, ATTR_FDMAP, 16);
    for (unsigned i = 0; i < 4; i++)
        wire_put_u32(map + 4 * i, i);
    message_put_u32(&w, ATTR_NICE, (uint32_t)-5);
    message_put_u64(&w, ATTR_TIME_LIMIT, 0x0123456789abcdef);
    ck_assert_int_eq(message_end(&w), 0);
    read_back(&b, FROM_CLIENT, &m, &size);
    ck_assert_uint_eq(size, wire_buf_len(&b));
    ck_assert_uint_eq(m.type, MSG_SPAWN);
    ck_assert_uint_eq(m.serial, 0xfedcba98);
    ck_assert_uint_eq(message_fds(&m), 3);
    ck_assert_str_eq(message_str(&m, ATTR_PROGRAM), "/bin/sh");
    ck_assert_uint_eq(message_strs_count(&m, ATTR_ARGV), 3);
    ck_assert_mem_eq(m.attributes[ATTR_ARGV].data, "sh\0-c\0true\0", 11);
    ck_assert(message_has(&m, ATTR_ENVIRON));
    ck_assert_uint_eq(message_strs_count(&m, ATTR_ENVIRON), 0);
    ck_assert_str_eq(message_str(&m, ATTR_NAME), "a long");
    ck_assert_uint_eq(m.attributes[ATTR_FDMAP].size, 16);
    ck_assert_uint_eq(wire_get_u32(m.attributes[ATTR_FDMAP].data + 12), 3);
    ck_assert_int_eq((int32_t)message_u32(&m, ATTR_NICE, 0), -5);
    ck_assert_uint_eq(message_u64(&m, ATTR_TIME_LIMIT, 0), 0x0123456789abcdef);
    wire_buf_done(&b);
}
END_TEST

static const struct {
    enum message_type type;
    enum message_sender sender;
    unsigned u32, u64, str; /* attributes, 0: none */
} plain[] = {
    {MSG_HELLO, FROM_CLIENT, ATTR_VERSION, ATTR_FEATURES, ATTR_SOFTWARE},
    {MSG_SIGNAL, FROM_CLIENT, ATTR_SIGNO, ATTR_WORKER, 0},
    {MSG_LIST, FROM_CLIENT, 0, 0, 0},
    {MSG_STATUS, FROM_CLIENT, 0, 0, 0},
    {MSG_WATCH, FROM_CLIENT, ATTR_ENABLE, 0, 0},
    {MSG_BYE, FROM_CLIENT, 0, 0, 0},
    {MSG_WAIT, FROM_CLIENT, 0, ATTR_WORKER, ATTR_NAME},
    {MSG_HELLO_REPLY, FROM_SERVER, ATTR_VERSION, ATTR_FEATURES, ATTR_SOFTWARE},
    {MSG_STARTED, FROM_SERVER, ATTR_PID, ATTR_WORKER, 0},
    {MSG_FAILED, FROM_SERVER, ATTR_ERRNO, ATTR_WORKER, ATTR_TEXT},
    {MSG_EXITED, FROM_SERVER, 0, ATTR_WALL, 0},
    {MSG_LISTED, FROM_SERVER, 0, 0, 0},
    {MSG_STATUS_REPLY, FROM_SERVER, 0, 0, 0},
    {MSG_EVENT, FROM_SERVER, ATTR_EVENT, ATTR_VALUE, ATTR_PROGRAM},
    {MSG_ERROR, FROM_SERVER, ATTR_ERRNO, 0, ATTR_TEXT},
    {MSG_DONE, FROM_SERVER, 0, 0, 0},
};
enum { PLAIN = sizeof plain / sizeof plain[0] };

/* All of them into one buffer, then all of them out of it. */
START_TEST(every_message) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    for (unsigned i = 0; i < PLAIN; i++) {
        struct message_writer w;
        message_begin(&w, &b, plain[i].type, 0, i + 1);
        if (plain[i].u32 != 0)
            message_put_u32(&w, plain[i].u32, 0x80000000 + i);
        if (plain[i].u64 != 0)
            message_put_u64(&w, plain[i].u64, UINT64_MAX - i);
        if (plain[i].str != 0)
            message_put_str(&w, plain[i].str, "text");
        ck_assert_int_eq(message_end(&w), 0);
    }
    for (unsigned i = 0; i < PLAIN; i++) {
        struct message m;
        size_t size;
        read_back(&b, plain[i].sender, &m, &size);
        ck_assert_uint_eq(m.type, plain[i].type);
        ck_assert_uint_eq(m.serial, i + 1);
        if (plain[i].u32 != 0)
            ck_assert_uint_eq(message_u32(&m, plain[i].u32, 0), 0x80000000 + i);
        if (plain[i].u64 != 0)
            ck_assert_uint_eq(message_u64(&m, plain[i].u64, 0), UINT64_MAX - i);
        if (plain[i].str != 0)
            ck_assert_str_eq(message_str(&m, plain[i].str), "text");
        wire_buf_consume(&b, size, 0);
    }
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    wire_buf_done(&b);
}
END_TEST

START_TEST(records) {
    struct wire_buf b;
    struct message_writer w;
    wire_buf_init(&b, 0);
    message_begin(&w, &b, MSG_LISTED, MESSAGE_MORE, 5);
    for (unsigned i = 0; i < 1000; i++) {
        message_open_record(&w);
        message_put_u64(&w, ATTR_WORKER, i);
        message_put_str(&w, ATTR_NAME, i % 2 ? "odd" : "even one");
        message_close_record(&w);
    }
    ck_assert_int_eq(message_end(&w), 0);
    struct message m, one;
    size_t size;
    read_back(&b, FROM_SERVER, &m, &size);
    ck_assert(m.flags & MESSAGE_MORE);
    struct attribute record = {0};
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(message_next_record(&m, &record, &one), 1);
        ck_assert_uint_eq(message_u64(&one, ATTR_WORKER, 9999), i);
        ck_assert_str_eq(message_str(&one, ATTR_NAME), i % 2 ? "odd" : "even one");
    }
    ck_assert_int_eq(message_next_record(&m, &record, &one), 0);
    wire_buf_done(&b);
}
END_TEST

/* A message before, so that there is something to keep; some of it read, so that offsets do not start at 0. */
static void start_with_a_message(struct wire_buf *b, size_t max, struct wire_buf *ret_copy) {
    struct message_writer w;
    wire_buf_init(b, max);
    wire_put_bytes(b, "12345", 5);
    message_begin(&w, b, MSG_STATUS, 0, 1);
    ck_assert_int_eq(message_end(&w), 0);
    wire_buf_consume(b, 5, 0);
    wire_buf_init(ret_copy, 0);
    wire_put_bytes(ret_copy, wire_buf_head(b), wire_buf_len(b));
}

static void still_the_same(struct wire_buf *b, struct wire_buf *copy) {
    struct message_writer w;
    ck_assert(!b->failed);
    ck_assert_uint_eq(wire_buf_len(b), wire_buf_len(copy));
    ck_assert_mem_eq(wire_buf_head(b), wire_buf_head(copy), wire_buf_len(copy));
    message_begin(&w, b, MSG_LIST, 0, 2);
    ck_assert_int_eq(message_end(&w), 0);
    wire_buf_done(copy);
    wire_buf_done(b);
}

START_TEST(longest_frame) {
    struct wire_buf b, copy;
    struct message_writer w;
    static const size_t most = LIMIT_FRAME - MESSAGE_HEADER - ATTRIBUTE_HEADER;
    start_with_a_message(&b, 0, &copy);
    message_begin(&w, &b, MSG_SPAWN, 0, 1);
    uint8_t *p = message_put_space(&w, ATTR_ARGV, most);
    memset(p, 'x', most);
    p[most - 1] = 0;
    ck_assert_int_eq(message_end(&w), 0);
    wire_buf_consume(&b, wire_buf_len(&copy), 0);
    struct message m;
    size_t size;
    read_back(&b, FROM_CLIENT, &m, &size);
    ck_assert_uint_eq(m.attributes[ATTR_ARGV].size, most);
    wire_buf_done(&copy);
    wire_buf_done(&b);
}
END_TEST

START_TEST(too_long) {
    struct wire_buf b, copy;
    struct message_writer w;
    start_with_a_message(&b, 0, &copy);
    message_begin(&w, &b, MSG_SPAWN, 0, 1);
    ck_assert_ptr_nonnull(message_put_space(&w, ATTR_ARGV, LIMIT_FRAME - MESSAGE_HEADER - ATTRIBUTE_HEADER + 1));
    ck_assert_int_eq(message_end(&w), -EMSGSIZE);
    still_the_same(&b, &copy);
}
END_TEST

/* Lengths of a value that do not fit the wire's 32 bits, or wrap when they are padded, never reach it. */
START_TEST(far_too_long) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, SIZE_MAX - 11, SIZE_MAX / 2, (size_t)UINT32_MAX + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct wire_buf b, copy;
        struct message_writer w;
        start_with_a_message(&b, 0, &copy);
        message_begin(&w, &b, MSG_SPAWN, 0, 1);
        ck_assert_ptr_null(message_put_space(&w, ATTR_ARGV, sizes[i]));
        ck_assert_int_eq(message_end(&w), -EMSGSIZE);
        still_the_same(&b, &copy);
    }
}
END_TEST

START_TEST(no_room_in_the_queue) {
    struct wire_buf b, copy;
    struct message_writer w;
    start_with_a_message(&b, 100, &copy);
    message_begin(&w, &b, MSG_LISTED, 0, 1);
    for (unsigned i = 0; i < 20; i++) {
        message_open_record(&w);
        message_put_u64(&w, ATTR_WORKER, i);
        message_put_str_cut(&w, ATTR_PROGRAM, "/bin/true", 256);
        message_close_record(&w);
    }
    ck_assert_int_eq(message_end(&w), -ENOMEM);
    still_the_same(&b, &copy);
}
END_TEST

START_TEST(no_memory) {
    struct wire_buf b, copy;
    struct message_writer w;
    start_with_a_message(&b, 0, &copy);
    memory_is_out = true;
    message_begin(&w, &b, MSG_SPAWN, 0, 1);
    message_put_u32(&w, ATTR_UMASK, 1);
    for (unsigned i = 0; i < 100; i++)
        message_put_str(&w, ATTR_CWD, "/a/long/enough/path");
    message_put_u32(&w, ATTR_UMASK, 1);
    message_put_u64(&w, ATTR_UMASK, 1);
    ck_assert_ptr_null(message_put_space(&w, ATTR_ARGV, 1));
    ck_assert_int_eq(message_end(&w), -ENOMEM);
    memory_is_out = false;
    still_the_same(&b, &copy);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("writer");
    TCase *tests = tcase_create("writer");
    tcase_add_test(tests, spawn);
    tcase_add_test(tests, every_message);
    tcase_add_test(tests, records);
    tcase_add_test(tests, longest_frame);
    tcase_add_test(tests, too_long);
    tcase_add_test(tests, far_too_long);
    tcase_add_test(tests, no_room_in_the_queue);
    tcase_add_test(tests, no_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
