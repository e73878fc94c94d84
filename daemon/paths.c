/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of configuration files. It finds files and opens none. */
#include "daemon/paths.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/settings.h"

unsigned paths_each(const char *dir, const char *pattern, paths_take *take, void *data) {
    struct dirent **names;
    unsigned sum = 0;
    int n = scandir(dir, &names, NULL, alphasort);
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : settings_cannot_read(dir, errno);
    for (int i = 0; i < n; i++) {
        char path[4096];
        if (fnmatch(pattern, names[i]->d_name, FNM_PERIOD) == 0 &&
            (size_t)snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name) < sizeof path)
            sum += take(data, path);
        free(names[i]);
    }
    free(names);
    return sum;
}

int paths_user_config(char *ret_path, size_t size, const char *name) {
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;
    if (config != NULL && config[0] == '/')
        n = snprintf(ret_path, size, "%s/forksrv/%s", config, name);
    else if (home != NULL && home[0] == '/')
        n = snprintf(ret_path, size, "%s/.config/forksrv/%s", home, name);
    else
        return -ENOENT;
    return (size_t)n < size ? 0 : -ENAMETOOLONG;
}
