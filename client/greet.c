/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake on a connected socket. protocol/handshake.c decides; this file moves its bytes within a time limit, never
 * receives an fd, and turns its results into errors for people. */
#include "client/session.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "protocol/handshake.h"

/* #WELCOME# in its frame: the handshake's last word. */
static const char welcome[] = "\0\0\0\x09#WELCOME#";

static int refused(struct forksrv *s, enum handshake_result result, bool at_once) {
    const char *text = handshake_result_text(result);
    if (result == HANDSHAKE_REFUSED && at_once)
        return session_fail(s, -EACCES,
                            "%s takes no connection from us now: it has too many, or is not for this user. Its journal says why",
                            s->peer);
    if (result == HANDSHAKE_REFUSED)
        return session_fail(s, -EKEYREJECTED, "%s refuses our authkey, or we took too long. Is it the key of this instance?",
                            s->peer);
    if (result == HANDSHAKE_WRONG_MAC || result == HANDSHAKE_REFLECTED)
        return session_fail(s, -EKEYREJECTED, "%s cannot prove that it has our authkey (%s): nothing was told to it", s->peer,
                            text);
    if (result == HANDSHAKE_BROKEN)
        return session_fail(s, -EIO, "%s", text);
    return session_fail(s, -EPROTO, "%s does not speak the protocol of forksrv: %s", s->peer,
                        text != NULL ? text : "it says more than it is asked for");
}

/* Some hundred bytes at most into a socket with nothing in it. */
static int send_out(struct forksrv *s) {
    struct handshake *h = s->greeting;
    if (h->out_size == 0)
        return 0;
    ssize_t n = fds_send(s->fd, h->out, h->out_size, NULL, 0);
    if (n == -EAGAIN)
        return 0;
    if (n < 0)
        return (int)n;
    h->out_size -= (size_t)n;
    memmove(h->out, h->out + n, h->out_size);
    return 0;
}

static int closed(struct forksrv *s) {
    s->hung_up = true;
    return session_fail(s, -EPROTO, "%s closed the connection during the handshake. Its journal or standard error may say why",
                        s->peer);
}

/* The machine's last word is #WELCOME#, as has been queued already. */
static int ready(struct forksrv *s) {
    assert(s->greeting->out_size == sizeof welcome - 1 && memcmp(s->greeting->out, welcome, sizeof welcome - 1) == 0);
    return 1;
}

static int failed(struct forksrv *s, enum handshake_result result) {
    /* The peer is to know why, but need not be there any more. */
    bool at_once = s->greeting->step == 0;
    (void)send_out(s);
    return refused(s, result, at_once);
}

/* One read and what follows from it: 0 go on, 1 ready, -EAGAIN nothing to read, or an error. */
static int step(struct forksrv *s) {
    uint8_t buffer[4 * LIMIT_HANDSHAKE_FRAME];
    ssize_t n = fds_receive(s->fd, buffer, sizeof buffer, NULL);
    if (n == 0 || n == -ECONNRESET)
        return closed(s);
    if (n < 0)
        return (int)n;
    size_t used;
    enum handshake_result result = handshake_feed(s->greeting, s->key, LIMIT_AUTHKEY, buffer, (size_t)n, &used);
    if (result == HANDSHAKE_READY && used == (size_t)n)
        return ready(s);
    if (result == HANDSHAKE_MORE)
        return send_out(s);
    return failed(s, result);
}

void greet_done(struct forksrv *s) {
    if (s->greeting != NULL)
        handshake_done(s->greeting);
    free(s->greeting);
    s->greeting = NULL;
}

int greet_start(struct forksrv *s) {
#ifdef FORKSRV_BENCH_NO_AUTH
    /* For measuring what authentication costs: a build of the benchmark's own, never installed. */
    return 0;
#endif
    uint8_t nonce[LIMIT_NONCE];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return session_fail(s, -EIO, "the kernel gives no random numbers");
    wire_put_bytes(&s->out, welcome, sizeof welcome - 1);
    s->greeting = malloc(sizeof *s->greeting);
    if (s->greeting == NULL || s->out.failed) {
        s->out.failed = false;
        greet_done(s);
        return session_fail(s, -ENOMEM, "out of memory");
    }
    handshake_init(s->greeting, HANDSHAKE_CLIENT, nonce);
    return 0;
}

int greet_step(struct forksrv *s) {
#ifdef FORKSRV_BENCH_NO_AUTH
    return 1;
#endif
    s->error[0] = 0;
    int r = send_out(s);
    while (r == 0)
        r = step(s);
    if (r == -EAGAIN)
        return 0;
    greet_done(s);
    if (r == -EPIPE)
        r = closed(s);
    if (r < 0)
        wire_buf_consume(&s->out, wire_buf_len(&s->out), 0);
    if (r < 0 && s->error[0] == 0)
        return session_fail(s, r, "the handshake with %s failed: %s", s->peer, error_text(r));
    return r;
}

short greet_events(const struct forksrv *s) {
    return s->greeting != NULL && s->greeting->out_size > 0 ? POLLIN | POLLOUT : POLLIN;
}

int greet(struct forksrv *s, uint64_t deadline) {
    int r = greet_start(s);
    if (r < 0)
        return r;
    while ((r = greet_step(s)) == 0) {
        if (deadline_poll(s->fd, greet_events(s), deadline) > 0)
            continue;
        greet_done(s);
        wire_buf_consume(&s->out, wire_buf_len(&s->out), 0);
        return session_fail(s, -ETIMEDOUT, "%s did not answer in time", s->peer);
    }
    return r < 0 ? r : 0;
}
