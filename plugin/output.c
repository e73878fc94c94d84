/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and links below one folder, and nowhere else: every step is taken from an open folder, follows no link and replaces
 * nothing. */
#include "plugin/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

enum { FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

int output_init(struct output *o, const char *folder) {
    struct output fresh = {.dir = -1};
    if (folder != NULL) {
        fresh.dir = open(folder, FOLDER & ~O_NOFOLLOW);
        if (fresh.dir < 0)
            return -errno;
    }
    *o = fresh;
    return 0;
}

void output_done(struct output *o) {
    close_fd(o->dir);
    o->dir = -1;
    words_done(&o->made);
}

static bool is_name(const char *name) {
    return name[0] != 0 && strlen(name) < 256 && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Notes what is about to be made; the same a second time is a mistake, when it is only printed, too. */
static int note(struct output *o, const char *below, const char *name) {
    char path[1024];
    if (!is_name(name) || (below != NULL && !is_name(below)))
        return -EINVAL;
    int n = snprintf(path, sizeof path, "%s%s%s", below != NULL ? below : "", below != NULL ? "/" : "", name);
    if (words_have(&o->made, path))
        return -EEXIST;
    if (!words_add(&o->made, path, (size_t)n))
        return -ENOMEM;
    if (o->dir < 0)
        printf("# %s", path);
    return 0;
}

bool output_has(const struct output *o, const char *name) {
    return words_have(&o->made, name);
}

/* An fd of its own for the folder. */
static int open_below(const struct output *o, const char *below) {
    if (below != NULL && mkdirat(o->dir, below, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(o->dir, below != NULL ? below : ".", FOLDER);
    return fd < 0 ? -errno : fd;
}

int output_file(struct output *o, const char *below, const char *name, const char *text, size_t size) {
    int r = note(o, below, name);
    if (r < 0)
        return r;
    if (o->dir < 0) {
        printf("\n%.*s\n", (int)size, text);
        return 0;
    }
    auto_fd folder = open_below(o, below);
    if (folder < 0)
        return folder;
    auto_fd fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, text + done, size - done);
        if (n < 0 && errno != EINTR) {
            /* Half a unit could mean something else. */
            r = -errno;
            unlinkat(folder, name, 0);
            return r;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int output_link(struct output *o, const char *below, const char *name, const char *target) {
    int r = note(o, below, name);
    if (r < 0)
        return r;
    if (o->dir < 0) {
        printf(" -> %s\n\n", target);
        return 0;
    }
    auto_fd folder = open_below(o, below);
    if (folder < 0)
        return folder;
    return symlinkat(target, folder, name) < 0 ? -errno : 0;
}
