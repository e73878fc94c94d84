/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A declaration of any content: what comes out is within its bounds, its lists are whole, and reading the same file into another
 * one gives the same. Reading it over itself only adds to lists. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/declaration.h"
#include "daemon/log.h"
#include "tests/fuzz/fuzz.h"

enum { LIST_MOST = 64 * 1024 };

static void check_words(const struct words *w) {
    size_t count = 0;
    HOLDS(w->size <= LIST_MOST && (w->data == NULL) == (w->size == 0));
    HOLDS(w->size == 0 || w->data[w->size - 1] == 0);
    for (const char *p = w->data; p != NULL && p < w->data + w->size; p += strlen(p) + 1)
        count++;
    HOLDS(count == w->count);
}

static void check(const struct declaration *d) {
    HOLDS(d->runtime <= RUNTIME_EXEC && d->on_preload_error <= ON_ERROR_WARN);
    check_words(&d->interpreter);
    check_words(&d->preload);
    check_words(&d->environment);
    HOLDS(d->module == NULL || (d->module[0] != 0 && strlen(d->module) < LIMIT_PATH));
    HOLDS(d->working_directory == NULL || (d->working_directory[0] == '/' && strlen(d->working_directory) < LIMIT_PATH));
    HOLDS(d->spares <= 256 && d->spare_refill <= UINT64_C(600000000));
    HOLDS(d->idle_stop <= UINT64_C(2592000000000));
    HOLDS(d->start_timeout >= 100000 && d->start_timeout <= UINT64_C(3600000000));
    HOLDS(d->max_workers >= 1 && d->max_workers <= 1048576);
    HOLDS(d->memory_max <= INT64_MAX && d->tasks_max <= INT32_MAX && d->cpu_weight <= 10000);
    HOLDS(d->time_limit <= UINT64_C(2592000000000));
}

static bool same_words(const struct words *a, const struct words *b) {
    return a->size == b->size && a->count == b->count && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static bool same_string(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void compare(const struct declaration *a, const struct declaration *b) {
    HOLDS(same_words(&a->interpreter, &b->interpreter) && same_words(&a->preload, &b->preload));
    HOLDS(same_words(&a->environment, &b->environment));
    HOLDS(same_string(a->module, b->module) && same_string(a->working_directory, b->working_directory));
    HOLDS(a->runtime == b->runtime && a->warm == b->warm && a->spares == b->spares && a->memory_max == b->memory_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    bool found;
    auto_fd fd = memfd_create("declaration", MFD_CLOEXEC);
    HOLDS(fd >= 0);
    HOLDS(write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    /* Its complaints are for people; here they would only fill the disk. */
    log_init(true);
    struct declaration first, second;
    declaration_init(&first);
    declaration_init(&second);
    unsigned wrong = declaration_read_file(&first, path, &found);
    HOLDS(found);
    check(&first);
    HOLDS(declaration_read_file(&second, path, NULL) == wrong);
    compare(&first, &second);
    HOLDS(declaration_read_file(&first, path, NULL) >= wrong);
    check(&first);
    HOLDS(first.spares == second.spares && same_string(first.module, second.module));
    declaration_done(&first);
    declaration_done(&second);
    return 0;
}
