/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handles of workers: started or attached to, waited for, let go. A handle that is freed before its worker ended leaves its
 * serial behind, so that answers that are still to come find nobody instead of somebody else. */
#include "client/session.h"

#include <errno.h>
#include <string.h>

#include "client/spec.h"

int worker_new(struct forksrv *s, struct forksrv_worker **ret_worker) {
    struct forksrv_worker *w = calloc(1, sizeof *w);
    if (w == NULL)
        return session_fail(s, -ENOMEM, "out of memory");
    w->session = s;
    w->pidfd = -1;
    int r = slot_take(s, SLOT_WORKER, &w->serial);
    if (r < 0) {
        free(w);
        return r;
    }
    slot_get(s, w->serial)->worker = w;
    TAILQ_INSERT_TAIL(&s->workers, w, link);
    *ret_worker = w;
    return 0;
}

/* Frees the handle; answers that are still to come are for a slot of this kind. */
static void let_go(struct forksrv_worker *w, enum slot_kind kind) {
    struct forksrv *s = w->session;
    if (w->serial != 0)
        *slot_get(s, w->serial) = (struct slot){.kind = kind};
    event_drop(s, &w->started);
    event_drop(s, &w->ended);
    TAILQ_REMOVE(&s->workers, w, link);
    close_fd(w->pidfd);
    free(w->text);
    free(w);
}

void forksrv_worker_free(struct forksrv_worker *w) {
    if (w != NULL)
        let_go(w, SLOT_DROPPED);
}

/* Nothing of it was queued: the serial is free again at once. */
static void take_back(struct forksrv_worker *w) {
    slot_release(w->session, w->serial);
    w->serial = 0;
    forksrv_worker_free(w);
}

static int submit(struct forksrv *s, const struct forksrv_spec *spec, uint64_t patience, struct forksrv_worker **ret_worker) {
    if (spec->argv.count == 0)
        return session_fail(s, -EINVAL, "the spec has no argv");
    struct forksrv_worker *w;
    int r = worker_new(s, &w);
    if (r < 0)
        return r;
    r = encode_spawn(w, spec, patience);
    if (r < 0) {
        take_back(w);
        return r;
    }
    *ret_worker = w;
    return 0;
}

int forksrv_submit(struct forksrv *s, const struct forksrv_spec *spec, struct forksrv_worker **ret_worker) {
    int r = session_ready(s);
    if (r < 0)
        return r;
    if (wire_buf_len(&s->out) >= QUEUE_MAX)
        return session_fail(s, -EAGAIN, "%d bytes are queued already: process the session first", QUEUE_MAX);
    return submit(s, spec, UINT64_MAX, ret_worker);
}

static bool is_reported(const void *arg) {
    const struct forksrv_worker *w = arg;
    return w->state != FORKSRV_STATE_SUBMITTED;
}

static bool is_over(const void *arg) {
    const struct forksrv_worker *w = arg;
    return w->state != FORKSRV_STATE_SUBMITTED && w->state != FORKSRV_STATE_RUNNING;
}

static int lost(struct forksrv *s) {
    return session_fail(s, -ENOTCONN, "the session was lost: %s", s->lost_text);
}

/* Neither has an end: the one because of the session, the other because of its zygote. */
static int unknown(struct forksrv_worker *w) {
    struct forksrv *s = w->session;
    if (s->phase == PHASE_LOST)
        return lost(s);
    if (w->state == FORKSRV_STATE_HANDED_OVER)
        return session_fail(s, -ENODATA, "worker %llu has been handed over to the service manager, which knows its end",
                            (unsigned long long)w->id);
    return session_fail(s, -ENODATA, "worker %llu has ended, and nobody knows how: it was not told, and the kernel has forgotten",
                        (unsigned long long)w->id);
}

/* What became of a worker whose first answer was waited for: 0 and the handle, or its failure without one. */
static int first_answer(struct forksrv *s, struct forksrv_worker *w, int r, struct forksrv_worker **ret_worker) {
    if (r == -ETIMEDOUT) {
        let_go(w, SLOT_UNWANTED);
        return r;
    }
    if (w->state == FORKSRV_STATE_FAILED) {
        s->last_stage = w->stage;
        r = session_fail(s, w->failure, "%s", w->text != NULL ? w->text : error_text(w->failure));
    } else if (r < 0 || s->phase == PHASE_LOST) {
        r = lost(s);
    }
    if (r < 0) {
        forksrv_worker_free(w);
        return r;
    }
    event_drop(s, &w->started);
    *ret_worker = w;
    return 0;
}

int forksrv_spawn(struct forksrv *s, const struct forksrv_spec *spec, uint64_t timeout, struct forksrv_worker **ret_worker) {
    s->last_stage = FORKSRV_STAGE_NONE;
    int r = session_ready(s);
    if (r < 0)
        return r;
    uint64_t deadline = deadline_after(timeout);
    r = pump_room(s, deadline);
    if (r < 0)
        return r;
    struct forksrv_worker *w = NULL;
    /* Nobody would be there any more who wants what is started later. */
    bool told = spec->report != FORKSRV_REPORT_END;
    for (;;) {
        r = submit(s, spec, told ? deadline_left(deadline) : UINT64_MAX, &w);
        if (r < 0)
            return r;
        if (!told) {
            pump_send(s);
            *ret_worker = w;
            return 0;
        }
        r = pump_until(s, is_reported, w, deadline);
        if (w->state != FORKSRV_STATE_FAILED || !w->returning || w->failure != -ECONNRESET)
            return first_answer(s, w, r, ret_worker);
        /* The server went away before it was started; another one is there. */
        forksrv_worker_free(w);
    }
}

/* WAIT asks for a worker in the way SPAWN does, and is answered in the same way. */
int worker_ask(struct forksrv_worker *w) {
    struct forksrv *s = w->session;
    struct message_writer m;
    size_t before = wire_buf_len(&s->out);
    message_begin(&m, &s->out, MSG_WAIT, 0, w->serial);
    if (w->has_job) {
        message_put_bytes(&m, ATTR_JOB, w->job, LIMIT_JOB);
        message_put_u64(&m, ATTR_AGAIN, w->since);
    } else if (w->asked != NULL) {
        message_put_str(&m, ATTR_NAME, w->asked);
    } else {
        message_put_u64(&m, ATTR_WORKER, w->id);
    }
    int r = message_end(&m);
    if (r < 0)
        return session_fail(s, r, "the request cannot be queued: %s", error_text(r));
    return pump_queue(s, wire_buf_len(&s->out) - before, NULL, 0);
}

int forksrv_attach(struct forksrv *s, uint64_t id, const char *name, uint64_t timeout, struct forksrv_worker **ret_worker) {
    int r = session_ready(s);
    if (r < 0)
        return r;
    if (id == 0 && (name == NULL || name[0] == 0 || strlen(name) > LIMIT_NAME))
        return session_fail(s, -EINVAL, "attach needs the id of a worker, or a name of 1 to %d bytes", LIMIT_NAME);
    struct forksrv_worker *w;
    r = worker_new(s, &w);
    if (r < 0)
        return r;
    w->attaching = true;
    w->id = id;
    w->asked = id == 0 ? name : NULL;
    r = worker_ask(w);
    if (r < 0) {
        take_back(w);
        return r;
    }
    r = pump_until(s, is_reported, w, deadline_after(timeout));
    w->attaching = false;
    w->asked = NULL;
    if (r == -ETIMEDOUT) {
        /* It is not ours to end. */
        forksrv_worker_free(w);
        return r;
    }
    return first_answer(s, w, r, ret_worker);
}

int forksrv_worker_wait(struct forksrv_worker *w, uint64_t timeout, struct forksrv_end *ret_end) {
    struct forksrv *s = w->session;
    uint64_t deadline = deadline_after(timeout);
    int r = is_over(w) ? 0 : pump_until(s, is_over, w, deadline);
    if (r == -ETIMEDOUT)
        return r;
    /* Its server is gone, and the kernel tells its end to whoever has a pidfd. */
    if (w->state == FORKSRV_STATE_LOST)
        (void)comeback_wait(w, deadline);
    if (w->state == FORKSRV_STATE_ENDED) {
        event_drop(s, &w->started);
        event_drop(s, &w->ended);
        if (ret_end != NULL)
            *ret_end = w->end;
        return 0;
    }
    event_drop(s, &w->started);
    event_drop(s, &w->ended);
    if (w->state != FORKSRV_STATE_FAILED)
        return unknown(w);
    return session_fail(s, w->failure, "%s", w->text != NULL ? w->text : error_text(w->failure));
}

enum forksrv_stage forksrv_last_stage(const struct forksrv *s) {
    return s->last_stage;
}

uint64_t forksrv_worker_id(const struct forksrv_worker *w) {
    return w->id;
}

pid_t forksrv_worker_pid(const struct forksrv_worker *w) {
    return w->pid;
}

int forksrv_worker_pidfd(const struct forksrv_worker *w) {
    return w->pidfd;
}

int forksrv_worker_take_pidfd(struct forksrv_worker *w) {
    return steal_fd(&w->pidfd);
}

enum forksrv_state forksrv_worker_state(const struct forksrv_worker *w) {
    return w->state;
}

int forksrv_worker_failure(const struct forksrv_worker *w, enum forksrv_stage *ret_stage, const char **ret_text) {
    if (ret_stage != NULL)
        *ret_stage = w->stage;
    if (ret_text != NULL)
        *ret_text = w->text != NULL ? w->text : w->failure < 0 ? error_text(w->failure) : "";
    return w->failure;
}

int forksrv_worker_end(const struct forksrv_worker *w, struct forksrv_end *ret_end) {
    if (w->state != FORKSRV_STATE_ENDED)
        return -EAGAIN;
    *ret_end = w->end;
    return 0;
}

void forksrv_worker_set_data(struct forksrv_worker *w, void *data) {
    w->data = data;
}

void *forksrv_worker_data(const struct forksrv_worker *w) {
    return w->data;
}
