/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fds over a real socket pair: their order, how many, several messages behind one another, and what a peer may do to make us lose
 * or keep one. After every test this process holds the fds that it held before. */
#include "common/fds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "tests/unit/unit.h"

static int pair[2], baseline;

static int count_fds(void) {
    auto_dir dir = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(dir) != NULL)
        n++;
    return n;
}

static void setup(void) {
    baseline = count_fds();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void teardown(void) {
    close_fd(pair[0]);
    close_fd(pair[1]);
    ck_assert_int_eq(count_fds(), baseline);
}

/* An fd that can be told from others: an empty file in memory with `id` bytes. */
static int marked_fd(unsigned id) {
    int fd = memfd_create("marked", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, id), 0);
    return fd;
}

static unsigned mark_of(int fd) {
    struct stat st;
    ck_assert_int_eq(fstat(fd, &st), 0);
    return (unsigned)st.st_size;
}

static void send_marked(const char *bytes, unsigned first, unsigned n) {
    int fds[253] = {0};
    for (unsigned i = 0; i < n; i++)
        fds[i] = marked_fd(first + i);
    ck_assert_int_eq(fds_send(pair[0], bytes, strlen(bytes), fds, n), (ssize_t)strlen(bytes));
    for (unsigned i = 0; i < n; i++)
        close_fd(fds[i]);
}

START_TEST(order_is_kept) {
    struct fd_queue q;
    char buf[16];
    int got[253];
    fd_queue_init(&q);
    send_marked("abc", 1, 3);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 3);
    ck_assert_mem_eq(buf, "abc", 3);
    send_marked("d", 4, 253);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 1);
    ck_assert_uint_eq(q.count, 256);
    unsigned want = 1;
    static const unsigned takes[] = {0, 1, 2, 253};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(fd_queue_take(&q, takes[i], got), 0);
        for (unsigned k = 0; k < takes[i]; k++) {
            ck_assert_uint_eq(mark_of(got[k]), want++);
            ck_assert_int_eq(fcntl(got[k], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            close_fd(got[k]);
        }
    }
    ck_assert_uint_eq(q.count, 0);
    ck_assert_int_eq(fd_queue_take(&q, 1, got), -EBADMSG);
    fd_queue_done(&q);
}
END_TEST

START_TEST(taking_more_than_there_are) {
    struct fd_queue q;
    char buf[16];
    int got[4] = {-7, -7, -7, -7};
    fd_queue_init(&q);
    send_marked("x", 1, 3);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 1);
    ck_assert_int_eq(fd_queue_take(&q, 4, got), -EBADMSG);
    ck_assert_int_eq(got[0], -7);
    ck_assert_uint_eq(q.count, 3);
    fd_queue_done(&q);
    fd_queue_done(&q);
}
END_TEST

/* A stream glues writes together, but never the fds of two writes into one recvmsg: each read brings one set at most. */
START_TEST(glued_frames) {
    struct fd_queue q;
    char buf[64];
    size_t n = 0;
    fd_queue_init(&q);
    send_marked("one.", 1, 2);
    send_marked("two.", 3, 1);
    send_marked("none.", 0, 0);
    send_marked("three.", 4, 2);
    while (n < 19) {
        ssize_t r = fds_receive(pair[1], buf + n, sizeof buf - n, &q);
        ck_assert_int_gt(r, 0);
        n += (size_t)r;
    }
    ck_assert_mem_eq(buf, "one.two.none.three.", 19);
    ck_assert_uint_eq(q.count, 5);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_uint_eq(mark_of(q.fds[i]), i + 1);
    fd_queue_done(&q);
}
END_TEST

START_TEST(queue_is_bounded) {
    struct fd_queue q;
    char buf[8];
    fd_queue_init(&q);
    for (int i = 0; i < 2; i++) {
        send_marked("x", 1, 253);
        ck_assert_int_eq(fds_receive(pair[1], buf, 1, &q), 1);
    }
    ck_assert_uint_eq(q.count, FD_QUEUE_MAX);
    send_marked("x", 1, 2);
    ck_assert_int_eq(fds_receive(pair[1], buf, 1, &q), -EMSGSIZE);
    ck_assert_uint_eq(q.count, FD_QUEUE_MAX);
    fd_queue_done(&q);
}
END_TEST

START_TEST(more_than_the_kernel_takes) {
    int fds[254];
    for (unsigned i = 0; i < 254; i++)
        fds[i] = pair[0];
    ck_assert_int_eq(fds_send(pair[0], "x", 1, fds, 254), -EINVAL);
    char buf[8];
    ck_assert_int_eq(fds_receive(pair[1], buf, 1, NULL), -EAGAIN);
}
END_TEST

/* The kernel drops what the receiver has no room for, and says so: a lost fd is never taken for one that was not sent. */
/* What is cut is no message, and what came with it is still ours to close. */
START_TEST(datagrams) {
    struct fd_queue q;
    char buf[4];
    int fd = marked_fd(1);
    close_fd(pair[0]);
    close_fd(pair[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    fd_queue_init(&q);
    ck_assert_int_eq(fds_send(pair[0], "four", 4, &fd, 1), 4);
    ck_assert_int_eq(fds_send(pair[0], "fives", 5, &fd, 1), 5);
    ck_assert_int_eq(fds_send(pair[0], "", 0, &fd, 1), 0);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 4);
    ck_assert_uint_eq(q.count, 1);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), -EMSGSIZE);
    ck_assert_uint_eq(q.count, 2);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 0);
    ck_assert_uint_eq(q.count, 3);
    fd_queue_done(&q);
    close_fd(fd);
}
END_TEST

START_TEST(process_can_hold_no_more) {
    struct rlimit old, tight;
    struct fd_queue q;
    char buf[8];
    fd_queue_init(&q);
    send_marked("x", 1, 10);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)pair[1] + 4;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
    ssize_t r = fds_receive(pair[1], buf, sizeof buf, &q);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(r, -EMSGSIZE);
    ck_assert_uint_lt(q.count, 10);
    fd_queue_done(&q);
}
END_TEST

START_TEST(not_received_before_authentication) {
    char buf[16];
    struct fd_queue q;
    fd_queue_init(&q);
    send_marked("early", 1, 50);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, NULL), 5);
    ck_assert_int_eq(count_fds(), baseline + 2);
    /* They are gone for good, not only put off. */
    send_marked("late", 60, 1);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 4);
    ck_assert_uint_eq(q.count, 1);
    ck_assert_uint_eq(mark_of(q.fds[0]), 60);
    fd_queue_done(&q);
}
END_TEST

START_TEST(nothing_to_read_and_end_of_stream) {
    char buf[8];
    struct fd_queue q;
    fd_queue_init(&q);
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), -EAGAIN);
    close_fd(steal_fd(&pair[0]));
    ck_assert_int_eq(fds_receive(pair[1], buf, sizeof buf, &q), 0);
    /* No SIGPIPE: this test would not live. */
    ck_assert_int_eq(fds_send(pair[1], "x", 1, NULL, 0), -EPIPE);
    ck_assert_int_eq(fds_receive(-1, buf, sizeof buf, &q), -EBADF);
    ck_assert_int_eq(fds_send(-1, buf, sizeof buf, NULL, 0), -EBADF);
    fd_queue_done(&q);
}
END_TEST

START_TEST(full_socket) {
    static char block[65536];
    ssize_t r;
    do
        r = fds_send(pair[0], block, sizeof block, NULL, 0);
    while (r > 0);
    ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

START_TEST(ownership) {
    errno = EDOM;
    close_fd(-1);
    close_fd(12345);
    ck_assert_int_eq(errno, EDOM);
    int fd = dup(pair[0]);
    {
        auto_fd owned = fd;
        auto_free char *text = strdup("text");
        char *taken = steal_ptr(text);
        ck_assert_ptr_null(text);
        free(taken);
        ck_assert_int_eq(steal_fd(&owned), fd);
        ck_assert_int_eq(owned, -1);
    }
    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    {
        auto_fd owned = fd;
        auto_file file = fopen("/dev/null", "re");
        auto_file none = NULL;
        auto_dir no_dir = NULL;
        ck_assert_ptr_nonnull(file);
        ck_assert(none == NULL && no_dir == NULL && owned == fd);
    }
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("fds");
    TCase *tests = tcase_create("fds");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, order_is_kept);
    tcase_add_test(tests, taking_more_than_there_are);
    tcase_add_test(tests, glued_frames);
    tcase_add_test(tests, queue_is_bounded);
    tcase_add_test(tests, more_than_the_kernel_takes);
    tcase_add_test(tests, datagrams);
    tcase_add_test(tests, process_can_hold_no_more);
    tcase_add_test(tests, not_received_before_authentication);
    tcase_add_test(tests, nothing_to_read_and_end_of_stream);
    tcase_add_test(tests, full_socket);
    tcase_add_test(tests, ownership);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
