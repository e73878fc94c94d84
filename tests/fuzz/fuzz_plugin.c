/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A declaration of any content, as an instance and as a helper: what is made of it stands in its folder, is text that systemd
 * reads line by line as it was written, has no section but systemd's, and starts nothing but `forksrv run --as-main`. A first
 * line
 * "# name: X" names the file. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/regular.h"
#include "common/unitfile.h"
#include "plugin/helper.h"
#include "plugin/instance.h"
#include "plugin/names.h"
#include "tests/fuzz/fuzz.h"

/* More than any input makes; what is larger than 128 KiB costs ASan a mapping of its own. */
enum { UNIT_MOST = 96 * 1024 };

static char work[64];

/* ---- what was made ---- */

struct seen {
    unsigned lines, starts;
};

static void take(void *data, unsigned line, const char *section, const char *name, const char *value) {
    static const char ours[] = COMMAND " run --as-main";
    struct seen *s = data;
    (void)line;
    s->lines++;
    HOLDS(strcmp(section, "Unit") == 0 || strcmp(section, "Service") == 0 || strcmp(section, "Socket") == 0 ||
          strcmp(section, "Install") == 0);
    /* In another section it is a setting that systemd does not know. */
    if (strcmp(section, "Service") == 0 && strcmp(name, "ExecStart") == 0 && s->starts++ == 0)
        HOLDS(strncmp(value, ours, sizeof ours - 1) == 0);
}

static void complain(void *data, unsigned line, const char *why) {
    (void)data, (void)line, (void)why;
    HOLDS(false);
}

static void check_file(int dir, const char *name, bool helper) {
    auto_free char *text = NULL;
    size_t size;
    struct seen seen = {0};
    const struct unitfile_handler h = {.data = &seen, .take = take, .complain = complain};
    HOLDS(fchdir(dir) == 0 && regular_read(-1, name, UNIT_MOST, &text, &size) == 0);
    if (!helper)
        seen.starts = 1; /* its service has one already: any other is the declaration's */
    HOLDS(unitfile_parse(text, size, &h) == 0);
    /* Nothing went on in the next line. */
    unsigned lines = 0;
    for (const char *p = text; *p != 0; p = strchr(p, '\n') + 1)
        lines += *p != '#' && *p != '[' && *p != '\n';
    HOLDS(lines == seen.lines && seen.starts > 0);
}

/* Takes everything away again. Returns how many files and links there were. */
static unsigned check_folder(int dir, bool top, bool helper) {
    auto_dir d = fdopendir(dup(dir));
    const struct dirent *e;
    unsigned n = 0;
    HOLDS(d != NULL);
    while ((e = readdir(d)) != NULL) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        HOLDS(fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        if (S_ISDIR(st.st_mode)) {
            auto_fd below = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            HOLDS(top && below >= 0);
            n += check_folder(below, false, helper);
            HOLDS(unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0);
            continue;
        }
        HOLDS(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode));
        HOLDS(name_is_unit(e->d_name, NULL) || strcmp(e->d_name, "50-forksrv.conf") == 0);
        if (S_ISREG(st.st_mode))
            check_file(dir, e->d_name, helper);
        HOLDS(unlinkat(dir, e->d_name, 0) == 0);
        n++;
    }
    return n;
}

/* ---- what it is made of ---- */

static void file_name(const uint8_t *data, size_t size, const char *suffix, char ret_name[256]) {
    static const char mark[] = "# name: ";
    const char *end = size > 0 ? memchr(data, '\n', size) : NULL;
    const char *name = (const char *)data + sizeof mark - 1;
    size_t n = end != NULL && memcmp(data, mark, size < sizeof mark - 1 ? size : sizeof mark - 1) == 0 && name < end
                   ? (size_t)(end - name)
                   : 0;
    if (n == 0 || n > 200 || memchr(name, '/', n) != NULL || memchr(name, 0, n) != NULL || name[0] == '.')
        name = "alice", n = 5;
    snprintf(ret_name, 256, "%.*s%s", (int)n, name, suffix);
}

static void make(const uint8_t *data, size_t size, const char *suffix, void (*maker)(struct declared *d, struct output *o)) {
    char path[400], name[256];
    struct report report = {0};
    struct sources s = {.root = -1, .suffix = suffix, .n_folders = 1, .report = &report};
    struct found found;
    struct output o;
    struct declared d;
    file_name(data, size, suffix, name);
    snprintf(s.folders[0], sizeof s.folders[0], "%s/in", work);
    snprintf(path, sizeof path, "%s/in/%s", work, name);
    auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    HOLDS(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    HOLDS(sources_find(&s, &found) == 0 && found.count == 1 && strcmp(found.files[0].name, name) == 0);
    int r = sources_read(&s, &found.files[0], &d);
    HOLDS(r == 0 || r == 1);
    if (r == 1) {
        char out[128];
        snprintf(out, sizeof out, "%s/out", work);
        HOLDS(output_init(&o, out) == 0);
        maker(&d, &o);
        unsigned n = check_folder(o.dir, true, maker == helper_make);
        HOLDS((n > 0) == (d.wrong == 0) && (d.wrong > 0) == (report.wrong > 0));
        output_done(&o);
        declared_done(&d);
    }
    found_done(&found);
    HOLDS(unlink(path) == 0);
}

static void remove_work(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/in", work);
    rmdir(path);
    snprintf(path, sizeof path, "%s/out", work);
    rmdir(path);
    rmdir(work);
}

static void make_work(void) {
    char path[128];
    /* In memory, where there is such a folder. */
    strcpy(work, access("/dev/shm", W_OK) == 0 ? "/dev/shm/forksrv-fuzz.XXXXXX" : "/tmp/forksrv-fuzz.XXXXXX");
    HOLDS(mkdtemp(work) != NULL);
    snprintf(path, sizeof path, "%s/in", work);
    HOLDS(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/out", work);
    HOLDS(mkdir(path, 0700) == 0);
    atexit(remove_work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (work[0] == 0)
        make_work();
    make(data, size, ".instance", instance_make);
    make(data, size, ".helper", helper_make);
    HOLDS(fchdir(before) == 0);
    close(before);
    return 0;
}
