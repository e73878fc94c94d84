/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations of zygotes: which settings there are, and in which folders they stand. The first folder that has NAME.conf
 * decides; drop-ins of every folder are read over it, the strongest last. What a declaration leads to is zygote.c's business. */
#include "daemon/declaration.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/paths.h"

#define SEC UINT64_C(1000000)

static const char *const runtimes[] = {"python", "dso", "exec", NULL}, *const on_error[] = {"fail", "warn", NULL};

enum {
    WORDS = 64 * 1024,            /* bytes of a list: far below what execve takes */
    SPARES_MAX = 256,             /* each is a process */
    REFILL_LEAST = 0,             /* at once */
    PATH_SIZE = LIMIT_PATH + 256, /* a folder, a name, ".conf.d" and a file in it */
};

static const struct setting settings[] = {
#define SETTING(section, name, type, field, ...)                                                                                 \
    { section, name, type, offsetof(struct declaration, field), __VA_ARGS__ }
#define NUMBER(section, name, type, field, otherwise, least, most)                                                               \
    SETTING(section, name, type, field, otherwise, least, most, NULL, NULL)
    SETTING("Zygote", "Runtime", SETTING_CHOICE, runtime, RUNTIME_PYTHON, 0, 0, runtimes, NULL),
    NUMBER("Zygote", "Interpreter", SETTING_WORDS, interpreter, 0, 0, WORDS),
    NUMBER("Zygote", "Preload", SETTING_WORDS, preload, 0, 0, WORDS),
    NUMBER("Zygote", "Module", SETTING_STRING, module, 0, 0, LIMIT_PATH - 1),
    NUMBER("Zygote", "Environment", SETTING_WORDS, environment, 0, 0, WORDS),
    NUMBER("Zygote", "WorkingDirectory", SETTING_PATH, working_directory, 0, 0, LIMIT_PATH - 1),
    NUMBER("Zygote", "Spares", SETTING_COUNT, spares, 0, 0, SPARES_MAX),
    NUMBER("Zygote", "SpareRefillSec", SETTING_SPAN, spare_refill, 100000, REFILL_LEAST, 600 * SEC),
    NUMBER("Zygote", "IdleStopSec", SETTING_SPAN, idle_stop, 900 * SEC, 0, 30 * 86400 * SEC),
    NUMBER("Zygote", "StartTimeoutSec", SETTING_SPAN, start_timeout, 90 * SEC, SEC / 10, 3600 * SEC),
    NUMBER("Zygote", "Warm", SETTING_BOOL, warm, 0, 0, 0),
    SETTING("Zygote", "OnPreloadError", SETTING_CHOICE, on_preload_error, ON_ERROR_FAIL, 0, 0, on_error, NULL),
    NUMBER("Zygote", "MaxWorkers", SETTING_COUNT, max_workers, 1024, 1, 1048576),
    NUMBER("Worker", "MemoryMax", SETTING_SIZE, memory_max, 0, 0, UINT64_MAX / 2),
    NUMBER("Worker", "TasksMax", SETTING_COUNT, tasks_max, 0, 0, INT32_MAX),
    NUMBER("Worker", "CPUWeight", SETTING_COUNT, cpu_weight, 0, 0, 10000),
    NUMBER("Worker", "TimeLimitSec", SETTING_SPAN, time_limit, 0, 0, 30 * 86400 * SEC),
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

void declaration_init(struct declaration *d) {
    settings_defaults(settings, SETTINGS, d);
}

void declaration_done(struct declaration *d) {
    settings_done(settings, SETTINGS, d);
}

unsigned declaration_read_file(struct declaration *d, const char *path, bool *ret_found) {
    return settings_read(settings, SETTINGS, d, path, ret_found);
}

/* It becomes part of paths, of names of cgroups and of lines for people. */
bool declaration_name_is_fine(const char *name) {
    static const char permitted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strlen(name);
    return n > 0 && n <= LIMIT_ZYGOTE && name[0] != '.' && strspn(name, permitted) == n;
}

/* ---- folders, the weakest first ---- */

enum { FOLDERS = 3 };

static unsigned folders(bool own_files, char ret[FOLDERS][LIMIT_PATH]) {
    unsigned n = 0;
    snprintf(ret[n++], LIMIT_PATH, "%s", PATH_DATA "/zygotes");
    snprintf(ret[n++], LIMIT_PATH, "%s", PATH_SYSCONF "/zygotes");
    if (own_files && paths_user_config(ret[n], LIMIT_PATH, "zygotes") == 0)
        n++;
    return n;
}

static unsigned take_drop_in(void *declaration, const char *path) {
    return declaration_read_file(declaration, path, NULL);
}

bool declaration_read(const char *name, bool own_files, struct declaration *ret_declaration, unsigned *ret_wrong) {
    char in[FOLDERS][LIMIT_PATH], path[PATH_SIZE];
    unsigned n = folders(own_files, in), wrong = 0;
    bool found = false;
    struct declaration d;
    declaration_init(&d);
    for (unsigned i = n; i > 0 && !found; i--) {
        if ((size_t)snprintf(path, sizeof path, "%s/%s.conf", in[i - 1], name) < sizeof path)
            wrong += declaration_read_file(&d, path, &found);
    }
    if (!found)
        return false;
    for (unsigned i = 0; i < n; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s/%s.conf.d", in[i], name) < sizeof path)
            wrong += paths_each(path, "*.conf", take_drop_in, &d);
    }
    *ret_wrong = wrong;
    *ret_declaration = d;
    return true;
}

/* ---- all of them ---- */

struct each {
    void (*take)(void *data, const char *name);
    void *data;
};

static unsigned take_name(void *data, const char *path) {
    const struct each *each = data;
    char name[LIMIT_ZYGOTE + 8];
    const char *base = strrchr(path, '/') + 1;
    size_t n = strlen(base) - strlen(".conf");
    if (n <= LIMIT_ZYGOTE) {
        snprintf(name, sizeof name, "%.*s", (int)n, base);
        if (declaration_name_is_fine(name)) {
            each->take(each->data, name);
            return 0;
        }
    }
    log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL,
             "%s: this is no name for a zygote (1 to %d letters, digits, '-', '_' and '.'); the file is ignored", path,
             LIMIT_ZYGOTE);
    return 1;
}

unsigned declaration_each(bool own_files, void (*take)(void *data, const char *name), void *data) {
    char in[FOLDERS][LIMIT_PATH];
    struct each each = {take, data};
    unsigned n = folders(own_files, in), wrong = 0;
    for (unsigned i = 0; i < n; i++)
        wrong += paths_each(in[i], "*.conf", take_name, &each);
    return wrong;
}
