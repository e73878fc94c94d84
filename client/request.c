/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests that have one answer: sent, and waited for while everything else that comes in meanwhile is kept as events. An answer
 * that comes after its waiter has gone is dropped. */
#include "client/session.h"

#include <errno.h>
#include <signal.h>

int request_begin(struct forksrv *s, enum slot_kind kind, enum message_type type, struct message_writer *ret_writer,
                  uint32_t *ret_serial) {
    int r = session_ready(s);
    if (r < 0)
        return r;
    r = slot_take(s, kind, ret_serial);
    if (r < 0)
        return r;
    message_begin(ret_writer, &s->out, type, 0, *ret_serial);
    return 0;
}

int request_send(struct forksrv *s, struct message_writer *w, uint32_t serial) {
    size_t frame = w->frame;
    int r = message_end(w);
    if (r < 0) {
        slot_release(s, serial);
        return session_fail(s, r, "the request cannot be queued: %s", error_text(r));
    }
    return pump_queue(s, wire_buf_len(&s->out) - frame, NULL, 0);
}

static bool is_done(const void *arg) {
    const struct call *call = arg;
    return call->done;
}

int request_wait(struct forksrv *s, struct call *call, uint32_t serial, uint64_t deadline) {
    slot_get(s, serial)->call = call;
    int r = pump_until(s, is_done, call, deadline);
    if (r < 0 && !call->done)
        slot_get(s, serial)->kind = SLOT_DROPPED;
    return call->done ? call->result : r;
}

int request_finish(struct forksrv *s, struct message_writer *w, uint32_t serial, struct call *call, uint64_t timeout) {
    /* From here on an answer may come: it must find its call. */
    slot_get(s, serial)->call = call;
    int r = request_send(s, w, serial);
    return r < 0 ? r : request_wait(s, call, serial, deadline_after(timeout));
}

static int finish(struct forksrv *s, struct message_writer *w, uint32_t serial, enum message_type answer, uint64_t timeout) {
    struct call call = {.answer = answer};
    return request_finish(s, w, serial, &call, timeout);
}

int forksrv_ping(struct forksrv *s, uint64_t timeout) {
    struct message_writer w;
    uint32_t serial;
    int r = request_begin(s, SLOT_CALL, MSG_HELLO, &w, &serial);
    if (r < 0)
        return r;
    message_put_u32(&w, ATTR_VERSION, PROTOCOL_VERSION);
    message_put_str(&w, ATTR_SOFTWARE, "libforksrv " PACKAGE_VERSION);
    return finish(s, &w, serial, MSG_HELLO_REPLY, timeout);
}

int forksrv_watch(struct forksrv *s, int on, uint64_t timeout) {
    struct message_writer w;
    uint32_t serial;
    int r = request_begin(s, SLOT_CALL, MSG_WATCH, &w, &serial);
    if (r < 0)
        return r;
    message_put_u32(&w, ATTR_ENABLE, on != 0);
    s->watches = on != 0;
    return finish(s, &w, serial, MSG_DONE, timeout);
}

static int begin_signal(struct forksrv *s, enum slot_kind kind, uint64_t id, int signo, unsigned flags, struct message_writer *w,
                        uint32_t *ret_serial) {
    if (signo < 0 || signo > SIGRTMAX)
        return session_fail(s, -EINVAL, "there is no signal %d", signo);
    if (flags & ~(unsigned)(FORKSRV_SIGNAL_GROUP | FORKSRV_SIGNAL_ALL))
        return session_fail(s, -EINVAL, "unknown flags for a signal: 0x%x", flags);
    int r = request_begin(s, kind, MSG_SIGNAL, w, ret_serial);
    if (r < 0)
        return r;
    message_put_u64(w, ATTR_WORKER, id);
    message_put_u32(w, ATTR_SIGNO, (uint32_t)signo);
    if (flags != 0)
        message_put_u32(w, ATTR_SIGNAL_FLAGS, flags);
    return 0;
}

int forksrv_signal(struct forksrv *s, uint64_t id, int signo, unsigned flags, uint64_t timeout) {
    struct message_writer w;
    uint32_t serial;
    int r = begin_signal(s, SLOT_CALL, id, signo, flags, &w, &serial);
    return r < 0 ? r : finish(s, &w, serial, MSG_DONE, timeout);
}

int forksrv_submit_signal(struct forksrv *s, uint64_t id, int signo, unsigned flags) {
    struct message_writer w;
    uint32_t serial;
    int r = begin_signal(s, SLOT_DROPPED, id, signo, flags, &w, &serial);
    return r < 0 ? r : request_send(s, &w, serial);
}
