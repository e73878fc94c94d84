/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configuration files, read by inih. A table says which settings there are. A wrong line costs itself only, and is told with file
 * and line. */
#include "daemon/config.h"

#include <errno.h>
#include <ini.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/log.h"
#include "daemon/paths.h"

enum type { COUNT, SPAN, USERS };

static const struct setting {
    const char *section, *name;
    enum type type;
    size_t offset;
    uint64_t otherwise, least, most;
} settings[] = {
#define SETTING(section, name, type, field, ...)                                                                                 \
    { section, name, type, offsetof(struct config, field), __VA_ARGS__ }
#define SEC UINT64_C(1000000)
    SETTING("Listener", "HandshakeTimeoutSec", SPAN, handshake_timeout, 5 * SEC, SEC / 10, 600 * SEC),
    SETTING("Listener", "MaxUnauthenticated", COUNT, max_unauthenticated, 256, 4, 65536),
    SETTING("Listener", "MaxUnauthenticatedPerUser", COUNT, max_unauthenticated_per_user, 192, 2, 65536),
    SETTING("Listener", "AllowUsers", USERS, users, 0, 0, 0),
    SETTING("Sessions", "MaxSessions", COUNT, max_sessions, 512, 1, 65536),
    SETTING("Workers", "MaxWorkers", COUNT, max_workers, 8192, 1, 1048576),
    SETTING("Workers", "MaxWorkersPerSession", COUNT, max_workers_per_session, 4096, 1, 1048576),
    SETTING("Workers", "GraceSec", SPAN, grace, 5 * SEC, 0, 3600 * SEC),
    SETTING("Workers", "KeepEnds", COUNT, keep_ends, 1024, 0, 65536),
    SETTING("Workers", "KeepEndsSec", SPAN, keep_ends_time, 600 * SEC, 0, 30 * 86400 * SEC),
    SETTING("Daemon", "IdleExitSec", SPAN, idle_exit, 300 * SEC, 0, 30 * 86400 * SEC),
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static void store(struct config *c, const struct setting *s, uint64_t v) {
    memcpy((char *)c + s->offset, &v, sizeof v);
}

void config_defaults(struct config *c) {
    *c = (struct config){0};
    for (size_t i = 0; i < SETTINGS; i++)
        if (settings[i].type != USERS)
            store(c, &settings[i], settings[i].otherwise);
}

/* ---- values ---- */

static bool parse_count(const char *text, uint64_t *ret) {
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || *end != 0)
        return false;
    *ret = v;
    return true;
}

/* "5", "5s", "1min 30s", "500ms". */
static bool parse_span(const char *text, uint64_t *ret) {
    static const struct {
        const char *name;
        uint64_t usec;
    } units[] = {{"ms", 1000}, {"us", 1},         {"min", 60 * SEC},  {"m", 60 * SEC}, {"sec", SEC},
                 {"s", SEC},   {"h", 3600 * SEC}, {"d", 86400 * SEC}, {"", SEC}};
    uint64_t sum = 0;
    do {
        char *end;
        errno = 0;
        if (text[0] < '0' || text[0] > '9')
            return false;
        unsigned long long v = strtoull(text, &end, 10);
        size_t unit = strspn(end, "abcdefghijklmnopqrstuvwxyz"), i = 0;
        while (i < sizeof units / sizeof units[0] && (strlen(units[i].name) != unit || strncmp(units[i].name, end, unit) != 0))
            i++;
        if (errno != 0 || i == sizeof units / sizeof units[0])
            return false;
        /* Too much for the number is out of every setting's range as well. */
        uint64_t part;
        if (__builtin_mul_overflow(v, units[i].usec, &part) || __builtin_add_overflow(sum, part, &sum))
            sum = UINT64_MAX;
        text = end + unit;
        text += strspn(text, " ");
    } while (*text != 0);
    *ret = sum;
    return true;
}

/* ---- one file ---- */

struct reading {
    struct config *config;
    const char *path;
    FILE *file;
    unsigned line;
    unsigned wrong;
};

static void complain(struct reading *r, const char *what, const char *name, const char *why) {
    r->wrong++;
    log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL, "%s:%u: %s \"%s\" %s; this line is ignored", r->path, r->line, what, name, why);
}

/* An empty value takes back the users named before, as in unit files. */
static void set_users(struct reading *r, const char *value) {
    char *copy = strdup(value), *save = NULL;
    if (copy == NULL)
        return;
    if (copy[0] == 0)
        r->config->n_users = 0;
    for (char *name = strtok_r(copy, " \t", &save); name != NULL; name = strtok_r(NULL, " \t", &save)) {
        uint64_t uid;
        const struct passwd *pw = getpwnam(name);
        if (pw != NULL)
            uid = pw->pw_uid;
        else if (!parse_count(name, &uid) || uid >= UINT32_MAX) {
            complain(r, "user", name, "is not known");
            continue;
        }
        if (r->config->n_users == CONFIG_USERS)
            complain(r, "user", name, "is one too many (16 at most)");
        else
            r->config->users[r->config->n_users++] = (uid_t)uid;
    }
    free(copy);
}

static void set_value(struct reading *r, const struct setting *s, const char *value) {
    uint64_t v;
    char why[160];
    if (s->type == USERS) {
        set_users(r, value);
        return;
    }
    if (s->type == COUNT ? !parse_count(value, &v) : !parse_span(value, &v)) {
        snprintf(why, sizeof why, "is no %s for %s=", s->type == COUNT ? "number" : "time span (like 30s, 5min, 500ms)", s->name);
        complain(r, "value", value, why);
    } else if (v < s->least || v > s->most) {
        uint64_t unit = s->type == SPAN ? 1000 : 1;
        snprintf(why, sizeof why, "is out of range for %s= (%llu to %llu%s)", s->name, (unsigned long long)(s->least / unit),
                 (unsigned long long)(s->most / unit), s->type == SPAN ? " ms" : "");
        complain(r, "value", value, why);
    } else {
        store(r->config, s, v);
    }
}

static int take(void *user, const char *section, const char *name, const char *value) {
    struct reading *r = user;
    bool section_known = false;
    for (size_t i = 0; i < SETTINGS; i++) {
        if (strcmp(settings[i].section, section) != 0)
            continue;
        section_known = true;
        if (strcmp(settings[i].name, name) != 0)
            continue;
        set_value(r, &settings[i], value);
        return 1;
    }
    if (section_known)
        complain(r, "setting", name, "is not known in this section");
    else if (section[0] == 0)
        complain(r, "setting", name, "stands before any [Section]");
    else
        complain(r, "section", section, "is not known");
    return 1;
}

/* fgets that counts, since inih tells its handler no line numbers. inih would read a line that is too long for it as two. */
static char *next_line(char *buf, int size, void *stream) {
    struct reading *r = stream;
    if (fgets(buf, size, r->file) == NULL)
        return NULL;
    r->line++;
    /* A shorter one without an end has a NUL inside, and is read up to there. */
    if (strlen(buf) == (size_t)size - 1 && buf[size - 2] != '\n' && !feof(r->file)) {
        int c;
        while ((c = getc(r->file)) != EOF && c != '\n') {
        }
        complain(r, "line starting with", strtok(buf, " \t=") != NULL ? buf : "", "is too long");
        buf[0] = '\n';
        buf[1] = 0;
    }
    return buf;
}

unsigned config_read_file(struct config *c, const char *path) {
    auto_file file = fopen(path, "re");
    if (file == NULL) {
        if (errno == ENOENT || errno == ENOTDIR)
            return 0;
        log_line(LOG_WARNING, LOG_KIND_CONFIG, NULL, "cannot read %s: %s; its settings are ignored", path, strerror(errno));
        return 1;
    }
    struct reading r = {.config = c, .path = path, .file = file};
    int bad = ini_parse_stream(next_line, &r, take, &r);
    if (bad > 0) {
        r.line = (unsigned)bad;
        complain(&r, "line", "", "is neither [Section] nor Setting=value");
    }
    return r.wrong;
}

unsigned config_read(struct config *c, bool session_flavour) {
    unsigned wrong = config_read_file(c, PATH_SYSCONF "/forksrvd.conf");
    wrong += paths_each(PATH_SYSCONF "/forksrvd.conf.d", "*.conf", config_read_file, c);
    if (!session_flavour)
        return wrong;
    char main_file[4096], drop_ins[4096 + 2];
    if (paths_user_config(main_file, sizeof main_file, "forksrvd.conf") < 0)
        return wrong;
    snprintf(drop_ins, sizeof drop_ins, "%s.d", main_file);
    wrong += config_read_file(c, main_file);
    return wrong + paths_each(drop_ins, "*.conf", config_read_file, c);
}
