/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Token buckets: what is there at once, what comes with time, how long until the next one, and numbers at the edges. */
#include "daemon/bucket.h"

#include "tests/unit/unit.h"

#define SEC UINT64_C(1000000)

static unsigned take_all(struct bucket *b, uint64_t burst) {
    unsigned n = 0;
    while (bucket_take(b, burst))
        n++;
    return n;
}

START_TEST(burst_then_rate) {
    struct bucket b = {0};
    bucket_refill(&b, 1000 * SEC, 10);
    ck_assert_uint_eq(bucket_left(&b, 5), 5);
    ck_assert_uint_eq(bucket_wait(&b, 10, 5), 0);
    ck_assert_uint_eq(take_all(&b, 5), 5);
    ck_assert_uint_eq(bucket_wait(&b, 10, 5), SEC / 10);
    bucket_refill(&b, 1000 * SEC + SEC / 10 - 1, 10);
    ck_assert_uint_eq(take_all(&b, 5), 0);
    ck_assert_uint_eq(bucket_wait(&b, 10, 5), 1);
    bucket_refill(&b, 1000 * SEC + SEC / 10, 10);
    ck_assert_uint_eq(bucket_wait(&b, 10, 5), 0);
    ck_assert_uint_eq(take_all(&b, 5), 1);
    /* Nothing of a token is lost by looking often. */
    for (unsigned i = 1; i <= 1000; i++)
        bucket_refill(&b, 1000 * SEC + SEC / 10 + i * 300, 10);
    ck_assert_uint_eq(take_all(&b, 5), 3);
    bucket_refill(&b, 2000 * SEC, 10);
    ck_assert_uint_eq(take_all(&b, 5), 5);
}
END_TEST

START_TEST(wait_is_enough) {
    /* Whatever the rate: after the wait there is one, and a microsecond before there is none. */
    static const uint64_t rates[] = {1, 3, 7, 999, 4000, 333333, 1000000};
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct bucket b = {0};
        bucket_refill(&b, SEC, rates[i]);
        ck_assert_uint_eq(take_all(&b, 3), 3);
        uint64_t wait = bucket_wait(&b, rates[i], 3);
        ck_assert_uint_gt(wait, 0);
        bucket_refill(&b, SEC + wait - 1, rates[i]);
        ck_assert(!bucket_take(&b, 3));
        bucket_refill(&b, SEC + wait, rates[i]);
        ck_assert(bucket_take(&b, 3));
    }
}
END_TEST

START_TEST(edges) {
    struct bucket b = {0};
    /* A product of years and a million a second has no room in 64 bits. */
    bucket_refill(&b, 1, 1000000);
    ck_assert_uint_eq(take_all(&b, 1000000), 1000000);
    bucket_refill(&b, UINT64_MAX, 1000000);
    ck_assert_uint_eq(bucket_left(&b, 1000000), 1000000);
    /* A clock that goes back gives nothing, and takes nothing. */
    bucket_empty(&b, 10);
    bucket_refill(&b, 5, 10);
    ck_assert_uint_eq(bucket_left(&b, 10), 0);
    /* A burst that was made smaller, or larger, after the tokens were taken. */
    bucket_empty(&b, 100);
    ck_assert_uint_eq(bucket_left(&b, 10), 0);
    ck_assert(!bucket_take(&b, 10));
    ck_assert_uint_eq(bucket_wait(&b, 1, 10), 91 * SEC);
    ck_assert_uint_eq(bucket_left(&b, 150), 50);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("bucket");
    TCase *tests = tcase_create("bucket");
    tcase_add_test(tests, burst_then_rate);
    tcase_add_test(tests, wait_is_enough);
    tcase_add_test(tests, edges);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
