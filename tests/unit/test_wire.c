/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Integers at their edges, and the life of a buffer: growth, its bound, no memory, reading from the front. Memory fails on demand
 * through the linker (--wrap=realloc), so that no test needs a machine without memory. */
#include "protocol/wire.h"

#include "tests/unit/unit.h"

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool memory_is_out;

void *__wrap_realloc(void *p, size_t n) {
    return memory_is_out ? NULL : __real_realloc(p, n);
}

START_TEST(integers) {
    static const uint64_t values[] = {0,         1,         0x7f,       0x80,       0xff,       0x0102,
                                      0x7fff,    0x8000,    0x01020304, 0x80000000, 0xfffffffe, 0x0102030405060708,
                                      INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t p[10];
        memset(p, 0xee, sizeof p);
        wire_put_u64(p + 1, values[i]);
        for (int byte = 0; byte < 8; byte++)
            ck_assert_uint_eq(p[1 + byte], (uint8_t)(values[i] >> (56 - 8 * byte)));
        ck_assert_uint_eq(wire_get_u64(p + 1), values[i]);
        wire_put_u32(p + 1, (uint32_t)values[i]);
        ck_assert_uint_eq(wire_get_u32(p + 1), (uint32_t)values[i]);
        wire_put_u16(p + 1, (uint16_t)values[i]);
        ck_assert_uint_eq(wire_get_u16(p + 1), (uint16_t)values[i]);
        ck_assert_uint_eq(p[0], 0xee);
        ck_assert_uint_eq(p[9], 0xee);
    }
}
END_TEST

START_TEST(empty_buffer) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    wire_put_bytes(&b, NULL, 0);
    wire_buf_consume(&b, 0, 0);
    wire_buf_truncate(&b, 0);
    ck_assert(!b.failed);
    /* Room for nothing is still a place, not the NULL of a failure. */
    ck_assert_ptr_nonnull(wire_buf_reserve(&b, 0));
    wire_buf_done(&b);
    wire_buf_done(&b);
}
END_TEST

/* The head of a buffer that holds nothing may be asked for, with no memory behind it. */
START_TEST(head_of_an_empty_buffer) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    ck_assert_ptr_null(wire_buf_head(&b));
    wire_put_bytes(&b, "x", 1);
    ck_assert_ptr_nonnull(wire_buf_head(&b));
    wire_buf_consume(&b, 1, 0);
    ck_assert_ptr_null(wire_buf_head(&b));
    wire_buf_done(&b);
}
END_TEST

START_TEST(grows_and_keeps_its_bytes) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        wire_put_bytes(&b, &byte, 1);
    }
    ck_assert(!b.failed);
    ck_assert_uint_eq(wire_buf_len(&b), 100000);
    for (unsigned i = 0; i < 100000; i++)
        ck_assert_uint_eq(wire_buf_head(&b)[i], (uint8_t)(i * 7));
    wire_buf_done(&b);
}
END_TEST

/* A queue: written at the end and read from the front for long, it stays as small as what it holds. */
START_TEST(does_not_grow_as_a_queue) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    uint8_t in = 0, out = 0;
    for (unsigned i = 0; i < 50000; i++) {
        uint8_t chunk[7];
        for (size_t k = 0; k < sizeof chunk; k++)
            chunk[k] = in++;
        wire_put_bytes(&b, chunk, sizeof chunk);
        while (wire_buf_len(&b) > 3) {
            ck_assert_uint_eq(*wire_buf_head(&b), out++);
            wire_buf_consume(&b, 1, 4096);
        }
    }
    ck_assert_uint_le(b.size, 512);
    wire_buf_done(&b);
}
END_TEST

START_TEST(bound) {
    struct wire_buf b;
    wire_buf_init(&b, 1000);
    uint8_t bytes[1000] = {1};
    wire_put_bytes(&b, bytes, 1000);
    ck_assert(!b.failed);
    ck_assert_uint_eq(b.size, 1000);
    wire_buf_consume(&b, 400, 0);
    wire_put_bytes(&b, bytes, 400);
    ck_assert(!b.failed);
    wire_put_bytes(&b, bytes, 1);
    ck_assert(b.failed);
    ck_assert_uint_eq(wire_buf_len(&b), 1000);
    /* It stays failed, and what it holds stays as it is. */
    wire_buf_consume(&b, 1000, 0);
    wire_put_bytes(&b, bytes, 1);
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    ck_assert_ptr_null(wire_buf_reserve(&b, 1));
    wire_buf_done(&b);
    /* A buffer that is done can start again, with its bound. */
    wire_put_bytes(&b, bytes, 1000);
    ck_assert(!b.failed);
    wire_put_bytes(&b, bytes, 1);
    ck_assert(b.failed);
    wire_buf_done(&b);
}
END_TEST

START_TEST(absurd_sizes) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct wire_buf b;
        wire_buf_init(&b, 0);
        wire_put_bytes(&b, "abc", 3);
        memory_is_out = true;
        ck_assert_ptr_null(wire_buf_reserve(&b, sizes[i]));
        memory_is_out = false;
        ck_assert(b.failed);
        ck_assert_uint_eq(wire_buf_len(&b), 3);
        wire_buf_done(&b);
    }
}
END_TEST

START_TEST(no_memory) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    memory_is_out = true;
    wire_put_bytes(&b, "x", 1);
    ck_assert(b.failed);
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    memory_is_out = false;
    wire_put_bytes(&b, "x", 1);
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    b.failed = false;
    wire_put_bytes(&b, "x", 1);
    ck_assert_uint_eq(wire_buf_len(&b), 1);
    wire_buf_done(&b);
}
END_TEST

START_TEST(reserve_and_commit) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    uint8_t *p = wire_buf_reserve(&b, 100);
    ck_assert_ptr_nonnull(p);
    memcpy(p, "hello", 5);
    wire_buf_commit(&b, 5);
    ck_assert_uint_eq(wire_buf_len(&b), 5);
    ck_assert_mem_eq(wire_buf_head(&b), "hello", 5);
    wire_buf_done(&b);
}
END_TEST

START_TEST(consume_gives_memory_back) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    uint8_t bytes[3000] = {0};
    wire_put_bytes(&b, bytes, sizeof bytes);
    size_t size = b.size;
    wire_buf_consume(&b, sizeof bytes - 1, 0);
    ck_assert_uint_eq(b.size, size); /* not empty: nothing is given back */
    wire_buf_consume(&b, 1, size);
    ck_assert_uint_eq(b.size, size); /* as much as it may keep */
    ck_assert_uint_eq(b.start, 0);
    wire_put_bytes(&b, bytes, 1);
    wire_buf_consume(&b, 1, size - 1);
    ck_assert_uint_eq(b.size, 0);
    ck_assert_ptr_null(b.data);
    wire_put_bytes(&b, "again", 5);
    ck_assert_mem_eq(wire_buf_head(&b), "again", 5);
    wire_buf_done(&b);
}
END_TEST

START_TEST(truncate_takes_back) {
    struct wire_buf b;
    wire_buf_init(&b, 0);
    wire_put_bytes(&b, "kept", 4);
    wire_buf_consume(&b, 1, 0);
    size_t end = b.end;
    wire_put_bytes(&b, "gone", 4);
    wire_buf_truncate(&b, end);
    ck_assert_uint_eq(wire_buf_len(&b), 3);
    ck_assert_mem_eq(wire_buf_head(&b), "ept", 3);
    wire_buf_done(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("wire");
    TCase *tests = tcase_create("wire");
    tcase_add_test(tests, integers);
    tcase_add_test(tests, empty_buffer);
    tcase_add_test(tests, head_of_an_empty_buffer);
    tcase_add_test(tests, grows_and_keeps_its_bytes);
    tcase_add_test(tests, does_not_grow_as_a_queue);
    tcase_add_test(tests, bound);
    tcase_add_test(tests, absurd_sizes);
    tcase_add_test(tests, no_memory);
    tcase_add_test(tests, reserve_and_commit);
    tcase_add_test(tests, consume_gives_memory_back);
    tcase_add_test(tests, truncate_takes_back);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
