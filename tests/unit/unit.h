/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <check.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What every unit test needs: bytes from hexadecimal text, and a main() that runs one suite. */

/* Blanks are skipped. Returns the number of bytes. */
static inline size_t unhex(const char *text, uint8_t *ret_bytes, size_t size) {
    size_t n = 0;
    while (*text != '\0') {
        if (*text == ' ' || *text == '\n') {
            text++;
            continue;
        }
        char digits[3] = {text[0], text[1], 0};
        char *end;
        ck_assert_uint_lt(n, size);
        ret_bytes[n++] = (uint8_t)strtoul(digits, &end, 16);
        ck_assert_ptr_eq(end, digits + 2);
        text += 2;
    }
    return n;
}

/* The verbosity and the TAP output come from the environment (see AM_TESTS_ENVIRONMENT). */
static inline int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
