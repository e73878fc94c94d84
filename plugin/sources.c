/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations: which there are, which file decides, what stands in it and in its drop-ins. What that means it does not know. */
#include "plugin/sources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/regular.h"
#include "common/unitfile.h"

/* ---- folders ---- */

static bool has_suffix(const char *name, const char *suffix) {
    size_t n = strlen(name), m = strlen(suffix);
    return n > m && strcmp(name + n - m, suffix) == 0;
}

static int add(struct found *f, const char *name, unsigned folder) {
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->files[i].name, name) == 0)
            return 0; /* that one is stronger */
    struct found_file *more = reallocarray(f->files, f->count + 1, sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    f->files = more;
    more[f->count].folder = folder;
    more[f->count].name = strdup(name);
    if (more[f->count].name == NULL)
        return -ENOMEM;
    f->count++;
    return 0;
}

static int compare(const void *a, const void *b) {
    return strcmp(((const struct found_file *)a)->name, ((const struct found_file *)b)->name);
}

/* All files below `below` of a folder with this suffix. */
static int find_in(const struct sources *s, unsigned folder, const char *below, const char *suffix, struct found *f) {
    char path[SOURCES_PATH];
    if ((size_t)snprintf(path, sizeof path, "%s%s", s->folders[folder], below) >= sizeof path)
        return 0;
    int fd = regular_open(s->root, path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        if (fd != -ENOENT && fd != -ENOTDIR)
            report_mistake(s->report, path, 0, "this folder cannot be read: %s; what is in it has no effect", strerror(-fd));
        return 0;
    }
    auto_dir dir = fdopendir(fd);
    if (dir == NULL) {
        close_fd(fd);
        return -ENOMEM;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.' || !has_suffix(entry->d_name, suffix))
            continue;
        if (f->count == SOURCES_MOST) {
            report_mistake(s->report, path, 0, "there are more than %d files *%s; the others have no effect", SOURCES_MOST,
                           suffix);
            return 0;
        }
        int r = add(f, entry->d_name, folder);
        if (r < 0)
            return r;
    }
    return 0;
}

static int find(const struct sources *s, const char *below, const char *suffix, struct found *ret_found) {
    struct found f = {0};
    int r = 0;
    for (unsigned i = 0; i < s->n_folders && r >= 0; i++)
        r = find_in(s, i, below, suffix, &f);
    if (r < 0) {
        found_done(&f);
        return r;
    }
    if (f.count > 0)
        qsort(f.files, f.count, sizeof f.files[0], compare);
    *ret_found = f;
    return 0;
}

int sources_find(const struct sources *s, struct found *ret_found) {
    return find(s, "", s->suffix, ret_found);
}

void found_done(struct found *f) {
    for (size_t i = 0; i < f->count; i++)
        free(f->files[i].name);
    free(f->files);
    *f = (struct found){0};
}

/* ---- one file ---- */

void declared_complain(struct declared *d, const struct line *line, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->wrong++;
    report_mistake(d->report, line != NULL ? line->path : d->path, line != NULL ? line->number : 0, "%s", text);
}

static void take(void *data, unsigned number, const char *section, const char *name, const char *value) {
    struct declared *d = data;
    size_t a = strlen(section) + 1, b = strlen(name) + 1, c = strlen(value) + 1;
    char *path = d->paths[d->n_paths - 1];
    if (d->n_lines == d->room) {
        struct line *more = reallocarray(d->lines, 2 * d->room + 16, sizeof *more);
        if (more == NULL) {
            d->wrong++;
            return;
        }
        d->lines = more;
        d->room = 2 * d->room + 16;
    }
    char *block = malloc(a + b + c);
    if (block == NULL) {
        d->wrong++;
        return;
    }
    d->lines[d->n_lines++] = (struct line){path, number, block, block + a, block + a + b};
    memcpy(block, section, a);
    memcpy(block + a, name, b);
    memcpy(block + a + b, value, c);
}

static void complain(void *data, unsigned number, const char *why) {
    struct declared *d = data;
    const struct line line = {.path = d->paths[d->n_paths - 1], .number = number};
    declared_complain(d, &line, "%s", why);
}

/* 1: read, 0: masked or not there, -errno; a mistake is told. */
static int read_file(const struct sources *s, struct declared *d, unsigned folder, const char *below, const char *name) {
    auto_free char *path = NULL, *text = NULL;
    size_t size;
    if (asprintf(&path, "%s%s/%s", s->folders[folder], below, name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    char **more = reallocarray(d->paths, d->n_paths + 1, sizeof *more);
    if (more == NULL)
        return -ENOMEM;
    d->paths = more;
    d->paths[d->n_paths++] = path;
    const char *shown = path;
    const struct line whole = {.path = path};
    path = NULL;
    int r = regular_read(s->root, shown, SOURCES_FILE, &text, &size);
    if (r == -ENODEV || r == -ENOENT || r == -ENOMEM)
        return r == -ENOMEM ? r : 0;
    if (r == -EFBIG || (r >= 0 && (d->bytes += size) > SOURCES_LINES))
        declared_complain(d, &whole, "this file is too large: more than %d KiB of it, or %d MiB with all drop-ins",
                          SOURCES_FILE / 1024, SOURCES_LINES / 1024 / 1024);
    else if (r == -EINVAL)
        declared_complain(d, &whole, "this is no regular file; take it away, or put one in its place");
    else if (r < 0)
        declared_complain(d, &whole, "this cannot be read: %s", strerror(-r));
    else if (size == 0)
        return 0;
    else {
        const struct unitfile_handler h = {.data = d, .take = take, .complain = complain};
        r = unitfile_parse(text, size, &h);
        return r < 0 ? r : 1;
    }
    return -EINVAL;
}

/* ---- with its drop-ins ---- */

static int read_drop_ins(const struct sources *s, struct declared *d, const char *name) {
    struct found f;
    auto_free char *below = NULL;
    if (asprintf(&below, "/%s.d", name) < 0) {
        below = NULL;
        return -ENOMEM;
    }
    int r = find(s, below, ".conf", &f);
    if (r < 0)
        return r;
    for (size_t i = 0; i < f.count && r != -ENOMEM; i++)
        r = read_file(s, d, f.files[i].folder, below, f.files[i].name);
    found_done(&f);
    return r == -ENOMEM ? r : 0;
}

int sources_read(const struct sources *s, const struct found_file *file, struct declared *ret_declared) {
    struct declared d = {.report = s->report};
    report_next(s->report);
    d.name = strndup(file->name, strlen(file->name) - strlen(s->suffix));
    if (d.name == NULL || asprintf(&d.path, "%s/%s", s->folders[file->folder], file->name) < 0) {
        free(d.name);
        return -ENOMEM;
    }
    int r = read_file(s, &d, file->folder, "", file->name);
    /* A mistake in the file does not hide those in its drop-ins. */
    if (r > 0 || r == -EINVAL) {
        int drop_ins = read_drop_ins(s, &d, file->name);
        if (drop_ins < 0)
            r = drop_ins;
    }
    if (r <= 0) {
        declared_done(&d);
        return r == -ENOMEM ? r : 0;
    }
    *ret_declared = d;
    return 1;
}

void declared_done(struct declared *d) {
    for (size_t i = 0; i < d->n_lines; i++)
        free(d->lines[i].section);
    for (size_t i = 0; i < d->n_paths; i++)
        free(d->paths[i]);
    free(d->lines);
    free(d->paths);
    free(d->path);
    free(d->name);
    *d = (struct declared){0};
}
