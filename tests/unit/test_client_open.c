/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* forksrv_open and everything before a session is there: settings, the search for address and key, who made the listener, the
 * handshake with servers good and bad. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "client/forksrv.h"
#include "common/cleanup.h"
#include "tests/unit/fake.h"
#include "tests/unit/servers.h"
#include "tests/unit/unit.h"

static struct forksrv *s;
static struct fake fake;
static char folder[64];

static void setup(void) {
    unsetenv("FORKSRV_ADDRESS");
    unsetenv("FORKSRV_AUTHKEY_FILE");
    unsetenv("CREDENTIALS_DIRECTORY");
    unsetenv("LISTEN_PID");
    strcpy(folder, "/tmp/forksrv-keys.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    setenv("XDG_RUNTIME_DIR", folder, 1);
    ck_assert_int_eq(forksrv_new(&s), 0);
}

static const char *below(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void teardown(void) {
    forksrv_free(s);
    unlink(below("key"));
    unlink(below("forksrv.authkey"));
    unlink(below("credstore/forksrv.authkey"));
    rmdir(below("credstore"));
    ck_assert_int_eq(rmdir(folder), 0);
}

static void write_key(const char *name, size_t size, mode_t mode) {
    static const uint8_t zeros[64];
    auto_fd fd = open(below(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, size <= sizeof fake.key ? fake.key : zeros, size), (ssize_t)size);
    ck_assert_int_eq(fchmod(fd, mode), 0);
}

static void assert_error(int r, int expected, const char *text) {
    ck_assert_msg(r == expected, "%d (%s) instead of %d: %s", r, strerror(-r), expected, forksrv_error(s));
    ck_assert_msg(strstr(forksrv_error(s), text) != NULL, "the error does not say '%s': %s", text, forksrv_error(s));
}

static void open_and_ping(void) {
    int r = forksrv_open(s);
    ck_assert_msg(r == 0, "%s", forksrv_error(s));
    ck_assert_str_eq(forksrv_address(s), fake.address);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), 0);
    ck_assert_int_eq(forksrv_ping(s, FORKSRV_FOREVER), 0);
    ck_assert_int_eq(forksrv_open(s), -EISCONN);
    ck_assert_int_eq(forksrv_set_user(s, "x"), -EISCONN);
}

static void close_session(void) {
    forksrv_free(s);
    s = NULL;
    fake_stop(&fake);
}

START_TEST(opens_with_a_given_key) {
    fake_start(&fake, answer_hello);
    ck_assert_int_eq(forksrv_set_address(s, fake.address), 0);
    ck_assert_int_eq(forksrv_set_authkey(s, fake.key, sizeof fake.key), 0);
    ck_assert_int_eq(forksrv_set_lazy(s, _i), 0);
    open_and_ping();
    close_session();
}
END_TEST

/* Every place where a key is looked for, by environment. */
START_TEST(finds_the_key) {
    fake_start(&fake, answer_hello);
    setenv("FORKSRV_ADDRESS", fake.address, 1);
    switch (_i) {
    case 0:
        write_key("key", 32, 0600);
        ck_assert_int_eq(forksrv_set_authkey_file(s, below("key")), 0);
        break;
    case 1:
        write_key("key", 32, 0400);
        setenv("FORKSRV_AUTHKEY_FILE", below("key"), 1);
        break;
    case 2:
        /* As systemd's ACL shows. Only root can make such a file. */
        write_key("forksrv.authkey", 32, geteuid() == 0 ? 0440 : 0400);
        setenv("CREDENTIALS_DIRECTORY", folder, 1);
        break;
    default:
        ck_assert_int_eq(mkdir(below("credstore"), 0700), 0);
        write_key("credstore/forksrv.authkey", 32, 0600);
    }
    open_and_ping();
    close_session();
}
END_TEST

START_TEST(takes_the_key_that_systemd_passes) {
    fake_start(&fake, answer_hello);
    setenv("FORKSRV_ADDRESS", fake.address, 1);
    auto_fd fd = memfd_create("key", MFD_CLOEXEC);
    ck_assert_int_eq(write(fd, fake.key, 32), 32);
    /* At a number that nobody else has: as many empty names stand before it. */
    auto_fd passed = fcntl(fd, F_DUPFD_CLOEXEC, 30);
    ck_assert_int_ge(passed, 30);
    char pid[16], count[16], names[256];
    ck_assert_int_lt(passed, 200);
    memset(names, ':', (size_t)passed - 3);
    snprintf(names + passed - 3, sizeof names - (size_t)passed + 3, "forksrv.authkey");
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    snprintf(count, sizeof count, "%d", passed - 3 + 1);
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    open_and_ping();
    ck_assert_str_eq(getenv("LISTEN_FDS"), count);
    close_session();
}
END_TEST

START_TEST(refuses_a_bad_key_file) {
    static const struct {
        size_t size;
        mode_t mode;
        int error;
        const char *text;
    } cases[] = {
        {31, 0600, -EINVAL, "has 31 bytes, not 32"},
        {33, 0600, -EINVAL, "has 33 bytes"},
        {0, 0600, -EINVAL, "has 0 bytes"},
        {32, 0640, -EPERM, "mode 0640"},
        {32, 0604, -EPERM, "chmod 600"},
        {32, 0620, -EPERM, "mode 0620"},
    };
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    write_key("key", cases[_i].size, cases[_i].mode);
    forksrv_set_authkey_file(s, below("key"));
    assert_error(forksrv_open(s), cases[_i].error, cases[_i].text);
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), below("key")));
    close_session();
}
END_TEST

START_TEST(refuses_a_folder_and_a_foreign_key) {
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey_file(s, _i == 0 ? folder : below("key"));
    if (_i == 1) {
        write_key("key", 32, 0600);
        ck_assert_int_eq(chown(below("key"), 12345, 12345), 0);
    }
    if (_i == 0)
        assert_error(forksrv_open(s), -EINVAL, "not a regular file");
    else
        assert_error(forksrv_open(s), -EPERM, "uid 12345");
    close_session();
}
END_TEST

START_TEST(tells_where_it_looked) {
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    assert_error(forksrv_open(s), -ENOKEY, "$FORKSRV_AUTHKEY_FILE (not set)");
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "$CREDENTIALS_DIRECTORY (not set)"));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "OpenFile="));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), below("credstore/forksrv.authkey")));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "forksrv keygen"));
    close_session();
}
END_TEST

START_TEST(a_named_key_must_be_there) {
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    setenv("FORKSRV_AUTHKEY_FILE", below("nothing"), 1);
    assert_error(forksrv_open(s), -ENOKEY, "$FORKSRV_AUTHKEY_FILE names, does not exist");
    close_session();
}
END_TEST

START_TEST(a_wrong_key_is_rejected_and_can_be_replaced) {
    uint8_t wrong[32] = {0};
    fake_start(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, wrong, sizeof wrong);
    assert_error(forksrv_open(s), -EKEYREJECTED, "refuses our authkey");
    fake_stop(&fake);
    fake_start(&fake, answer_hello);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    open_and_ping();
    close_session();
}
END_TEST

START_TEST(no_instance) {
    ck_assert_str_eq(forksrv_address(s), "");
    ck_assert_int_eq(forksrv_fd(s), -1);
    ck_assert_int_eq(forksrv_ping(s, 0), -ENOTCONN);
    int r = forksrv_open(s);
    ck_assert_msg(r == -ENOENT || r == -ECONNREFUSED, "%d: %s", r, forksrv_error(s));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), below("forksrv/control")));
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), "/run/forksrv/"));
    forksrv_set_user(s, "nobody-of-this-name");
    assert_error(forksrv_open(s), -ENOENT, "/run/forksrv/nobody-of-this-name/control");
    forksrv_set_address(s, "/dev/null/x");
    assert_error(forksrv_open(s), -ENOENT, "/dev/null/x");
}
END_TEST

START_TEST(refuses_bad_settings) {
    char longer[200];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = 0;
    assert_error(forksrv_set_address(s, longer), -EINVAL, "107");
    assert_error(forksrv_set_address(s, ""), -EINVAL, "address");
    assert_error(forksrv_set_user(s, "../etc"), -EINVAL, "../etc");
    assert_error(forksrv_set_user(s, ".."), -EINVAL, "..");
    assert_error(forksrv_set_authkey(s, longer, 31), -EINVAL, "32");
    ck_assert_int_eq(forksrv_set_authkey(s, NULL, 0), 0);
    ck_assert_int_eq(forksrv_set_address(s, NULL), 0);
    setenv("FORKSRV_ADDRESS", longer, 1);
    assert_error(forksrv_open(s), -EINVAL, "longer");
}
END_TEST

START_TEST(false_servers) {
    static const struct {
        fake_script *script;
        int error;
        const char *text;
    } cases[] = {
        {says_failure, -EACCES, "takes no connection"},
        {says_http, -EPROTO, "does not speak"},
        {says_md5, -EPROTO, "MD5"},
        {says_nothing, -ETIMEDOUT, "in time"},
        {goes, -EPROTO, "closed the connection"},
        {welcomes_blindly, -EKEYREJECTED, "cannot prove"},
        {says_too_much, -EPROTO, "too long"},
    };
    fake_start_raw(&fake, cases[_i].script);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    forksrv_set_timeout(s, cases[_i].error == -ETIMEDOUT ? 50000 : FORKSRV_FOREVER);
    assert_error(forksrv_open(s), cases[_i].error, cases[_i].text);
    ck_assert_ptr_nonnull(strstr(forksrv_error(s), fake.address));
    close_session();
}
END_TEST

/* The listener is looked at before a byte is sent. */
START_TEST(refuses_a_foreign_listener) {
    if (geteuid() != 0)
        return;
    fake_start_as(&fake, wait_for_the_end, 12345);
    forksrv_set_address(s, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    assert_error(forksrv_open(s), -EPERM, "uid 12345");
    close_session();
}
END_TEST

static int try_connect(void) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(sa.sun_path, below("key"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : -errno;
}

/* A server that accepts nobody: its backlog is full, and no poll would tell when it is not. */
START_TEST(a_full_backlog) {
    auto_fd listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(sa.sun_path, below("key"));
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    int r;
    while ((r = try_connect()) == 0)
        ;
    ck_assert_int_eq(r, -EAGAIN);
    forksrv_set_address(s, below("key"));
    forksrv_set_timeout(s, _i == 0 ? 20000 : 0);
    assert_error(forksrv_open(s), -ETIMEDOUT, "cannot connect to");
    assert_error(forksrv_open_start(s), -EAGAIN, "too many connections");
    /* As soon as somebody is accepted there is room. */
    pid_t pid = fork();
    if (pid == 0) {
        int fd = accept(listener, NULL, NULL);
        _exit(fd < 0);
    }
    uint8_t key[32] = {0};
    forksrv_set_authkey(s, key, sizeof key);
    forksrv_set_timeout(s, 50000);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    assert_error(forksrv_open(s), -ETIMEDOUT, "did not answer in time");
}
END_TEST

START_TEST(no_permission) {
    if (geteuid() != 0)
        return;
    fake_start_raw(&fake, wait_for_the_end);
    forksrv_set_address(s, fake.address);
    ck_assert_int_eq(seteuid(12345), 0);
    int r = forksrv_open(s);
    ck_assert_int_eq(seteuid(0), 0);
    assert_error(r, -EACCES, fake.address);
    forksrv_set_authkey(s, fake.key, sizeof fake.key);
    forksrv_set_timeout(s, 0);
    assert_error(forksrv_open(s), -ETIMEDOUT, "in time");
    close_session();
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_open");
    TCase *tc = tcase_create("open");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, opens_with_a_given_key, 0, 2);
    tcase_add_loop_test(tc, finds_the_key, 0, 4);
    tcase_add_test(tc, takes_the_key_that_systemd_passes);
    tcase_add_loop_test(tc, refuses_a_bad_key_file, 0, 6);
    /* Only root can make a file of somebody else. */
    tcase_add_loop_test(tc, refuses_a_folder_and_a_foreign_key, 0, geteuid() == 0 ? 2 : 1);
    tcase_add_test(tc, tells_where_it_looked);
    tcase_add_test(tc, a_named_key_must_be_there);
    tcase_add_test(tc, a_wrong_key_is_rejected_and_can_be_replaced);
    tcase_add_test(tc, no_instance);
    tcase_add_test(tc, refuses_bad_settings);
    tcase_add_loop_test(tc, false_servers, 0, 7);
    tcase_add_test(tc, refuses_a_foreign_listener);
    tcase_add_loop_test(tc, a_full_backlog, 0, 2);
    tcase_add_test(tc, no_permission);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
