/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which manager has called, and where declarations for it stand. It looks at names only, opens nothing. */
#include "plugin/flavour.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before systemd 257 only the path by which we are called tells: a manager calls what is in its own folder of generators. */
enum flavour flavour_of(const char *argv0) {
    static const char folder[] = USER_GENERATORS "/", usual[] = "/user-generators/";
    const char *scope = getenv("SYSTEMD_SCOPE"), *base;
    if (scope != NULL && strcmp(scope, "user") == 0)
        return FLAVOUR_USER;
    if (scope != NULL && strcmp(scope, "system") == 0)
        return FLAVOUR_SYSTEM;
    if (argv0 == NULL || (base = strrchr(argv0, '/')) == NULL)
        return FLAVOUR_SYSTEM;
    size_t n = (size_t)(base + 1 - argv0), m = strlen(usual);
    if (n == strlen(folder) && strncmp(argv0, folder, n) == 0)
        return FLAVOUR_USER;
    return n >= m && strncmp(argv0 + n - m, usual, m) == 0 ? FLAVOUR_USER : FLAVOUR_SYSTEM;
}

static void add(struct sources *s, const char *folder, const char *below) {
    char *path = s->folders[s->n_folders];
    if (snprintf(path, SOURCES_PATH, "%s%s", folder, below) < SOURCES_PATH)
        s->n_folders++;
}

static void add_own(struct sources *s) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    if (config != NULL && config[0] == '/')
        add(s, config, "/forksrv/helpers");
    else if (home != NULL && home[0] == '/')
        add(s, home, "/.config/forksrv/helpers");
}

void flavour_folders(enum flavour flavour, struct sources *s) {
    s->n_folders = 0;
    if (flavour == FLAVOUR_SYSTEM) {
        s->suffix = ".instance";
        add(s, PATH_SYSCONF, "/forksrv/instances");
        add(s, "/run", "/forksrv/instances");
        add(s, PATH_DATA, "/instances");
        return;
    }
    s->suffix = ".helper";
    add_own(s);
    add(s, PATH_SYSCONF, "/xdg/forksrv/helpers");
    add(s, "/run", "/forksrv/helpers");
    add(s, PATH_DATA, "/helpers");
}
