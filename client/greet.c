/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake on a connected socket. protocol/handshake.c decides; this file moves its bytes within a time limit, never
 * receives an fd, and turns its results into errors for people. */
#include "client/session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "protocol/handshake.h"

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

static int send_out(struct forksrv *s, struct handshake *h, uint64_t deadline) {
    size_t done = 0;
    while (done < h->out_size) {
        ssize_t n = fds_send(s->fd, h->out + done, h->out_size - done, NULL, 0);
        if (n == -EAGAIN) {
            if (deadline_poll(s->fd, POLLOUT, deadline) == 0)
                return -ETIMEDOUT;
            continue;
        }
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    }
    h->out_size = 0;
    return 0;
}

/* What the machine said last goes out at once, or, lazily, with the first request. */
static int ready(struct forksrv *s, struct handshake *h, uint64_t deadline) {
    if (!s->lazy)
        return send_out(s, h, deadline);
    wire_put_bytes(&s->out, h->out, h->out_size);
    if (!s->out.failed)
        return 0;
    s->out.failed = false;
    return -ENOMEM;
}

static int closed(struct forksrv *s) {
    return session_fail(s, -EPROTO, "%s closed the connection during the handshake. Its journal or standard error may say why",
                        s->peer);
}

/* One read and what follows from it: 0 go on, 1 ready, or an error. */
static int step(struct forksrv *s, struct handshake *h, uint64_t deadline) {
    if (deadline_poll(s->fd, POLLIN, deadline) == 0)
        return -ETIMEDOUT;
    uint8_t buffer[4 * LIMIT_HANDSHAKE_FRAME];
    ssize_t n = fds_receive(s->fd, buffer, sizeof buffer, NULL);
    if (n == -EAGAIN)
        return 0;
    if (n == 0 || n == -ECONNRESET)
        return closed(s);
    if (n < 0)
        return (int)n;
    size_t used;
    enum handshake_result result = handshake_feed(h, s->key, LIMIT_AUTHKEY, buffer, (size_t)n, &used);
    if (result == HANDSHAKE_READY && used == (size_t)n) {
        int r = ready(s, h, deadline);
        return r < 0 ? r : 1;
    }
    if (result == HANDSHAKE_MORE)
        return send_out(s, h, deadline);
    /* The peer is to know why, but need not be there any more. */
    (void)send_out(s, h, 0);
    return refused(s, result, h->step == 0);
}

int greet(struct forksrv *s, uint64_t deadline) {
#ifdef FORKSRV_BENCH_NO_AUTH
    /* For measuring what authentication costs: a build of the benchmark's own, never installed. */
    (void)deadline;
    return 0;
#endif
    uint8_t nonce[LIMIT_NONCE];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return session_fail(s, -EIO, "the kernel gives no random numbers");
    struct handshake h;
    handshake_init(&h, HANDSHAKE_CLIENT, nonce);
    s->error[0] = 0;
    int r;
    while ((r = step(s, &h, deadline)) == 0)
        ;
    handshake_done(&h);
    if (r == 1)
        return 0;
    if (r == -EPIPE)
        return closed(s);
    if (r == -ETIMEDOUT)
        return session_fail(s, r, "%s did not answer in time", s->peer);
    if (s->error[0] == 0)
        return session_fail(s, r, "the handshake with %s failed: %s", s->peer, error_text(r));
    return r;
}
