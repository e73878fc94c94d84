/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

/* A file that is in memory alone: the kernel needs more time to open one than it takes to read it. Targets that include this are
 * linked with $(FUZZ_WRAP), and no other file has this name. */
#define FILE_PATH "the fuzzer's"

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

static struct {
    const uint8_t *data;
    size_t size;
} file;

FILE *__wrap_fopen(const char *path, const char *mode) {
    if (strcmp(path, FILE_PATH) == 0)
        return fmemopen((void *)(uintptr_t)file.data, file.size, "r");
    return __real_fopen(path, mode);
}

/* What fopen is called where a long has 32 bits. */
FILE *__wrap_fopen64(const char *path, const char *mode) {
    return __wrap_fopen(path, mode);
}
