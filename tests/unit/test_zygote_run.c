/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A zygote of the library from its start to its end, in a process of its own; the test is its server. What a worker can see of
 * itself is tests/live/zygote-spec.tap's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/unit/raw.h"
#include "tests/unit/unit.h"
#include "zygote/zygote.h"

enum { RESULT = 9, NOT_READY = 70, NO_ZYGOTE = 71, BROKEN = 72, IN_WORK = 8 };

static int server;
static pid_t zygote;

/* Otherwise what a child has run is not in the report. */
void __wrap__exit(int code) __attribute__((noreturn));
void __real__exit(int code) __attribute__((noreturn));
void __wrap__exit(int code) {
#ifdef FORKSRV_COVERAGE
    extern void __gcov_dump(void);
    __gcov_dump();
#endif
    __real__exit(code);
}

/* Its arguments are written where the test reads, each with its NUL, and the first one is its exit code; or whether SIGUSR1 alone
 * is blocked. */
static int work(int argc, char **argv, void *data) {
    if (strcmp(argv[0], "mask") == 0) {
        uint64_t mask = 0;
        (void)syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, sizeof mask);
        return mask == UINT64_C(1) << (SIGUSR1 - 1) ? 42 : 41;
    }
    for (int i = 0; i < argc; i++)
        if (write(RESULT, argv[i], strlen(argv[i]) + 1) < 0)
            return 99;
    return data == &server ? atoi(argv[0]) : 98;
}

static void __attribute__((noreturn)) be_zygote(int sock, void (*prepare)(struct forksrv_zygote *z)) {
    struct forksrv_zygote *z;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(server);
    if (sock != ZYGOTE_SOCKET) {
        dup2(sock, ZYGOTE_SOCKET);
        close(sock);
    }
    if (forksrv_zygote_new(&z) < 0)
        _exit(NO_ZYGOTE);
    if (prepare != NULL)
        prepare(z);
    if (forksrv_zygote_ready(z, "test 1.0") < 0) {
        forksrv_zygote_free(z);
        _exit(NOT_READY);
    }
    int r = forksrv_zygote_run(z, work, &server);
    _exit(r == 0 ? 0 : r == -EBADMSG ? BROKEN : 1);
}

static void start(const char *spares, void (*prepare)(struct forksrv_zygote *z)) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    server = ends[0];
    setenv("FORKSRV_ZYGOTE_NAME", "unit", 1);
    setenv("FORKSRV_ZYGOTE_MODULE", "the module", 1);
    setenv("FORKSRV_ZYGOTE_PRELOAD", "one\ntwo words\nthree", 1);
    setenv("FORKSRV_ZYGOTE_SPARES", spares, 1);
    zygote = fork();
    ck_assert_int_ge(zygote, 0);
    if (zygote == 0)
        be_zygote(ends[1], prepare);
    close(ends[1]);
}

static void hang_up(void) {
    close(server);
    server = -1;
}

static void ends_with(int code) {
    int status;
    ck_assert_int_eq(waitpid(zygote, &status, 0), zygote);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code, "status %#x", (unsigned)status);
}

/* ---- the server's side ---- */

static uint8_t bytes[8192];
static struct fd_queue fds;

static struct message next(void) {
    struct pollfd p = {.fd = server, .events = POLLIN};
    struct message m;
    fd_queue_init(&fds);
    ck_assert_int_eq(poll(&p, 1, -1), 1);
    ssize_t n = fds_receive(server, bytes, sizeof bytes, &fds);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(message_read(bytes, (size_t)n, FROM_ZYGOTE, STATE_READY, &m), 0);
    ck_assert_uint_eq(fds.count, message_fds(&m));
    fd_queue_done(&fds);
    return m;
}

static struct message expect(enum message_type type) {
    struct message m = next();
    ck_assert_msg(m.type == type, "%#x: %s", (unsigned)m.type, message_has(&m, ATTR_TEXT) ? message_str(&m, ATTR_TEXT) : "");
    return m;
}

static void ready(void) {
    struct message m = expect(MSG_READY);
    ck_assert_uint_eq(message_u32(&m, ATTR_VERSION, 0), 1);
    ck_assert_str_eq(message_str(&m, ATTR_SOFTWARE), "test 1.0");
}

static void expect_end(uint32_t pid, uint32_t kind, uint32_t value) {
    struct message m = expect(MSG_ENDED);
    const uint8_t *end = m.attributes[ATTR_END].data;
    if (pid != 0)
        ck_assert_uint_eq(message_u32(&m, ATTR_PID, 0), pid);
    ck_assert_uint_eq(wire_get_u32(end), kind);
    ck_assert_uint_eq(wire_get_u32(end + 4), value);
    ck_assert_uint_eq(m.attributes[ATTR_RUSAGE].size, 8 * RUSAGE_FIELDS);
}

static void send_raw(struct raw *raw, const int *with, unsigned n) {
    ck_assert_int_eq(fds_send(server, raw->data, raw->size, with, n), (ssize_t)raw->size);
    raw_done(raw);
}

static void put_u32(struct raw *raw, unsigned number, uint32_t v) {
    const uint8_t p[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    raw_attribute(raw, number, p, 4);
}

/* A FORK whose first fd becomes RESULT. */
static struct raw fork_message(uint32_t serial, unsigned n_fds, const char *argv, size_t size) {
    static const uint8_t map[] = {0, 0, 0, 0, 0, 0, 0, RESULT};
    struct raw raw = raw_message(0x0301, n_fds, serial);
    raw_attribute(&raw, 0x11, argv, size);
    raw_attribute(&raw, 0x14, map, sizeof map);
    return raw;
}

/* What comes until the other ends are closed. */
static size_t read_all(int fd, char *ret, size_t size) {
    size_t n = 0;
    ssize_t k;
    while ((k = read(fd, ret + n, size - n)) > 0)
        n += (size_t)k;
    ck_assert_int_eq(k, 0);
    close(fd);
    return n;
}

static void ask(uint32_t serial, const char *argv, size_t size, int *ret_result) {
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    struct raw raw = fork_message(serial, 1, argv, size);
    send_raw(&raw, &ends[1], 1);
    close(ends[1]);
    *ret_result = ends[0];
}

/* ---- a life ---- */

static void check_names(struct forksrv_zygote *z) {
    if (strcmp(forksrv_zygote_name(z), "unit") != 0 || strcmp(forksrv_zygote_module(z), "the module") != 0 ||
        strcmp(forksrv_zygote_preload(z, 1), "two words") != 0 || strcmp(forksrv_zygote_preload(z, 2), "three") != 0 ||
        forksrv_zygote_preload(z, 3) != NULL || getenv("FORKSRV_ZYGOTE_NAME") != NULL ||
        getenv("FORKSRV_ZYGOTE_SPARES") != NULL || fcntl(ZYGOTE_SOCKET, F_GETFD) != FD_CLOEXEC)
        _exit(77);
}

START_TEST(workers_and_their_ends) {
    char text[64];
    int result;
    start("0", check_names);
    ready();
    for (uint32_t i = 1; i <= 3; i++) {
        ask(i, "7\0two\0", 7, &result);
        struct message m = expect(MSG_FORKED);
        uint32_t pid = message_u32(&m, ATTR_PID, 0);
        ck_assert_uint_eq(m.serial, i);
        ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 7), 0);
        ck_assert_uint_eq(message_fds(&m), 1);
        ck_assert_uint_eq(read_all(result, text, sizeof text), 7);
        ck_assert_mem_eq(text, "7\0two\0", 7);
        expect_end(pid, END_EXITED, 7);
    }
    hang_up();
    ends_with(0);
}
END_TEST

/* So long that the memory in which it came is gone for good once it is given back. */
START_TEST(a_large_request) {
    enum { SIZE = 1 << 20 };
    /* First: what is freed here later has malloc keep more for itself, there too. */
    start("0", NULL);
    ready();
    char *argv = calloc(1, SIZE);
    ck_assert_ptr_nonnull(argv);
    memset(argv, 'x', SIZE - 1);
    memcpy(argv, "mask", 5);
    struct raw whole = raw_message(0x0301, 0, 1), raw = raw_message(0x0301, 1, 1);
    raw_attribute(&whole, 0x11, argv, SIZE);
    const uint8_t blocked[] = {0, 0, 0, 0, 0, 0, 1 << (SIGUSR1 - 1) >> 8, (uint8_t)(1 << (SIGUSR1 - 1))};
    raw_attribute(&whole, 0x1a, blocked, sizeof blocked);
    int file = memfd_create("large", MFD_CLOEXEC);
    ck_assert_int_eq(write(file, whole.data, whole.size), (ssize_t)whole.size);
    put_u32(&raw, 0x2e, 0);
    send_raw(&raw, &file, 1);
    expect(MSG_FORKED);
    expect_end(0, END_EXITED, 42);
    hang_up();
    ends_with(0);
    close(file);
    raw_done(&whole);
    free(argv);
}
END_TEST

/* Another one is forked as soon as one is taken, so that is told before FORKED, after it or after the end. */
static void one_of_spares(uint32_t serial) {
    char text[64];
    int result;
    bool refilled = false, forked = false, ended = false;
    ask(serial, "0", 2, &result);
    while (!refilled || !ended) {
        struct message m = next();
        if (m.type == MSG_SPARES) {
            ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 0), 2);
            ck_assert_uint_eq(message_u64(&m, ATTR_VALUE, 0), serial);
            refilled = true;
        } else if (m.type == MSG_FORKED) {
            ck_assert_uint_eq(m.serial, serial);
            ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 0), 1);
            forked = true;
        } else {
            ck_assert_uint_eq(m.type, MSG_ENDED);
            ck_assert(forked);
            ended = true;
        }
    }
    ck_assert_uint_eq(read_all(result, text, sizeof text), 2);
}

START_TEST(spares) {
    start("2", NULL);
    ready();
    struct message m = expect(MSG_SPARES);
    ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 0), 2);
    ck_assert_uint_eq(message_u64(&m, ATTR_VALUE, 7), 0);
    for (uint32_t i = 1; i <= 5; i++)
        one_of_spares(i);
    hang_up();
    ends_with(0);
}
END_TEST

/* ---- what makes it end ---- */

START_TEST(a_server_that_breaks_the_protocol) {
    static const char *const broken[] = {"0301 0000 000000", "0002 0000 00000001", "0301 0001 00000001", "0301 0000 00000001 00"};
    uint8_t p[32];
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        start("0", NULL);
        ready();
        struct raw raw = {0};
        raw_put(&raw, p, unhex(broken[i], p, sizeof p));
        send_raw(&raw, NULL, 0);
        ends_with(BROKEN);
        hang_up();
    }
}
END_TEST

/* A request that was sent and given up, with its worker already on the way: it must not begin. */
START_TEST(a_server_that_goes_before_it_is_told) {
    char text[70000];
    int result[2], door[2];
    start("0", NULL);
    ready();
    ck_assert_int_eq(pipe2(result, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(door, O_CLOEXEC | O_NONBLOCK), 0);
    /* The worker waits where it would enter its cgroup: in a pipe that is full. */
    size_t filled = 0;
    ssize_t n;
    memset(text, 'x', sizeof text);
    while ((n = write(door[1], text, 4096)) > 0)
        filled += (size_t)n;
    ck_assert_int_eq(fcntl(door[1], F_SETFL, O_WRONLY), 0);
    struct raw raw = fork_message(1, 2, "0", 2);
    put_u32(&raw, 0x2f, 1);
    const int with[] = {result[1], door[1]};
    send_raw(&raw, with, 2);
    close(result[1]);
    close(door[1]);
    /* The zygote itself reads the end and leaves. */
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    ends_with(0);
    hang_up();
    while (filled > 0 && (n = read(door[0], text, 4096)) > 0)
        filled -= (size_t)n;
    ck_assert_uint_eq(filled, 0);
    ck_assert_uint_eq(read_all(result[0], text, sizeof text), 0);
    close(door[0]);
}
END_TEST

static void trouble_twice(struct forksrv_zygote *z) {
    int first = forksrv_zygote_trouble(z, "Preload=a: no"), second = forksrv_zygote_trouble(z, "Preload=b: no");
    if (first != second)
        _exit(78);
    if (first < 0) {
        forksrv_zygote_free(z);
        _exit(NOT_READY);
    }
}

START_TEST(trouble) {
    setenv("FORKSRV_ZYGOTE_ON_PRELOAD_ERROR", "warn", 1);
    start("0", trouble_twice);
    struct message m = expect(MSG_READY);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "Preload=a: no; Preload=b: no");
    hang_up();
    ends_with(0);
    setenv("FORKSRV_ZYGOTE_ON_PRELOAD_ERROR", "fail", 1);
    start("0", trouble_twice);
    m = expect(MSG_UNREADY);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "Preload=a: no");
    ck_assert_uint_eq(message_u32(&m, ATTR_ERRNO, 0), EIO);
    ends_with(NOT_READY);
    hang_up();
}
END_TEST

static void fails(struct forksrv_zygote *z) {
    if (forksrv_zygote_fail(z, "no") != -ECANCELED)
        _exit(78);
    forksrv_zygote_free(z);
    _exit(NOT_READY);
}

static void leaves_a_child(struct forksrv_zygote *z) {
    siginfo_t info;
    (void)z;
    if (fork() == 0)
        _exit(0);
    waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
}

START_TEST(not_ready) {
    setenv("FORKSRV_ZYGOTE_ON_PRELOAD_ERROR", "warn", 1);
    start("0", fails);
    struct message m = expect(MSG_UNREADY);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "no");
    ends_with(NOT_READY);
    hang_up();
    unsetenv("FORKSRV_ZYGOTE_ON_PRELOAD_ERROR");
    start("0", leaves_a_child);
    m = expect(MSG_UNREADY);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "a child process was left behind");
    ends_with(NOT_READY);
    hang_up();
}
END_TEST

START_TEST(not_started_by_the_server) {
    struct forksrv_zygote *z = NULL;
    int ends[2], before = dup(ZYGOTE_SOCKET);
    ck_assert_int_eq(forksrv_zygote_new(&z), -ENOTCONN);
    setenv("FORKSRV_ZYGOTE_NAME", "x", 1);
    close(ZYGOTE_SOCKET);
    ck_assert_int_eq(forksrv_zygote_new(&z), -ENOTCONN);
    ck_assert_int_eq(dup2(open("/dev/null", O_RDWR | O_CLOEXEC), ZYGOTE_SOCKET), ZYGOTE_SOCKET);
    ck_assert_int_eq(forksrv_zygote_new(&z), -ENOTCONN);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    dup2(ends[0], ZYGOTE_SOCKET);
    ck_assert_int_eq(forksrv_zygote_new(&z), -ENOTCONN);
    /* It is left as it was. */
    ck_assert_ptr_null(z);
    ck_assert_str_eq(getenv("FORKSRV_ZYGOTE_NAME"), "x");
    forksrv_zygote_free(NULL);
    dup2(before, ZYGOTE_SOCKET);
    close(before);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

/* ---- what a child refuses: each costs that request alone ---- */

static const struct {
    const char *what, *attributes; /* behind ARGV, as hexadecimal */
    uint32_t stage, error;
    const char *text;
} refused[] = {
    {"LARGE of no file", "002e 0000 00000004 00000001", STAGE_REQUEST, EBADMSG, "request: Bad message"},
    {"LARGE of the wrong file", "002e 0000 00000004 00000000", STAGE_REQUEST, EBADMSG, "request: Bad message"},
    {"KIND: derived", "002d 0000 00000004 00000001", STAGE_ZYGOTE, ENOTSUP,
     "zygote: this zygote forks programs only: Operation not supported"},
    {"KIND: of the future", "002d 0000 00000004 ffffffff", STAGE_ZYGOTE, ENOTSUP,
     "zygote: this zygote forks programs only: Operation not supported"},
    {"CGROUP of no file", "002f 0000 00000004 00000001", STAGE_CGROUP, EBADMSG, "cgroup: Bad message"},
    {"FDMAP of no file", "0014 0000 00000008 00000001 00000005", STAGE_REQUEST, EINVAL,
     "request: FDMAP names a file descriptor that was not sent: Invalid argument"},
    {"FDMAP to 1024", "0014 0000 00000008 00000000 00000400", STAGE_REQUEST, EINVAL,
     "request: FDMAP names a target over 1023: Invalid argument"},
    {"FDMAP to -1", "0014 0000 00000008 00000000 ffffffff", STAGE_REQUEST, EINVAL,
     "request: FDMAP names a target over 1023: Invalid argument"},
    {"FDMAP twice", "0014 0000 00000010 00000000 00000005 00000000 00000005", STAGE_REQUEST, EINVAL,
     "request: FDMAP names a target twice: Invalid argument"},
    {"CWD that is none", "0013 0000 0000000c 2f6e6f776865726578797a00", STAGE_CWD, ENOENT,
     "cwd: /nowherexyz: No such file or directory"},
    {"RLIMITS of nothing", "0016 0000 00000018 00000010 00000000 0000000000000000 0000000000000000", STAGE_REQUEST, EINVAL,
     "request: RLIMITS names an unknown resource: Invalid argument"},
    {"RLIMITS: soft above hard", "0016 0000 00000018 00000004 00000000 0000000000000001 0000000000000000", STAGE_RLIMIT, EINVAL,
     "rlimit: Invalid argument"},
};
enum { REFUSED = sizeof refused / sizeof refused[0] };

START_TEST(a_refusal) {
    uint8_t p[128];
    start(_i % 2 ? "1" : "0", NULL);
    ready();
    if (_i % 2)
        expect(MSG_SPARES);
    struct raw raw = raw_message(0x0301, 1, 7);
    raw_attribute(&raw, 0x11, "0", 2);
    raw_put(&raw, p, unhex(refused[_i].attributes, p, sizeof p));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    send_raw(&raw, &null, 1);
    close(null);
    struct message m = next();
    while (m.type == MSG_SPARES)
        m = next();
    ck_assert_uint_eq(m.type, MSG_UNFORKED);
    ck_assert_uint_eq(m.serial, 7);
    ck_assert_msg(message_u32(&m, ATTR_STAGE, 0) == refused[_i].stage, "%s: %s", refused[_i].what, message_str(&m, ATTR_TEXT));
    ck_assert_uint_eq(message_u32(&m, ATTR_ERRNO, 0), refused[_i].error);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), refused[_i].text);
    m = next();
    while (m.type == MSG_SPARES)
        m = next();
    ck_assert_uint_eq(m.type, MSG_ENDED);
    hang_up();
    ends_with(0);
}
END_TEST

START_TEST(no_arguments) {
    start("0", NULL);
    ready();
    struct raw raw = raw_message(0x0301, 0, 1);
    send_raw(&raw, NULL, 0);
    struct message m = expect(MSG_UNFORKED);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "request: no ARGV: Invalid argument");
    expect_end(0, END_EXITED, 127);
    hang_up();
    ends_with(0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("zygote_run");
    TCase *tc = tcase_create("zygote_run");
    tcase_add_test(tc, workers_and_their_ends);
    tcase_add_test(tc, a_large_request);
    tcase_add_test(tc, spares);
    tcase_add_test(tc, a_server_that_breaks_the_protocol);
    tcase_add_test(tc, a_server_that_goes_before_it_is_told);
    tcase_add_test(tc, trouble);
    tcase_add_test(tc, not_ready);
    tcase_add_test(tc, not_started_by_the_server);
    tcase_add_loop_test(tc, a_refusal, 0, REFUSED);
    tcase_add_test(tc, no_arguments);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
