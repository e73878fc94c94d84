/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server says, brought to whom it concerns: the handle of a worker, or the call that waits. An answer that nobody asked
 * for, or that does not fit its request, ends the session: the two sides no longer mean the same. */
#include "client/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "protocol/frame.h"

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), "forksrv.h and the wire have the same numbers")
SAME(FORKSRV_STAGE_NONE, STAGE_NONE);
SAME(FORKSRV_STAGE_REQUEST, STAGE_REQUEST);
SAME(FORKSRV_STAGE_CLONE, STAGE_CLONE);
SAME(FORKSRV_STAGE_EXEC, STAGE_EXEC);
SAME(FORKSRV_STAGE_ZYGOTE, STAGE_ZYGOTE);
_Static_assert(STAGE_ZYGOTE + 1 == STAGE_COUNT, "every stage of the wire stands in forksrv.h");
SAME(FORKSRV_REASON_EXITED, REASON_EXITED);
SAME(FORKSRV_REASON_STOPPED, REASON_STOPPED);
SAME(FORKSRV_REASON_HANDED_OVER, REASON_HANDED_OVER);
_Static_assert(REASON_HANDED_OVER + 1 == REASON_COUNT, "every reason of the wire stands in forksrv.h");

const char *forksrv_stage_name(enum forksrv_stage stage) {
    return stage_name((enum stage)stage);
}

const char *forksrv_reason_name(enum forksrv_reason reason) {
    return end_reason_name((enum end_reason)reason);
}

/* A positive errno of the wire as ours; never 0, never out of range. */
static int failure_of(const struct message *m) {
    uint32_t e = message_u32(m, ATTR_ERRNO, 0);
    return e > 0 && e < 4096 ? -(int)e : -EIO;
}

/* ---- workers ---- */

/* One that was asked for by its number, which is another one's: that of a server that knows nothing of the one before it. */
static bool is_another(const struct forksrv_worker *w, const struct message *m) {
    return w->returning && w->pid != 0 && w->pid != (pid_t)message_u32(m, ATTR_PID, 0);
}

static void worker_started(struct forksrv *s, struct forksrv_worker *w, const struct message *m, int pidfd) {
    w->id = message_u64(m, ATTR_WORKER, 0);
    w->pid = (pid_t)message_u32(m, ATTR_PID, 0);
    bool told = w->state == FORKSRV_STATE_RUNNING;
    /* The program may have the old one, which is as good. */
    if (w->pidfd < 0) {
        w->pidfd = pidfd;
    } else if (w->returning) {
        close_fd(pidfd);
    } else {
        close_fd(w->pidfd);
        w->pidfd = pidfd;
    }
    w->state = FORKSRV_STATE_RUNNING;
    if (!told)
        event_queue(s, &w->started, FORKSRV_EVENT_STARTED, w);
}

static char *failure_text(const struct message *m, enum forksrv_stage stage, int failure) {
    const char *given = message_str(m, ATTR_TEXT);
    if (given != NULL)
        return strdup(given);
    char text[128];
    snprintf(text, sizeof text, "%s: %s", forksrv_stage_name(stage), error_text(failure));
    return strdup(text);
}

static void worker_failed(struct forksrv *s, struct forksrv_worker *w, const struct message *m) {
    w->serial = 0;
    w->failure = failure_of(m);
    w->stage = (enum forksrv_stage)message_u32(m, ATTR_STAGE, STAGE_REQUEST);
    /* Without memory the failure is still told, only in fewer words. */
    free(w->text);
    w->text = failure_text(m, w->stage, w->failure);
    w->state = FORKSRV_STATE_FAILED;
    event_queue(s, &w->ended, FORKSRV_EVENT_FAILED, w);
}

static void worker_ended(struct forksrv *s, struct forksrv_worker *w, const struct message *m) {
    w->serial = 0;
    if (message_has(m, ATTR_WORKER))
        w->id = message_u64(m, ATTR_WORKER, 0);
    record_end(m, &w->end);
    if (w->end.code < 0 && w->end.signo == 0 && w->end.reason != FORKSRV_REASON_HANDED_OVER && comeback_own_end(w)) {
        event_queue(s, &w->ended, FORKSRV_EVENT_ENDED, w);
        return;
    }
    w->state = w->end.code < 0 && w->end.signo == 0 ? FORKSRV_STATE_LOST : FORKSRV_STATE_ENDED;
    if (w->end.reason == FORKSRV_REASON_HANDED_OVER)
        w->state = FORKSRV_STATE_HANDED_OVER;
    event_queue(s, &w->ended, FORKSRV_EVENT_ENDED, w);
}

/* -EBADMSG: not an answer to a SPAWN or WAIT. */
static int tell_worker(struct forksrv *s, struct forksrv_worker *w, const struct message *m, int *pidfd) {
    uint32_t serial = m->serial;
    bool another = m->type == MSG_STARTED && is_another(w, m);
    if (another || (w->returning && m->type == MSG_ERROR)) {
        w->serial = 0;
        if (another)
            *slot_get(s, serial) = (struct slot){.kind = SLOT_DROPPED};
        else
            slot_release(s, serial);
        comeback_tell(w, another ? -ESTALE : failure_of(m));
        return 0;
    }
    if (m->type == MSG_STARTED) {
        worker_started(s, w, m, steal_fd(pidfd));
        return 0;
    }
    if (m->type == MSG_EXITED)
        worker_ended(s, w, m);
    else if (m->type == MSG_FAILED || m->type == MSG_ERROR)
        worker_failed(s, w, m);
    else
        return -EBADMSG;
    slot_release(s, serial);
    return 0;
}

/* ---- calls ---- */

static int tell_call(struct forksrv *s, struct call *call, const struct message *m) {
    uint32_t serial = m->serial;
    if (m->type == MSG_ERROR) {
        const char *text = message_str(m, ATTR_TEXT);
        call->result = failure_of(m);
        session_fail(s, call->result, "%s", text != NULL ? text : error_text(call->result));
    } else if (m->type != call->answer) {
        return -EBADMSG;
    } else {
        int r = call->take != NULL && call->result == 0 ? call->take(call, m) : 0;
        if (r == -EBADMSG)
            return r;
        if (r < 0)
            call->result = session_fail(s, r, "the answer of the server cannot be kept: %s", error_text(r));
        if (m->flags & MESSAGE_MORE)
            return 0;
    }
    call->done = true;
    slot_release(s, serial);
    return 0;
}

/* ---- nobody ---- */

static bool is_last(const struct message *m) {
    return m->type != MSG_STARTED && !(m->flags & MESSAGE_MORE);
}

static void tell_nobody(struct forksrv *s, struct slot *slot, const struct message *m) {
    uint32_t serial = m->serial;
    if (is_last(m)) {
        slot_release(s, serial);
    } else if (slot->kind == SLOT_UNWANTED && message_has(m, ATTR_WORKER)) {
        slot->kind = SLOT_DROPPED;
        /* Its starter has been told that it was not started. */
        (void)forksrv_submit_signal(s, message_u64(m, ATTR_WORKER, 0), SIGKILL, FORKSRV_SIGNAL_GROUP);
    }
}

static int tell_session(struct forksrv *s, const struct message *m) {
    const char *text = message_str(m, ATTR_TEXT);
    return session_lose(s, failure_of(m), "%s ended the session: %s", s->peer, text != NULL ? text : error_text(failure_of(m)));
}

static int handle(struct forksrv *s, const struct message *m, int *pidfd) {
    if (m->type == MSG_EVENT)
        return event_watch(s, m);
    if (m->type == MSG_ERROR && m->serial == 0)
        return tell_session(s, m);
    struct slot *slot = slot_get(s, m->serial);
    if (slot == NULL)
        return -EBADMSG;
    switch (slot->kind) {
    case SLOT_WORKER:
        return tell_worker(s, slot->worker, m, pidfd);
    case SLOT_CALL:
        return tell_call(s, slot->call, m);
    case SLOT_DROPPED:
    case SLOT_UNWANTED:
        tell_nobody(s, slot, m);
        return 0;
    case SLOT_FREE:
        break;
    }
    return -EBADMSG;
}

static int handle_frame(struct forksrv *s, const uint8_t *payload, size_t size) {
    struct message m;
    int r = message_read(payload, size, FROM_SERVER, STATE_READY, &m);
    if (r < 0)
        return r;
    if (message_fds(&m) > 1)
        return -EBADMSG;
    auto_fd pidfd = -1;
    r = fd_queue_take(&s->in_fds, message_fds(&m), &pidfd);
    if (r < 0)
        return r;
    return handle(s, &m, &pidfd);
}

int dispatch(struct forksrv *s) {
    const uint8_t *payload;
    size_t size;
    int r = 0;
    while (wire_buf_len(&s->in) > 0) {
        r = frame_get(wire_buf_head(&s->in), wire_buf_len(&s->in), LIMIT_FRAME, &payload, &size);
        if (r > 0)
            r = handle_frame(s, payload, size - FRAME_HEADER);
        else if (r == 0)
            return 0;
        if (r == -ENOTCONN)
            return r;
        if (r < 0)
            return session_lose(s, -EPROTO, "%s sent what this library does not understand", s->peer);
        wire_buf_consume(&s->in, size, BUFFER_KEEP);
    }
    if (s->in_fds.count > 0)
        return session_lose(s, -EPROTO, "%s sent file descriptors that belong to nothing", s->peer);
    return 0;
}
