/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two ends of a zygote's socket, each by itself: what hear.c takes for a request and what not, byte by byte, and what speak.c
 * says. Its processes are test_zygote_run.c's. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/raw.h"
#include "tests/unit/unit.h"
#include "zygote/zygote.h"

static int server, sock;

static void set_up(void) {
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    server = ends[0];
    sock = ends[1];
}

static void tear_down(void) {
    close(server);
    close(sock);
}

static int count_fds(void) {
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* n copies of one fd go with it. */
static void send_raw(struct raw *raw, unsigned n) {
    int fds[LIMIT_FDS];
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < n; i++)
        fds[i] = null;
    ck_assert_int_eq(fds_send(server, raw->data, raw->size, fds, n), (ssize_t)raw->size);
    raw_done(raw);
    close(null);
}

/* ---- hear ---- */

START_TEST(a_request) {
    struct work w;
    int fds = count_fds();
    struct raw raw = raw_message(0x0301, 253, 7);
    raw_attribute(&raw, 0x11, "a\0b", 4);
    raw_attribute(&raw, 0x8013, "/", 2);
    raw_attribute(&raw, 0x37, "optional", 8);
    raw_attribute(&raw, 0x7fff, "optional", 8);
    send_raw(&raw, 253);
    ck_assert_int_eq(hear(sock, false, &w), 1);
    ck_assert_uint_eq(w.message.serial, 7);
    ck_assert_uint_eq(w.fds.count, 253);
    ck_assert(!w.message.unsupported);
    ck_assert_uint_eq(message_strs_count(&w.message, ATTR_ARGV), 2);
    ck_assert_str_eq(message_str(&w.message, ATTR_CWD), "/");
    ck_assert_int_eq(fcntl(w.fds.fds[252], F_GETFD), FD_CLOEXEC);
    work_done(&w);
    ck_assert_int_eq(count_fds(), fds);
    /* A required attribute is the server's business: it has refused it already. */
    raw = raw_message(0x0301, 0, 8);
    raw_attribute(&raw, 0x8037, "required", 8);
    send_raw(&raw, 0);
    ck_assert_int_eq(hear(sock, true, &w), 1);
    ck_assert(w.message.unsupported);
    work_done(&w);
}
END_TEST

/* As hexadecimal, with how many fds. */
static const struct {
    const char *what, *bytes;
    unsigned fds;
} wrong[] = {
    {"half a header", "0301 0000 000000", 0},
    {"a type of the future", "0302 0000 00000001", 0},
    {"a client's message", "0002 0000 00000001", 0},
    {"a server's message to a client", "0109 0000 00000001", 0},
    {"what a zygote says", "0201 0000 00000001", 0},
    {"an unknown flag", "0301 0100 00000001", 0},
    {"more fds than there can be", "0301 00fe 00000001", 0},
    {"fds that do not come", "0301 0002 00000001", 0},
    {"one fd less", "0301 0002 00000001", 1},
    {"one fd more", "0301 0002 00000001", 3},
    {"fds that nobody announced", "0301 0000 00000001", 253},
    {"half an attribute's header", "0301 0000 00000001 0011 0000", 0},
    {"a value that is cut", "0301 0000 00000001 0011 0000 00000008 61626300", 0},
    {"a value without its padding", "0301 0000 00000001 0011 0000 00000002 6100", 0},
    {"a value of 4 GiB", "0301 0000 00000001 0011 0000 ffffffff 61626300", 0},
    {"padding that is none", "0301 0000 00000001 0011 0000 00000002 61000001", 0},
    {"a word that is not zero", "0301 0000 00000001 0011 0001 00000002 61000000", 0},
    {"arguments without an end", "0301 0000 00000001 0011 0000 00000004 61626364", 0},
    {"the same twice", "0301 0000 00000001 0011 0000 00000002 61000000 0011 0000 00000002 61000000", 0},
    {"an attribute that belongs elsewhere", "0301 0000 00000001 0022 0000 00000004 00000009", 0},
    {"a number that is too short", "0301 0000 00000001 0015 0000 00000002 00120000", 0},
    {"half a pair", "0301 0000 00000001 0014 0000 00000004 00000000", 0},
};
enum { WRONG = sizeof wrong / sizeof wrong[0] };

START_TEST(no_request) {
    struct work w, before;
    uint8_t bytes[128];
    int fds = count_fds();
    struct raw raw = {0};
    memset(&w, 0x5c, sizeof w);
    before = w;
    raw_put(&raw, bytes, unhex(wrong[_i].bytes, bytes, sizeof bytes));
    send_raw(&raw, wrong[_i].fds);
    ck_assert_msg(hear(sock, false, &w) == -EBADMSG, "%s", wrong[_i].what);
    ck_assert_mem_eq(&w, &before, sizeof w);
    ck_assert_int_eq(count_fds(), fds);
    /* The next one is read as if nothing had been. */
    raw = raw_message(0x0301, 0, 2);
    send_raw(&raw, 0);
    ck_assert_int_eq(hear(sock, false, &w), 1);
    work_done(&w);
}
END_TEST

START_TEST(the_longest_request) {
    struct work w;
    size_t most = LIMIT_DATAGRAM + 1024;
    uint8_t *value = calloc(1, most);
    ck_assert_ptr_nonnull(value);
    struct raw raw = raw_message(0x0301, 0, 1);
    raw_attribute(&raw, 0x11, value, most - 16);
    ck_assert_uint_eq(raw.size, most);
    send_raw(&raw, 0);
    ck_assert_int_eq(hear(sock, false, &w), 1);
    ck_assert_uint_eq(w.size, most);
    work_done(&w);
    /* What is lost begins exactly where an attribute would. */
    raw = raw_message(0x0301, 1, 1);
    raw_attribute(&raw, 0x11, value, most - 16);
    raw_attribute(&raw, 0x13, "/", 2);
    int fds = count_fds();
    send_raw(&raw, 1);
    ck_assert_int_eq(hear(sock, false, &w), -EMSGSIZE);
    ck_assert_int_eq(count_fds(), fds);
    free(value);
}
END_TEST

START_TEST(the_end) {
    struct work w;
    ck_assert_int_eq(hear(sock, false, &w), -EAGAIN);
    ck_assert_int_eq(shutdown(server, SHUT_WR), 0);
    ck_assert_int_eq(hear(sock, false, &w), 0);
    ck_assert_int_eq(hear(sock, true, &w), 0);
    ck_assert_int_eq(hear(-1, true, &w), -EBADF);
}
END_TEST

/* With an answer that was not read, the end is a reset. */
START_TEST(the_end_by_reset) {
    struct work w;
    ck_assert_int_eq(send(sock, "x", 1, 0), 1);
    close(server);
    server = -1;
    ck_assert_int_eq(hear(sock, true, &w), 0);
}
END_TEST

static void *send_later(void *data) {
    struct raw raw = raw_message(0x0301, 0, 9);
    /* Either order of the two is right; most often the other one waits by now. */
    sched_yield();
    send_raw(&raw, 0);
    return data;
}

START_TEST(waiting) {
    struct work w;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, send_later, NULL), 0);
    ck_assert_int_eq(hear(sock, true, &w), 1);
    ck_assert_uint_eq(w.message.serial, 9);
    work_done(&w);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* ---- the rest of a large one ---- */

static int file_of(const void *p, size_t n, off_t size) {
    int fd = memfd_create("large", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, p, n), (ssize_t)n);
    ck_assert_int_eq(ftruncate(fd, size), 0);
    return fd;
}

/* A request whose LARGE names fd 1 + more. */
static void hear_one(int file, uint32_t more, struct work *ret) {
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int fds[] = {null, file};
    struct raw raw = raw_message(0x0301, 2, 7);
    const uint8_t index[] = {0, 0, 0, (uint8_t)(1 + more)};
    raw_attribute(&raw, 0x2e, index, 4);
    ck_assert_int_eq(fds_send(server, raw.data, raw.size, fds, 2), (ssize_t)raw.size);
    raw_done(&raw);
    close(null);
    close(file);
    ck_assert_int_eq(hear(sock, false, ret), 1);
}

START_TEST(a_large_request) {
    struct work w;
    size_t size = 1000000;
    char *value = calloc(1, size);
    ck_assert_ptr_nonnull(value);
    memset(value, 'x', size - 1);
    struct raw raw = raw_message(0x0301, 1, 7);
    raw_attribute(&raw, 0x11, value, size);
    hear_one(file_of(raw.data, raw.size, (off_t)raw.size), 0, &w);
    ck_assert_int_eq(hear_large(&w), 0);
    ck_assert_str_eq((const char *)w.message.attributes[ATTR_ARGV].data, value);
    ck_assert_uint_eq(w.fds.count, 2);
    /* Small ones are whole already. */
    ck_assert_int_eq(hear_large(&w), 0);
    work_done(&w);
    raw_done(&raw);
    free(value);
}
END_TEST

START_TEST(no_large_request) {
    static const char right[] = "\3\1\0\0\0\0\0\7", other[] = "\3\1\0\0\0\0\0\10", not_one[] = "\0\2\0\0\0\0\0\7",
                      cut[] = "\3\1\0\0\0\0\0";
    struct work w;
    int pipe_[2];
    ck_assert_int_eq(pipe2(pipe_, O_CLOEXEC), 0);
    const struct {
        const char *what;
        int file;
        uint32_t more;
    } files[] = {
        {"an index that was not sent", file_of(right, 8, 8), 1},
        {"another index that was not sent", file_of(right, 8, 8), 254},
        {"an empty file", file_of(right, 8, 0), 0},
        {"a file of more than there can be", file_of(right, 8, 2 * LIMIT_FRAME + 1), 0},
        {"a pipe", pipe_[0], 0},
        {"a file that cannot be read", open("/dev/null", O_WRONLY | O_CLOEXEC), 0},
        {"a folder", open("/", O_PATH | O_CLOEXEC), 0},
        {"the message of another request", file_of(other, 8, 8), 0},
        {"the message of a client", file_of(not_one, 8, 8), 0},
        {"half a header", file_of(cut, 7, 7), 0},
        {"zeros behind it", file_of(right, 8, 9), 0},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        hear_one(files[i].file, files[i].more, &w);
        ck_assert_msg(hear_large(&w) == -EBADMSG, "%s", files[i].what);
        /* The request is still the one that came, so that it can be answered. */
        ck_assert_uint_eq(w.message.serial, 7);
        ck_assert(message_has(&w.message, ATTR_LARGE));
        work_done(&w);
    }
    close(pipe_[1]);
}
END_TEST

/* ---- speak ---- */

static uint8_t heard_bytes[8192];
static struct fd_queue heard_fds;

static struct message heard(enum message_type type) {
    struct message m;
    fd_queue_init(&heard_fds);
    ssize_t n = fds_receive(server, heard_bytes, sizeof heard_bytes, &heard_fds);
    ck_assert_int_gt(n, 0);
    ck_assert_int_eq(message_read(heard_bytes, (size_t)n, FROM_ZYGOTE, STATE_READY, &m), 0);
    ck_assert_uint_eq(m.type, type);
    ck_assert_uint_eq(heard_fds.count, message_fds(&m));
    return m;
}

START_TEST(ready_and_unready) {
    char longer[LIMIT_TEXT + 100];
    memset(longer, 't', sizeof longer);
    longer[sizeof longer - 1] = 0;
    struct forksrv_zygote z = {.sock = sock};
    ck_assert_int_eq(speak_ready(&z, "me 1.0"), 0);
    struct message m = heard(MSG_READY);
    ck_assert_uint_eq(message_u32(&m, ATTR_VERSION, 0), 1);
    ck_assert_str_eq(message_str(&m, ATTR_SOFTWARE), "me 1.0");
    ck_assert(!message_has(&m, ATTR_TEXT));
    z.trouble = longer;
    ck_assert_int_eq(speak_ready(&z, longer), 0);
    m = heard(MSG_READY);
    ck_assert_uint_eq(strlen(message_str(&m, ATTR_SOFTWARE)), 127);
    ck_assert_uint_eq(strlen(message_str(&m, ATTR_TEXT)), LIMIT_TEXT - 1);
    ck_assert_int_eq(speak_unready(&z, longer), 0);
    m = heard(MSG_UNREADY);
    ck_assert_uint_eq(message_u32(&m, ATTR_ERRNO, 0), EIO);
    ck_assert_uint_eq(strlen(message_str(&m, ATTR_TEXT)), LIMIT_TEXT - 1);
}
END_TEST

START_TEST(forked_and_unforked) {
    struct work w = {.message = {.serial = 42}, .was_spare = true};
    char path[64], text[256];
    auto_fd pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    ck_assert_int_eq(speak_forked(sock, &w, pidfd), 0);
    struct message m = heard(MSG_FORKED);
    ck_assert_uint_eq(m.serial, 42);
    ck_assert_uint_eq(message_u32(&m, ATTR_PID, 0), (uint32_t)getpid());
    ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 7), 1);
    ck_assert_uint_eq(heard_fds.count, 1);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", heard_fds.fds[0]);
    auto_file f = fopen(path, "re");
    long pid = 0;
    while (f != NULL && fgets(text, sizeof text, f) != NULL)
        if (strncmp(text, "Pid:", 4) == 0)
            pid = strtol(text + 4, NULL, 10);
    ck_assert_int_eq(pid, getpid());
    fd_queue_done(&heard_fds);
    speak_unforked(sock, 43, STAGE_CWD, ENOENT, "cwd: nowhere");
    m = heard(MSG_UNFORKED);
    ck_assert_uint_eq(m.serial, 43);
    ck_assert_uint_eq(message_u32(&m, ATTR_STAGE, 0), STAGE_CWD);
    ck_assert_uint_eq(message_u32(&m, ATTR_ERRNO, 0), ENOENT);
    ck_assert_str_eq(message_str(&m, ATTR_TEXT), "cwd: nowhere");
    speak_unforked(sock, 44, STAGE_CLONE, EAGAIN, NULL);
    m = heard(MSG_UNFORKED);
    ck_assert(!message_has(&m, ATTR_TEXT));
}
END_TEST

START_TEST(ended_and_spares) {
    struct forksrv_zygote z = {.sock = sock, .n_waiting = 3, .taken_count = UINT64_C(1) << 40};
    uint64_t usage[RUSAGE_FIELDS];
    for (unsigned i = 0; i < RUSAGE_FIELDS; i++)
        usage[i] = i + 1;
    ck_assert_int_eq(speak_ended(&z, 4711, END_KILLED, SIGTERM, usage), 0);
    struct message m = heard(MSG_ENDED);
    ck_assert_uint_eq(message_u32(&m, ATTR_PID, 0), 4711);
    const uint8_t *end = m.attributes[ATTR_END].data, *used = m.attributes[ATTR_RUSAGE].data;
    ck_assert(wire_get_u32(end) == END_KILLED && wire_get_u32(end + 4) == SIGTERM && wire_get_u64(end + 8) == 0);
    ck_assert_uint_eq(m.attributes[ATTR_RUSAGE].size, 8 * RUSAGE_FIELDS);
    for (size_t i = 0; i < RUSAGE_FIELDS; i++)
        ck_assert_uint_eq(wire_get_u64(used + 8 * i), i + 1);
    ck_assert_int_eq(speak_spares(&z), 0);
    m = heard(MSG_SPARES);
    ck_assert_uint_eq(message_u32(&m, ATTR_SPARES, 0), 3);
    ck_assert_uint_eq(message_u64(&m, ATTR_VALUE, 0), UINT64_C(1) << 40);
}
END_TEST

static void *read_all(void *data) {
    uint8_t byte;
    struct pollfd p = {.fd = server, .events = POLLIN};
    for (unsigned *left = data; *left > 0; --*left) {
        poll(&p, 1, -1);
        ck_assert_int_eq(recv(server, &byte, 1, 0), 1);
    }
    return NULL;
}

/* A busy server is waited for, and nothing is lost. */
START_TEST(more_than_a_socket_holds) {
    struct forksrv_zygote z = {.sock = sock};
    unsigned left = 20000;
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_all, &left), 0);
    for (unsigned i = 0; i < 20000; i++)
        ck_assert_int_eq(speak_spares(&z), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(left, 0);
}
END_TEST

START_TEST(a_server_that_is_gone) {
    struct forksrv_zygote z = {.sock = sock};
    struct work w = {.message = {.serial = 1}};
    int fds = count_fds();
    close(server);
    server = -1;
    ck_assert_int_eq(speak_ready(&z, ""), -EPIPE);
    ck_assert_int_eq(speak_forked(sock, &w, sock), -EPIPE);
    ck_assert_int_eq(speak_spares(&z), -EPIPE);
    speak_unforked(sock, 1, STAGE_CWD, 1, "");
    ck_assert_int_eq(count_fds(), fds - 1);
}
END_TEST

/* ---- check ---- */

static void *wait_for_an_end(void *data) {
    pthread_setname_np(pthread_self(), "some\xffname");
    char byte;
    ck_assert_int_eq(send(sock, "", 1, 0), 1);
    ck_assert_int_eq(recv(sock, &byte, 1, 0), 1);
    return data;
}

START_TEST(what_makes_a_fork_unsafe) {
    char text[512], byte;
    pthread_t thread;
    check_fork_safety(text, sizeof text);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_an_end, NULL), 0);
    ck_assert_int_eq(recv(server, &byte, 1, 0), 1);
    check_fork_safety(text, sizeof text);
    ck_assert_str_eq(text, "a thread is alive: some\xffname");
    check_fork_safety(text, 16);
    ck_assert_str_eq(text, "a thread is ali");
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    check_fork_safety(text, sizeof text);
    ck_assert_str_eq(text, "a thread is alive: some\xffname, a child process was left behind");
    ck_assert_int_eq(send(server, "", 1, 0), 1);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("zygote");
    TCase *tc = tcase_create("zygote");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_request);
    tcase_add_loop_test(tc, no_request, 0, WRONG);
    tcase_add_test(tc, the_longest_request);
    tcase_add_test(tc, the_end);
    tcase_add_test(tc, the_end_by_reset);
    tcase_add_test(tc, waiting);
    tcase_add_test(tc, a_large_request);
    tcase_add_test(tc, no_large_request);
    tcase_add_test(tc, ready_and_unready);
    tcase_add_test(tc, forked_and_unforked);
    tcase_add_test(tc, ended_and_spares);
    tcase_add_test(tc, more_than_a_socket_holds);
    tcase_add_test(tc, a_server_that_is_gone);
    tcase_add_test(tc, what_makes_a_fork_unsafe);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
