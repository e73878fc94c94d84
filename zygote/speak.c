/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a zygote and its children say: one datagram for each message. It decides nothing. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "protocol/frame.h"
#include "zygote/zygote.h"

/* A server that is busy is waited for: its end of the socket holds hundreds of these. */
static int send_message(int sock, struct message_writer *w, const int *fds, unsigned n_fds) {
    struct wire_buf *b = w->buf;
    int r = message_end(w);
    while (r == 0) {
        ssize_t n = fds_send(sock, wire_buf_head(b) + FRAME_HEADER, wire_buf_len(b) - FRAME_HEADER, fds, n_fds);
        if (n >= 0)
            break;
        struct pollfd p = {.fd = sock, .events = POLLOUT};
        if (n != -EAGAIN || (poll(&p, 1, -1) < 0 && errno != EINTR))
            r = n != -EAGAIN ? (int)n : -errno;
    }
    wire_buf_done(b);
    return r;
}

static void begin(struct message_writer *w, struct wire_buf *b, enum message_type type, uint16_t flags, uint32_t serial) {
    wire_buf_init(b, 0);
    message_begin(w, b, type, flags, serial);
}

int speak_ready(const struct forksrv_zygote *z, const char *software) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_READY, 0, 0);
    message_put_u32(&w, ATTR_VERSION, PROTOCOL_VERSION);
    message_put_str_cut(&w, ATTR_SOFTWARE, software, 127);
    if (z->trouble != NULL)
        message_put_str_cut(&w, ATTR_TEXT, z->trouble, LIMIT_TEXT - 1);
    return send_message(z->sock, &w, NULL, 0);
}

int speak_unready(const struct forksrv_zygote *z, const char *text) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_UNREADY, 0, 0);
    message_put_u32(&w, ATTR_ERRNO, EIO);
    message_put_str_cut(&w, ATTR_TEXT, text, LIMIT_TEXT - 1);
    return send_message(z->sock, &w, NULL, 0);
}

int speak_forked(int sock, const struct work *work, int pidfd) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_FORKED, 1, work->message.serial);
    message_put_u32(&w, ATTR_PID, (uint32_t)getpid());
    message_put_u32(&w, ATTR_SPARES, work->was_spare);
    return send_message(sock, &w, &pidfd, 1);
}

void speak_unforked(int sock, uint32_t serial, enum stage stage, int error, const char *text) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_UNFORKED, 0, serial);
    message_put_u32(&w, ATTR_STAGE, stage);
    message_put_u32(&w, ATTR_ERRNO, (uint32_t)error);
    if (text != NULL)
        message_put_str_cut(&w, ATTR_TEXT, text, LIMIT_TEXT - 1);
    (void)send_message(sock, &w, NULL, 0);
}

int speak_ended(const struct forksrv_zygote *z, pid_t pid, enum end_kind kind, int value, const uint64_t usage[RUSAGE_FIELDS]) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_ENDED, 0, 0);
    message_put_u32(&w, ATTR_PID, (uint32_t)pid);
    uint8_t *p = message_put_space(&w, ATTR_END, 16);
    if (p != NULL) {
        wire_put_u32(p, kind);
        wire_put_u32(p + 4, (uint32_t)value);
        wire_put_u32(p + 8, 0);
        wire_put_u32(p + 12, 0);
    }
    p = message_put_space(&w, ATTR_RUSAGE, RUSAGE_FIELDS * sizeof usage[0]);
    for (unsigned i = 0; p != NULL && i < RUSAGE_FIELDS; i++)
        wire_put_u64(p + 8 * (size_t)i, usage[i]);
    return send_message(z->sock, &w, NULL, 0);
}

int speak_spares(const struct forksrv_zygote *z) {
    struct wire_buf b;
    struct message_writer w;
    begin(&w, &b, MSG_SPARES, 0, 0);
    message_put_u32(&w, ATTR_SPARES, z->n_waiting);
    message_put_u64(&w, ATTR_VALUE, z->taken_count);
    return send_message(z->sock, &w, NULL, 0);
}
