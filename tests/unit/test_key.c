/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's one page for the key: read into it from a file of exactly the right size, gone from every child. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/key.h"
#include "daemon/log.h"
#include "protocol/limits.h"
#include "tests/unit/unit.h"

static int file_of(size_t size) {
    uint8_t bytes[64];
    int fd = memfd_create("forksrv.authkey", MFD_CLOEXEC);
    memset(bytes, 0xa5, sizeof bytes);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, bytes, size), (ssize_t)size);
    return fd;
}

/* 0: all zeros; 1: none is. */
static int zeros_in_child(const struct key *key) {
    pid_t pid = fork();
    if (pid == 0) {
        unsigned zeros = 0;
        for (unsigned i = 0; i < LIMIT_AUTHKEY; i++)
            zeros += key_bytes(key)[i] == 0;
        _exit(zeros == LIMIT_AUTHKEY ? 0 : zeros == 0 ? 1 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(a_child_sees_zeros) {
    struct key key;
    ck_assert_int_eq(key_load(&key, file_of(LIMIT_AUTHKEY)), 0);
    ck_assert_int_eq(key_bytes(&key)[0], 0xa5);
    ck_assert_int_eq(key_bytes(&key)[LIMIT_AUTHKEY - 1], 0xa5);
    ck_assert_int_eq(zeros_in_child(&key), 0);
    /* The parent keeps it, and the next child sees as little. */
    ck_assert_int_eq(key_bytes(&key)[0], 0xa5);
    ck_assert_int_eq(zeros_in_child(&key), 0);
    /* The same look finds what is there. */
    ck_assert_int_eq(madvise(key.page, (size_t)sysconf(_SC_PAGESIZE), MADV_KEEPONFORK), 0);
    ck_assert_int_eq(zeros_in_child(&key), 1);
    key_done(&key);
    ck_assert_ptr_null(key.page);
    key_done(&key);
}
END_TEST

START_TEST(only_32_bytes_are_a_key) {
    static const size_t sizes[] = {0, 1, 31, 33, 64};
    struct key key;
    ck_assert_int_eq(key_load(&key, file_of(sizes[_i])), -EBADMSG);
    ck_assert_ptr_null(key.page);
}
END_TEST

START_TEST(without_a_file) {
    char folder[] = "/tmp/forksrv-key.XXXXXX";
    struct key key;
    unsetenv("CREDENTIALS_DIRECTORY");
    ck_assert_int_eq(key_load(&key, -1), -ENOKEY);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    ck_assert_int_eq(key_load(&key, -1), -ENOENT);
    ck_assert_int_eq(rmdir(folder), 0);
    int folder_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(key_load(&key, folder_fd), -EISDIR);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("key");
    TCase *tc = tcase_create("key");
    log_init(true);
    tcase_add_test(tc, a_child_sees_zeros);
    tcase_add_loop_test(tc, only_32_bytes_are_a_key, 0, 5);
    tcase_add_test(tc, without_a_file);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
