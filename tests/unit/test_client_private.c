/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How forksrv_open_private starts a daemon: with what, as what, and what is left when it fails. The daemon here is a shell script
 * that writes down what it finds. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "client/forksrv.h"
#include "common/cleanup.h"
#include "tests/unit/unit.h"

static struct forksrv *s;
static char folder[64], script[96], report[96], text[16384];

static void setup(void) {
    strcpy(folder, "/tmp/forksrv-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(script, sizeof script, "%s/daemon", folder);
    snprintf(report, sizeof report, "%s/report", folder);
    setenv("XDG_RUNTIME_DIR", folder, 1);
    setenv("SECRET_OF_THE_PROGRAM", "1", 1);
    unsetenv("FORKSRV_DAEMON");
    ck_assert_int_eq(forksrv_new(&s), 0);
}

/* Nothing but our own files is left below the folder: rmdir says so. */
static void teardown(void) {
    forksrv_free(s);
    unlink(script);
    unlink(report);
    ck_assert_int_eq(rmdir(folder), 0);
}

static void write_script(const char *first, mode_t mode) {
    auto_file f = fopen(script, "we");
    ck_assert_ptr_nonnull(f);
    /* No program looks at the mask of signals: a shell blocks all of them for a moment while it starts one. */
    fprintf(f,
            "%s\n"
            "{ echo \"arguments $*\"; env; echo \"pid $$\"; cat /proc/$$/stat\n"
            "while read -r line; do case $line in Sig*) echo \"$line\" ;; esac; done </proc/$$/status\n"
            "ls -l /proc/$$/fd\n"
            "echo key $(wc -c <&4); } >%s.new && mv %s.new %s\n",
            first, report, report, report);
    ck_assert_int_eq(fchmod(fileno(f), mode), 0);
}

static void read_report(void) {
    auto_fd fd = open(report, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t n = read(fd, text, sizeof text - 1);
    ck_assert_int_gt(n, 0);
    text[n] = 0;
}

static void has(const char *what) {
    ck_assert_msg(strstr(text, what) != NULL, "'%s' is not in: %s", what, text);
}

static void has_not(const char *what) {
    ck_assert_msg(strstr(text, what) == NULL, "'%s' is in: %s", what, text);
}

static void assert_no_children(void) {
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    ck_assert_int_eq(errno, ECHILD);
}

START_TEST(what_the_daemon_gets) {
    write_script("#!/bin/sh", 0700);
    signal(SIGUSR1, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int inherited = dup2(open("/dev/zero", O_RDONLY), 6);
    ck_assert_int_eq(inherited, 6);
    ck_assert_int_eq(forksrv_set_daemon(s, script), 0);
    /* It ends without a word to us. */
    ck_assert_int_eq(forksrv_open_private(s), -EPROTO);
    assert_no_children();
    read_report();
    has("arguments --private\n");
    has("LISTEN_FDS=3\n");
    has("LISTEN_FDNAMES=control:forksrv.authkey:forksrv.alive\n");
    has("XDG_RUNTIME_DIR=");
    has_not("SECRET_OF_THE_PROGRAM");
    int pid = atoi(strstr(text, "\npid ") + 5);
    char line[64];
    snprintf(line, sizeof line, "LISTEN_PID=%d\n", pid);
    has(line);
    has(" 0 -> /dev/null\n");
    has(" 3 -> socket:");
    has(" 4 -> /memfd:forksrv.authkey");
    has(" 5 -> pipe:");
    has_not(" 6 -> ");
    has("key 32\n");
    has("SigBlk:\t0000000000000000");
    /* 32 and 33 are libc's own: it lets nobody set them. */
    ck_assert_uint_eq(strtoull(strstr(text, "SigIgn:") + 7, NULL, 16) & ~(3ull << 31), 0);
    ck_assert_int_ne(pid, 0);
}
END_TEST

START_TEST(a_daemon_that_cannot_be_started) {
    static const struct {
        const char *first;
        mode_t mode;
        int error;
    } cases[] = {{NULL, 0, -ENOENT}, {"#!/bin/sh", 0600, -EACCES}, {"#!/no/such/shell", 0700, -ENOENT}};
    if (cases[_i].first != NULL)
        write_script(cases[_i].first, cases[_i].mode);
    setenv("FORKSRV_DAEMON", script, 1);
    int r = forksrv_open_private(s);
    ck_assert_msg(r == cases[_i].error, "%d: %s", r, forksrv_error(s));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), script));
    ck_assert_int_eq(forksrv_fd(s), -1);
    ck_assert_str_eq(forksrv_address(s), "");
    assert_no_children();
}
END_TEST

START_TEST(a_daemon_that_says_nothing) {
    auto_file f = fopen(script, "we");
    /* It ends when its lifeline is closed: the script then is through with reading it. */
    fprintf(f, "#!/bin/sh\ncat <&5\n");
    fchmod(fileno(f), 0700);
    fclose(steal_ptr(f));
    forksrv_set_daemon(s, script);
    forksrv_set_timeout(s, 50000);
    ck_assert_int_eq(forksrv_open_private(s), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "private did not answer in time"));
    assert_no_children();
}
END_TEST

START_TEST(a_runtime_folder_that_is_none) {
    write_script("#!/bin/sh", 0700);
    forksrv_set_daemon(s, script);
    char longer[200];
    memset(longer, 'a', sizeof longer);
    longer[0] = '/';
    longer[sizeof longer - 1] = 0;
    setenv("XDG_RUNTIME_DIR", _i == 0 ? "/no/such/folder" : longer, 1);
    ck_assert_int_eq(forksrv_open_private(s), -EPROTO);
    read_report();
    has(" 3 -> socket:");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_private");
    TCase *tc = tcase_create("private");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_the_daemon_gets);
    tcase_add_loop_test(tc, a_daemon_that_cannot_be_started, 0, 3);
    tcase_add_test(tc, a_daemon_that_says_nothing);
    tcase_add_loop_test(tc, a_runtime_folder_that_is_none, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
