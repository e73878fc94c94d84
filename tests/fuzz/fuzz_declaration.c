/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A declaration of any content: what comes out is within its bounds, its lists are whole, and reading the same file over it again
 * only adds to lists. */
#include <string.h>

#include "daemon/declaration.h"
#include "daemon/log.h"
#include "tests/fuzz/file.h"

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

/* One that has the same, of its own. */
static void copy(const struct declaration *d, struct declaration *ret) {
    memcpy(ret, d, sizeof *ret);
    ret->module = d->module != NULL ? strdup(d->module) : NULL;
    ret->working_directory = d->working_directory != NULL ? strdup(d->working_directory) : NULL;
    ret->interpreter = ret->preload = ret->environment = (struct words){0};
    WORDS_FOREACH(word, &d->interpreter) {
        words_add(&ret->interpreter, word, strlen(word));
    }
    WORDS_FOREACH(word, &d->preload) {
        words_add(&ret->preload, word, strlen(word));
    }
    WORDS_FOREACH(word, &d->environment) {
        words_add(&ret->environment, word, strlen(word));
    }
}

static bool begins_with(const struct words *longer, const struct words *w) {
    return longer->count >= w->count && (w->size == 0 || memcmp(longer->data, w->data, w->size) == 0);
}

static bool same_string(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_values(const struct declaration *a, const struct declaration *b) {
    return same_string(a->module, b->module) && same_string(a->working_directory, b->working_directory) &&
           a->runtime == b->runtime && a->warm == b->warm && a->on_preload_error == b->on_preload_error &&
           a->spares == b->spares && a->spare_refill == b->spare_refill && a->idle_stop == b->idle_stop &&
           a->start_timeout == b->start_timeout && a->max_workers == b->max_workers && a->memory_max == b->memory_max &&
           a->tasks_max == b->tasks_max && a->cpu_weight == b->cpu_weight && a->time_limit == b->time_limit;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool found;
    file.data = data;
    file.size = size;
    /* Its complaints are for people; here they would only fill the disk. */
    log_init(true);
    struct declaration first, second;
    declaration_init(&first);
    unsigned wrong = declaration_read_file(&first, FILE_PATH, &found);
    HOLDS(found);
    check(&first);
    copy(&first, &second);
    HOLDS(declaration_read_file(&second, FILE_PATH, NULL) >= wrong);
    check(&second);
    HOLDS(same_values(&first, &second) && begins_with(&second.interpreter, &first.interpreter));
    HOLDS(begins_with(&second.preload, &first.preload) && begins_with(&second.environment, &first.environment));
    declaration_done(&first);
    declaration_done(&second);
    return 0;
}
