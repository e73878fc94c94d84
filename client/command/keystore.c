/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The credential stores of systemd. It looks for keys by name and never reads one. */
#include "keystore.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keyfile.h"
#include "say.h"

static void add_folder(struct keystore *store, const char *base, const char *name) {
    if (base == NULL || base[0] != '/')
        return;
    int n = snprintf(store->folders[store->n_folders], sizeof store->folders[0], "%s/%s", base, name);
    if (n < (int)sizeof store->folders[0])
        store->n_folders++;
}

int keystore_of_user(struct keystore *store, const char *user) {
    char clean[80];
    *store = (struct keystore){.system = true};
    say_clean(user, clean, sizeof clean);
    errno = 0;
    if (*user == '\0' || strchr(user, '/') != NULL || strlen(user) > 256 || getpwnam(user) == NULL) {
        say("there is no user '%s'%s%s", clean, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
        return -ESRCH;
    }
    snprintf(store->name, sizeof store->name, "forksrv.authkey.%s", user);
    add_folder(store, "/etc", "credstore.encrypted");
    add_folder(store, "/run", "credstore.encrypted");
    add_folder(store, "/usr/lib", "credstore.encrypted");
    add_folder(store, "/etc", "credstore");
    store->own = store->n_folders;
    add_folder(store, "/run", "credstore");
    add_folder(store, "/usr/lib", "credstore");
    return 0;
}

int keystore_of_session(struct keystore *store) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    *store = (struct keystore){.name = "forksrv.authkey"};
    if (runtime == NULL || runtime[0] != '/') {
        say("XDG_RUNTIME_DIR is not set, so this is no session of a user; name a FILE, or a user with --system");
        return -ENXIO;
    }
    /* The one place that forksrv.service and clients read: user managers search no credential store before systemd 260. */
    add_folder(store, runtime, "credstore");
    if (store->own == store->n_folders) {
        say("XDG_RUNTIME_DIR is too long");
        return -ENAMETOOLONG;
    }
    return 0;
}

bool keystore_is_encrypted(const struct keystore *store, int folder) {
    const char *path = store->folders[folder];
    size_t n = strlen(path), m = strlen(".encrypted");
    return n > m && strcmp(path + n - m, ".encrypted") == 0;
}

bool keystore_is_ours(const struct keystore *store, int folder) {
    return strncmp(store->folders[folder], "/usr/", 5) != 0;
}

int keystore_find(const struct keystore *store) {
    char path[PATH_MAX + 320];
    struct stat st;
    for (int i = 0; i < (int)store->n_folders; i++) {
        snprintf(path, sizeof path, "%s/%s", store->folders[i], store->name);
        if (stat(path, &st) == 0)
            return i;
        if (errno != ENOENT && errno != ENOTDIR) {
            int r = -errno;
            say("cannot look for %s: %s%s", path, strerror(-r), store->system && geteuid() != 0 ? " (run this as root)" : "");
            return r;
        }
    }
    return -ENOENT;
}

int keystore_make_folder(const struct keystore *store) {
    const char *folder = store->folders[store->own];
    struct stat st;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
        int r = -errno;
        say("cannot make %s: %s%s", folder, strerror(-r), store->system && geteuid() != 0 ? " (run this as root)" : "");
        return r;
    }
    if (stat(folder, &st) < 0 || !S_ISDIR(st.st_mode)) {
        say("%s is no folder", folder);
        return -ENOTDIR;
    }
    if (st.st_uid != (store->system ? 0 : geteuid()) || (st.st_mode & 022) != 0) {
        say("%s is open to others (owner %u, mode %04o): they could put a key of their own there; chmod 0700 it", folder,
            (unsigned)st.st_uid, (unsigned)(st.st_mode & 07777));
        return -EPERM;
    }
    return 0;
}
