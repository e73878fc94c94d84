/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Declarations of zygotes as files of a test, and what is logged of them. */
#include "tests/unit/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/log.h"
#include "tests/unit/unit.h"

static char folder[64];
static int said_fd;

void files_set_up(void) {
    strcpy(folder, "/tmp/forksrv-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(setenv("XDG_CONFIG_HOME", folder, 1), 0);
    said_fd = memfd_create("said", MFD_CLOEXEC);
    ck_assert_int_ge(said_fd, 0);
    unsetenv("JOURNAL_STREAM");
    log_init(false);
}

void files_tear_down(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(system(command), 0);
}

const char *said(void) {
    static char text[8192];
    ssize_t n = pread(said_fd, text, sizeof text - 1, 0);
    ck_assert_int_ge(n, 0);
    text[n] = 0;
    ck_assert_int_eq(ftruncate(said_fd, 0), 0);
    ck_assert_int_eq(lseek(said_fd, 0, SEEK_SET), 0);
    return text;
}

static void make_folders(const char *path) {
    char part[256];
    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(p - path), path);
        ck_assert(mkdir(part, 0700) == 0 || errno == EEXIST);
    }
}

void write_file(const char *path, const char *text) {
    make_folders(path);
    auto_file f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
}

int begin_listening(void) {
    int before = dup(STDERR_FILENO);
    ck_assert_int_ge(dup2(said_fd, STDERR_FILENO), 0);
    return before;
}

void end_listening(int before) {
    ck_assert_int_ge(dup2(before, STDERR_FILENO), 0);
    close(before);
}

unsigned read_text(struct declaration *d, const char *text) {
    write_file("z.conf", text);
    int before = begin_listening();
    unsigned wrong = declaration_read_file(d, "z.conf", NULL);
    end_listening(before);
    return wrong;
}

bool read_named(const char *name, bool own_files, struct declaration *ret, unsigned *ret_wrong) {
    int before = begin_listening();
    bool found = declaration_read(name, own_files, ret, ret_wrong);
    end_listening(before);
    return found;
}

const char *flat(const struct words *w) {
    static char text[1024];
    size_t n = 0, count = 0;
    for (const char *p = w->data; p != NULL && p < w->data + w->size; p += strlen(p) + 1, count++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s|", p);
    text[n] = 0;
    ck_assert_uint_eq(count, w->count);
    return text;
}
