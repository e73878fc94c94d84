/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events, kept until the program takes them, and the functions for programs with an event loop of their own. Those of workers
 * have their place in the handle; those of a watch are bounded, and what does not fit is counted. */
#include "client/session.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

struct watch_event {
    struct event event; /* first: the list holds pointers to it */
    struct forksrv_info info;
    char *strings; /* of info; owned */
    char *text;    /* owned, or NULL */
    int error;
    enum forksrv_stage stage;
    uint64_t count;
};

void event_queue(struct forksrv *s, struct event *e, enum forksrv_event_kind kind, struct forksrv_worker *worker) {
    event_drop(s, e);
    e->kind = kind;
    e->worker = worker;
    e->queued = true;
    TAILQ_INSERT_TAIL(&s->events, e, link);
}

void event_drop(struct forksrv *s, struct event *e) {
    if (!e->queued)
        return;
    e->queued = false;
    TAILQ_REMOVE(&s->events, e, link);
}

static void watch_event_free(struct watch_event *e) {
    if (e == NULL)
        return;
    free(e->strings);
    free(e->text);
    free(e);
}

static bool is_watch(const struct event *e) {
    return e->kind >= FORKSRV_EVENT_WATCH_STARTED && e->kind <= FORKSRV_EVENT_WATCH_LOST;
}

/* ---- a watch ---- */

static enum forksrv_event_kind kind_of(const struct message *m) {
    switch (message_u32(m, ATTR_EVENT, 0)) {
    case EVENT_STARTED:
        return FORKSRV_EVENT_WATCH_STARTED;
    case EVENT_FAILED:
        return FORKSRV_EVENT_WATCH_FAILED;
    case EVENT_ENDED:
        return FORKSRV_EVENT_WATCH_ENDED;
    case EVENT_LOST:
        return FORKSRV_EVENT_WATCH_LOST;
    default:
        return 0;
    }
}

static int fill(struct watch_event *e, const struct message *m, enum forksrv_event_kind kind) {
    if (kind == FORKSRV_EVENT_WATCH_LOST) {
        e->count = message_u64(m, ATTR_VALUE, 1);
        return 0;
    }
    int r = record_info(m, &e->info, &e->strings);
    if (r < 0 || kind != FORKSRV_EVENT_WATCH_FAILED)
        return r;
    uint32_t error = message_u32(m, ATTR_ERRNO, EIO);
    e->error = error > 0 && error < 4096 ? -(int)error : -EIO;
    e->stage = (enum forksrv_stage)message_u32(m, ATTR_STAGE, STAGE_NONE);
    e->info.state = FORKSRV_STATE_FAILED;
    const char *text = message_str(m, ATTR_TEXT);
    e->text = strdup(text != NULL ? text : error_text(e->error));
    return e->text != NULL ? 0 : -ENOMEM;
}

int event_watch(struct forksrv *s, const struct message *m) {
    enum forksrv_event_kind kind = kind_of(m);
    if (kind == 0)
        return 0; /* of a newer server */
    /* The last place is for the one that tells how many are missing. */
    if (s->watch_queued + 1 >= WATCH_MAX) {
        s->watch_lost += kind == FORKSRV_EVENT_WATCH_LOST ? message_u64(m, ATTR_VALUE, 1) : 1;
        return 0;
    }
    struct watch_event *e = calloc(1, sizeof *e);
    if (e == NULL || fill(e, m, kind) < 0) {
        watch_event_free(e);
        s->watch_lost++;
        return 0;
    }
    event_queue(s, &e->event, kind, NULL);
    s->watch_queued++;
    return 0;
}

/* Told once the queue has been emptied that far: after the events that came before the gap. */
static bool take_lost(struct forksrv *s, struct forksrv_event *ret_event) {
    if (s->watch_lost == 0 || s->watch_queued > 0)
        return false;
    *ret_event = (struct forksrv_event){.kind = FORKSRV_EVENT_WATCH_LOST, .text = "", .count = s->watch_lost};
    s->watch_lost = 0;
    return true;
}

void event_done(struct forksrv *s) {
    struct event *e;
    while ((e = TAILQ_FIRST(&s->events)) != NULL) {
        event_drop(s, e);
        if (is_watch(e))
            watch_event_free((struct watch_event *)e);
    }
    watch_event_free(s->taken);
    s->taken = NULL;
}

/* ---- taking ---- */

static void give_watch(struct forksrv *s, struct watch_event *e, struct forksrv_event *ev) {
    s->watch_queued--;
    s->taken = e;
    ev->info = e->event.kind != FORKSRV_EVENT_WATCH_LOST ? &e->info : NULL;
    ev->error = e->error;
    ev->stage = e->stage;
    ev->text = e->text != NULL ? e->text : "";
    ev->count = e->count;
}

static void give(struct forksrv *s, struct event *e, struct forksrv_event *ret_event) {
    struct forksrv_event ev = {.kind = e->kind, .worker = e->worker, .text = ""};
    if (is_watch(e)) {
        give_watch(s, (struct watch_event *)e, &ev);
    } else if (e->kind == FORKSRV_EVENT_FAILED) {
        ev.error = forksrv_worker_failure(e->worker, &ev.stage, &ev.text);
    } else if (e->kind == FORKSRV_EVENT_CLOSED) {
        ev.error = s->lost_error;
        ev.text = s->lost_text;
    }
    *ret_event = ev;
}

int forksrv_next_event(struct forksrv *s, struct forksrv_event *ret_event) {
    watch_event_free(s->taken);
    s->taken = NULL;
    struct event *e = TAILQ_FIRST(&s->events);
    if (e == NULL || e->kind == FORKSRV_EVENT_CLOSED)
        if (take_lost(s, ret_event))
            return 1;
    if (e == NULL)
        return 0;
    event_drop(s, e);
    give(s, e, ret_event);
    return 1;
}

int forksrv_fd(const struct forksrv *s) {
    return s->fd;
}

int forksrv_events(const struct forksrv *s) {
    if (s->phase == PHASE_GREETING)
        return greet_events(s);
    if (s->phase != PHASE_OPEN)
        return 0;
    return wire_buf_len(&s->out) > 0 ? POLLIN | POLLOUT : POLLIN;
}

int forksrv_process(struct forksrv *s) {
    int r = session_ready(s);
    if (r == 0)
        r = pump_greet(s);
    if (r < 0)
        return r;
    pump_send(s);
    r = pump_receive(s);
    if (r < 0)
        return r;
    /* What was read may have made something to send. */
    pump_send(s);
    return s->phase == PHASE_LOST ? -ENOTCONN : 0;
}

static bool has_event(const void *arg) {
    const struct forksrv *s = arg;
    return !TAILQ_EMPTY(&s->events) || s->watch_lost > 0;
}

int forksrv_wait_event(struct forksrv *s, uint64_t timeout, struct forksrv_event *ret_event) {
    /* What is queued to be sent goes out once all events are taken: then it may be many requests in one write. */
    if (!has_event(s)) {
        int r = session_ready(s);
        if (r == 0)
            r = pump_until(s, has_event, s, deadline_after(timeout));
        if (r < 0)
            return r;
    }
    return forksrv_next_event(s, ret_event);
}
