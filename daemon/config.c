/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrvd.conf: which settings there are, and in which files. How a file is read is settings.c's business. */
#include "daemon/config.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/declaration.h"
#include "daemon/paths.h"
#include "daemon/settings.h"

/* An empty value takes back the users named before, as in unit files. */
static void set_users(struct settings_reading *r, void *target, const char *value) {
    struct config *c = target;
    char *copy = strdup(value), *save = NULL;
    if (copy == NULL) {
        settings_no_memory(r, "AllowUsers");
        return;
    }
    if (copy[0] == 0)
        c->n_users = 0;
    for (char *name = strtok_r(copy, " \t", &save); name != NULL; name = strtok_r(NULL, " \t", &save)) {
        uint64_t uid;
        const struct passwd *pw = getpwnam(name);
        if (pw != NULL)
            uid = pw->pw_uid;
        else if (!settings_parse_count(name, &uid) || uid >= UINT32_MAX) {
            settings_complain(r, "user", name, "is not known");
            continue;
        }
        if (c->n_users == CONFIG_USERS)
            settings_complain(r, "user", name, "is one too many (16 at most)");
        else
            c->users[c->n_users++] = (uid_t)uid;
    }
    free(copy);
}

static void set_cpython_zygote(struct settings_reading *r, void *target, const char *value) {
    struct config *c = target;
    if (value[0] == 0 || declaration_name_is_fine(value))
        snprintf(c->cpython_zygote, sizeof c->cpython_zygote, "%s", value);
    else
        settings_complain(r, "zygote", value, "is no name of one: letters, digits, '-', '_' and '.'");
}

static const struct setting settings[] = {
#define SEC UINT64_C(1000000)
#define MIB UINT64_C(1048576)
#define SETTING(section, name, type, field, ...)                                                                                 \
    { section, name, type, offsetof(struct config, field), __VA_ARGS__, NULL, NULL }
    SETTING("Listener", "HandshakeTimeoutSec", SETTING_SPAN, handshake_timeout, 5 * SEC, SEC / 10, 600 * SEC),
    SETTING("Listener", "MaxUnauthenticated", SETTING_COUNT, max_unauthenticated, 256, 4, 65536),
    SETTING("Listener", "MaxUnauthenticatedPerUser", SETTING_COUNT, max_unauthenticated_per_user, 192, 2, 65536),
    {"Listener", "AllowUsers", SETTING_OWN, 0, 0, 0, 0, NULL, set_users},
    SETTING("Sessions", "MaxSessions", SETTING_COUNT, max_sessions, 512, 1, 65536),
    SETTING("Workers", "MaxWorkers", SETTING_COUNT, max_workers, 8192, 1, 1048576),
    SETTING("Workers", "MaxWorkersPerSession", SETTING_COUNT, max_workers_per_session, 4096, 1, 1048576),
    SETTING("Workers", "MaxStartsPerSec", SETTING_COUNT, max_starts_per_sec, 0, 0, 1000000),
    SETTING("Workers", "StartsBurst", SETTING_COUNT, starts_burst, 100, 1, 1000000),
    SETTING("Workers", "GraceSec", SETTING_SPAN, grace, 5 * SEC, 0, 3600 * SEC),
    SETTING("Workers", "KeepEnds", SETTING_COUNT, keep_ends, 1024, 0, 65536),
    SETTING("Workers", "KeepEndsSec", SETTING_SPAN, keep_ends_time, 600 * SEC, 0, 30 * 86400 * SEC),
    SETTING("Workers", "ReturnSec", SETTING_SPAN, return_time, 15 * SEC, 0, 86400 * SEC),
    {"Workers", "CPythonZygote", SETTING_OWN, 0, 0, 0, 0, NULL, set_cpython_zygote},
    SETTING("Requests", "MaxWaiting", SETTING_COUNT, max_waiting, 8192, 1, 1048576),
    SETTING("Requests", "MaxWaitingPerSession", SETTING_COUNT, max_waiting_per_session, 4096, 1, 1048576),
    SETTING("Requests", "MaxMemory", SETTING_SIZE, max_memory, 256 * MIB, 8 * MIB, 1048576 * MIB),
    SETTING("Requests", "MaxMemoryPerSession", SETTING_SIZE, max_memory_per_session, 64 * MIB, 8 * MIB, 1048576 * MIB),
    SETTING("Requests", "MaxFds", SETTING_COUNT, max_fds, 131072, 256, 1048576),
    SETTING("Requests", "MaxFdsPerSession", SETTING_COUNT, max_fds_per_session, 32768, 256, 1048576),
    SETTING("Daemon", "IdleExitSec", SETTING_SPAN, idle_exit, 300 * SEC, 0, 30 * 86400 * SEC),
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

void config_defaults(struct config *c) {
    *c = (struct config){0};
    settings_defaults(settings, SETTINGS, c);
}

unsigned config_read_file(struct config *c, const char *path) {
    return settings_read(settings, SETTINGS, c, path, NULL);
}

static unsigned take_file(void *config, const char *path) {
    return config_read_file(config, path);
}

unsigned config_read(struct config *c, bool session_flavour) {
    unsigned wrong = config_read_file(c, PATH_SYSCONF "/forksrvd.conf");
    wrong += paths_each(PATH_SYSCONF "/forksrvd.conf.d", "*.conf", take_file, c);
    if (!session_flavour)
        return wrong;
    char main_file[4096], drop_ins[4096 + 2];
    if (paths_user_config(main_file, sizeof main_file, "forksrvd.conf") < 0)
        return wrong;
    snprintf(drop_ins, sizeof drop_ins, "%s.d", main_file);
    wrong += config_read_file(c, main_file);
    return wrong + paths_each(drop_ins, "*.conf", take_file, c);
}
