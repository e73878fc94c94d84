/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The look-up of desktop entries, as the specification of base directories has it. The first that is found is the one, even if it
 * cannot be used: it stands there to hide the others. */
#include "desktop-find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "desktop-entry.h"
#include "say.h"

/* A name with many dashes in a tree made for it could be many paths. */
enum { LOOKS_MAX = 4096 };

void desktop_file_done(struct desktop_file *f) {
    free(f->path);
    free(f->id);
    free(f->text);
    *f = (struct desktop_file){0};
}

/* ---- reading ---- */

static int read_all(int fd, struct desktop_file *f, size_t size) {
    f->text = malloc(size + 1);
    if (f->text == NULL)
        return -ENOMEM;
    while (f->size < size) {
        ssize_t n = read(fd, f->text + f->size, size - f->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        f->size += (size_t)n;
    }
    return 0;
}

/* The path becomes the file's. */
static int read_file(struct desktop_file *f) {
    char clean[256];
    struct stat st;
    /* Not blocking: a FIFO of that name would hold us. */
    owned_fd fd = open(f->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (r >= 0 && (!S_ISREG(st.st_mode) || st.st_size > DESKTOP_ENTRY_MAX)) {
        say("%s: %s", say_clean(f->path, clean, sizeof clean),
            S_ISREG(st.st_mode) ? "it is larger than 1 MiB" : "it is no regular file");
        return -EBADMSG;
    }
    if (r >= 0)
        r = read_all(fd, f, (size_t)st.st_size);
    if (r < 0)
        say("cannot read %s: %s", say_clean(f->path, clean, sizeof clean), strerror(-r));
    return r;
}

/* ---- the folders ---- */

static const char *home(void) {
    const char *path = getenv("HOME");
    const struct passwd *p = path != NULL && path[0] == '/' ? NULL : getpwuid(getuid());
    return p != NULL ? p->pw_dir : path != NULL ? path : "/";
}

/* "…/a:…/b", the user's own first. */
static char *data_folders(void) {
    const char *own = getenv("XDG_DATA_HOME"), *others = getenv("XDG_DATA_DIRS");
    bool has_own = own != NULL && own[0] == '/';
    char *list = NULL;
    if (others == NULL || others[0] == '\0')
        others = "/usr/local/share:/usr/share";
    if (asprintf(&list, "%s%s:%s", has_own ? own : home(), has_own ? "" : "/.local/share", others) < 0)
        return NULL;
    return list;
}

/* The next folder of the list, "…/applications/", or false. Relative ones do not count. */
static bool next_folder(char **list, char ret[PATH_MAX]) {
    const char *folder;
    while ((folder = strsep(list, ":")) != NULL)
        if (folder[0] == '/' && snprintf(ret, PATH_MAX, "%s/applications/", folder) < PATH_MAX)
            return true;
    return false;
}

static bool is_there(const char *path, bool folder) {
    struct stat st;
    return stat(path, &st) == 0 && (folder ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode));
}

/* kde-foo.desktop is kde-foo.desktop or kde/foo.desktop. `path` ends with '/', and has the file after it when it was found. */
static bool look(char path[PATH_MAX], const char *name, unsigned *looks) {
    size_t end = strlen(path);
    if (end + strlen(name) >= PATH_MAX || ++*looks > LOOKS_MAX)
        return false;
    strcpy(path + end, name);
    if (is_there(path, false))
        return true;
    for (const char *dash = strchr(name, '-'); dash != NULL; dash = strchr(dash + 1, '-')) {
        if (dash == name || dash[1] == '\0')
            continue;
        size_t size = (size_t)(dash - name);
        memcpy(path + end, name, size);
        strcpy(path + end + size, "/");
        if (is_there(path, true) && look(path, dash + 1, looks))
            return true;
    }
    path[end] = '\0';
    return false;
}

static int find_id(const char *id, struct desktop_file *f) {
    char path[PATH_MAX], clean[200];
    unsigned looks = 0;
    owned_memory char *folders = data_folders();
    if (folders == NULL)
        return -ENOMEM;
    char *rest = folders;
    while (next_folder(&rest, path))
        if (look(path, id, &looks)) {
            f->path = strdup(path);
            f->id = strdup(id);
            return f->path != NULL && f->id != NULL ? 0 : -ENOMEM;
        }
    say_clean(id, clean, sizeof clean);
    if (is_there(id, false))
        say("there is no entry %s where entries are; the file here is ./%s", clean, clean);
    else
        say("there is no entry %s in applications/ of $XDG_DATA_HOME (~/.local/share) and $XDG_DATA_DIRS", clean);
    return -ENOENT;
}

/* ---- a path ---- */

/* kde/foo.desktop below one of the folders has the ID kde-foo.desktop; elsewhere it is the file's name. */
static char *id_of(const char *path) {
    char folder[PATH_MAX];
    const char *id = strrchr(path, '/') + 1;
    owned_memory char *folders = data_folders();
    char *rest = folders;
    while (rest != NULL && next_folder(&rest, folder))
        if (strncmp(path, folder, strlen(folder)) == 0) {
            id = path + strlen(folder);
            break;
        }
    char *made = strdup(id);
    for (char *c = made; c != NULL && *c != '\0'; c++)
        if (*c == '/')
            *c = '-';
    return made;
}

static int find_path(const char *path, struct desktop_file *f) {
    char here[PATH_MAX];
    const char *rest = strncmp(path, "./", 2) == 0 ? path + 2 : path;
    if (path[0] == '/') {
        f->path = strdup(path);
    } else if (getcwd(here, sizeof here) == NULL) {
        int r = -errno;
        say("cannot find the working directory: %s", strerror(-r));
        return r;
    } else if (asprintf(&f->path, "%s/%s", here, rest) < 0) {
        f->path = NULL;
    }
    f->id = f->path != NULL ? id_of(f->path) : NULL;
    return f->id != NULL ? 0 : -ENOMEM;
}

int desktop_file_find(const char *name, struct desktop_file *ret_file) {
    struct desktop_file f = {0};
    int r = strchr(name, '/') != NULL ? find_path(name, &f) : find_id(name, &f);
    if (r == -ENOMEM)
        say("out of memory");
    if (r >= 0)
        r = read_file(&f);
    if (r < 0) {
        desktop_file_done(&f);
        return r;
    }
    *ret_file = f;
    return 0;
}
