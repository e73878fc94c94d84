/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames: every length there can be at the edges, the hostile ones, and frames that arrive in pieces. */
#include "protocol/frame.h"

#include <errno.h>

#include "protocol/limits.h"
#include "tests/unit/unit.h"

static const struct {
    uint32_t length;
    size_t max;
    int result; /* with the header alone */
} lengths[] = {
    {0, 256, -EBADMSG},
    {1, 256, 0},
    {255, 256, 0},
    {256, 256, 0},
    {257, 256, -EMSGSIZE},
    {65536, 256, -EMSGSIZE},
    {LIMIT_FRAME, LIMIT_FRAME, 0},
    {LIMIT_FRAME + 1, LIMIT_FRAME, -EMSGSIZE},
    {INT32_MAX, LIMIT_FRAME, -EMSGSIZE},
    {0x80000000, LIMIT_FRAME, -EBADMSG}, /* the most negative one */
    {0xfffffffe, LIMIT_FRAME, -EBADMSG},
    {0xffffffff, LIMIT_FRAME, -EBADMSG}, /* CPython's 64-bit form */
    {0xffffffff, 256, -EBADMSG},
};

START_TEST(header_alone) {
    uint8_t p[FRAME_HEADER];
    wire_put_u32(p, lengths[_i].length);
    const uint8_t *payload = NULL;
    size_t size = 12345;
    ck_assert_int_eq(frame_get(p, sizeof p, lengths[_i].max, &payload, &size), lengths[_i].result);
    ck_assert_ptr_null(payload);
    ck_assert_uint_eq(size, lengths[_i].result < 0 ? 12345 : FRAME_HEADER + (size_t)lengths[_i].length);
}
END_TEST

START_TEST(every_small_length_in_pieces) {
    for (size_t length = 1; length <= 256; length++) {
        uint8_t p[FRAME_HEADER + 256 + 1];
        memset(p, 0xaa, sizeof p);
        wire_put_u32(p, (uint32_t)length);
        const uint8_t *payload = NULL;
        size_t size;
        for (size_t n = 0; n < FRAME_HEADER + length; n++) {
            ck_assert_int_eq(frame_get(p, n, 256, &payload, &size), 0);
            ck_assert_uint_eq(size, n < FRAME_HEADER ? FRAME_HEADER : FRAME_HEADER + length);
            ck_assert_ptr_null(payload);
        }
        for (size_t n = FRAME_HEADER + length; n <= FRAME_HEADER + length + 1; n++) {
            ck_assert_int_eq(frame_get(p, n, 256, &payload, &size), 1);
            ck_assert_uint_eq(size, FRAME_HEADER + length);
            ck_assert_ptr_eq(payload, p + FRAME_HEADER);
        }
    }
}
END_TEST

START_TEST(put_and_get) {
    static const size_t sizes[] = {1, 2, 3, 4, 255, 256, 257, 65535, LIMIT_FRAME};
    struct wire_buf b;
    wire_buf_init(&b, 0);
    uint8_t *bytes = malloc(LIMIT_FRAME);
    memset(bytes, 0x5a, LIMIT_FRAME);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        frame_put(&b, bytes, sizes[i]);
    ck_assert(!b.failed);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const uint8_t *payload;
        size_t size;
        ck_assert_int_eq(frame_get(wire_buf_head(&b), wire_buf_len(&b), LIMIT_FRAME, &payload, &size), 1);
        ck_assert_uint_eq(size, FRAME_HEADER + sizes[i]);
        ck_assert(memcmp(payload, bytes, sizes[i]) == 0);
        wire_buf_consume(&b, size, 0);
    }
    ck_assert_uint_eq(wire_buf_len(&b), 0);
    free(bytes);
    wire_buf_done(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("frame");
    TCase *tests = tcase_create("frame");
    tcase_add_loop_test(tests, header_alone, 0, (int)(sizeof lengths / sizeof lengths[0]));
    tcase_add_test(tests, every_small_length_in_pieces);
    tcase_add_test(tests, put_and_get);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
