/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server side for tests of the client library: listener, handshake and messages from the same protocol/ that the daemon has,
 * and nothing that a daemon does. What it answers is the script's choice, sense or nonsense. */
#include "tests/unit/fake.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/cleanup.h"
#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "tests/unit/unit.h"

void fake_check_(bool condition, const char *text, const char *file, int line) {
    if (condition)
        return;
    fprintf(stderr, "%s:%d: the fake server expected: %s\n", file, line, text);
    _exit(1);
}

static void wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    while (poll(&p, 1, -1) < 0)
        fake_check(errno == EINTR);
}

static void send_all(int fd, const uint8_t *p, size_t n, const int *fds, unsigned n_fds) {
    while (n > 0) {
        ssize_t k = fds_send(fd, p, n, fds, n_fds);
        if (k == -EAGAIN) {
            wait_for(fd, POLLOUT);
            continue;
        }
        fake_check(k > 0);
        p += k;
        n -= (size_t)k;
        n_fds = 0;
    }
}

/* Reads no byte more than the handshake needs: fds may come with the next one. */
static void authenticate(struct fake *f) {
    uint8_t nonce[LIMIT_NONCE] = {1, 2, 3};
    struct handshake h;
    handshake_init(&h, HANDSHAKE_SERVER, nonce);
    enum handshake_result r = HANDSHAKE_MORE;
    while (r == HANDSHAKE_MORE) {
        send_all(f->session, h.out, h.out_size, NULL, 0);
        h.out_size = 0;
        uint8_t byte;
        size_t used;
        wait_for(f->session, POLLIN);
        ssize_t n = fds_receive(f->session, &byte, 1, NULL);
        if (n == 0 || n == -ECONNRESET)
            _exit(0);
        fake_check(n == 1);
        r = handshake_feed(&h, f->key, sizeof f->key, &byte, 1, &used);
    }
    send_all(f->session, h.out, h.out_size, NULL, 0);
    if (r != HANDSHAKE_READY)
        _exit(0);
}

static void start(struct fake *f, fake_script *script, bool raw, uid_t uid, uint8_t first) {
    memset(f, 0, sizeof *f);
    strcpy(f->folder, "/tmp/forksrv-test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->address, sizeof f->address, "%s/control", f->folder);
    for (size_t i = 0; i < sizeof f->key; i++)
        f->key[i] = (uint8_t)(i * 7 + first);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    strcpy(sa.sun_path, f->address);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&sa, sizeof sa), 0);
    /* The kernel notes who calls listen. */
    ck_assert_int_eq(seteuid(uid), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(seteuid(getuid()), 0);
    f->pid = fork();
    ck_assert_int_ge(f->pid, 0);
    if (f->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        wire_buf_init(&f->in, 0);
        f->session = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        fake_check(f->session >= 0);
        close(listener);
        if (!raw)
            authenticate(f);
        script(f);
        close_fd(f->session);
        fd_queue_done(&f->fds);
        wire_buf_done(&f->in);
        _exit(0);
    }
    close(listener);
}

void fake_start(struct fake *f, fake_script *script) {
    start(f, script, false, geteuid(), 1);
}

void fake_start_with(struct fake *f, fake_script *script, uint8_t first) {
    start(f, script, false, geteuid(), first);
}

void fake_start_raw(struct fake *f, fake_script *script) {
    start(f, script, true, geteuid(), 1);
}

void fake_start_as(struct fake *f, fake_script *script, uid_t uid) {
    start(f, script, true, uid, 1);
}

void fake_stop(struct fake *f) {
    int status;
    ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
    unlink(f->address);
    rmdir(f->folder);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the fake server's script failed");
}

bool fake_read(struct fake *f, struct message *ret_message) {
    wire_buf_consume(&f->in, f->frame, 0);
    f->frame = 0;
    for (;;) {
        const uint8_t *payload;
        size_t size;
        int r = frame_get(wire_buf_head(&f->in), wire_buf_len(&f->in), LIMIT_FRAME, &payload, &size);
        fake_check(r >= 0);
        if (r > 0) {
            fake_check(message_read(payload, size - FRAME_HEADER, FROM_CLIENT, STATE_READY, ret_message) == 0);
            fake_check(message_fds(ret_message) <= f->fds.count);
            f->frame = size;
            return true;
        }
        wait_for(f->session, POLLIN);
        ssize_t n = fds_receive(f->session, wire_buf_reserve(&f->in, 65536), 65536, &f->fds);
        if (n == 0 || n == -ECONNRESET)
            return false;
        fake_check(n > 0);
        wire_buf_commit(&f->in, (size_t)n);
    }
}

void fake_expect(struct fake *f, enum message_type type, struct message *ret_message) {
    fake_check(fake_read(f, ret_message));
    fake_check(ret_message->type == type);
}

void fake_write(struct fake *f, struct wire_buf *out, const int *fds, unsigned n_fds) {
    send_all(f->session, wire_buf_head(out), wire_buf_len(out), fds, n_fds);
    wire_buf_done(out);
}

static void finish(struct fake *f, struct message_writer *w, const int *fds, unsigned n_fds) {
    fake_check(message_end(w) == 0);
    fake_write(f, w->buf, fds, n_fds);
}

void fake_started(struct fake *f, uint32_t serial, uint64_t worker, pid_t pid, int pidfd) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_STARTED, pidfd >= 0, serial);
    message_put_u64(&w, ATTR_WORKER, worker);
    message_put_u32(&w, ATTR_PID, (uint32_t)pid);
    finish(f, &w, &pidfd, pidfd >= 0);
}

void fake_exited(struct fake *f, uint32_t serial, uint64_t worker, uint32_t code) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_EXITED, 0, serial);
    message_put_u64(&w, ATTR_WORKER, worker);
    uint8_t *p = message_put_space(&w, ATTR_END, 16);
    wire_put_u32(p, END_EXITED);
    wire_put_u32(p + 4, code);
    wire_put_u32(p + 8, REASON_EXITED);
    wire_put_u32(p + 12, 0);
    message_put_u64(&w, ATTR_WALL, 12345);
    finish(f, &w, NULL, 0);
}

void fake_failed(struct fake *f, uint32_t serial, uint32_t stage, uint32_t error, const char *text) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_FAILED, 0, serial);
    message_put_u32(&w, ATTR_STAGE, stage);
    message_put_u32(&w, ATTR_ERRNO, error);
    if (text != NULL)
        message_put_str(&w, ATTR_TEXT, text);
    finish(f, &w, NULL, 0);
}

void fake_error(struct fake *f, uint32_t serial, uint32_t error, const char *text) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_ERROR, 0, serial);
    message_put_u32(&w, ATTR_ERRNO, error);
    if (text != NULL)
        message_put_str(&w, ATTR_TEXT, text);
    finish(f, &w, NULL, 0);
}

void fake_done(struct fake *f, uint32_t serial) {
    struct wire_buf out;
    struct message_writer w;
    wire_buf_init(&out, 0);
    message_begin(&w, &out, MSG_DONE, 0, serial);
    finish(f, &w, NULL, 0);
}
