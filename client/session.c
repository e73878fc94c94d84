/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session's life: made, set up, lost, freed. It does no I/O but the last attempt to send what is still queued. */
#include "client/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

unsigned forksrv_abi(void) {
    return FORKSRV_ABI;
}

const char *forksrv_version(void) {
    return PACKAGE_VERSION;
}

const char *error_text(int r) {
    const char *text = strerrordesc_np(-r);
    return text != NULL ? text : "unknown error";
}

int session_fail(struct forksrv *s, int r, const char *format, ...) {
    /* The text may quote the one that it replaces. */
    char text[ERROR_TEXT];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    memcpy(s->error, text, sizeof text);
    return r;
}

/* Nobody tells its end any more, but the kernel may. */
static void lose_worker(struct forksrv_worker *w) {
    if (comeback_own_end(w))
        event_queue(w->session, &w->ended, FORKSRV_EVENT_ENDED, w);
    else
        w->state = FORKSRV_STATE_LOST;
}

int session_lose(struct forksrv *s, int error, const char *format, ...) {
    if (s->phase == PHASE_LOST)
        return -ENOTCONN;
    va_list ap;
    va_start(ap, format);
    vsnprintf(s->lost_text, sizeof s->lost_text, format, ap);
    va_end(ap);
    s->phase = PHASE_LOST;
    s->lost_error = error;
    struct forksrv_worker *w;
    TAILQ_FOREACH(w, &s->workers, link)
    if (w->state == FORKSRV_STATE_SUBMITTED || w->state == FORKSRV_STATE_RUNNING)
        lose_worker(w);
    for (uint32_t i = 0; i < s->n_slots; i++)
        if (s->slots[i].kind == SLOT_CALL) {
            s->slots[i].call->done = true;
            s->slots[i].call->result = -ENOTCONN;
        }
    event_queue(s, &s->closed, FORKSRV_EVENT_CLOSED, NULL);
    return session_fail(s, -ENOTCONN, "%s", s->lost_text);
}

void session_free_batches(struct forksrv *s) {
    struct fd_batch *b;
    while ((b = STAILQ_FIRST(&s->out_fds)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->out_fds, link);
        for (unsigned i = 0; i < b->count; i++)
            close_fd(b->fds[i]);
        free(b);
    }
}

int session_refused(struct forksrv *s, int error) {
    char text[LIMIT_TEXT];
    struct forksrv_worker *w;
    size_t n = strnlen(s->error, sizeof text - 1);
    memcpy(text, s->error, n);
    text[n] = 0;
    TAILQ_FOREACH(w, &s->workers, link) {
        if (w->state != FORKSRV_STATE_SUBMITTED)
            continue;
        w->state = FORKSRV_STATE_FAILED;
        w->failure = error;
        w->serial = 0;
        w->text = strdup(text);
        event_queue(s, &w->ended, FORKSRV_EVENT_FAILED, w);
    }
    session_free_batches(s);
    return session_lose(s, error, "%s", text);
}

int session_ready(struct forksrv *s) {
    if (s->phase == PHASE_OPEN || s->phase == PHASE_GREETING)
        return 0;
    if (s->phase == PHASE_LOST)
        return session_fail(s, -ENOTCONN, "the session was lost: %s", s->lost_text);
    return session_fail(s, -ENOTCONN, "the session is not open: call forksrv_open first");
}

int forksrv_new(struct forksrv **ret_session) {
    struct forksrv *s = calloc(1, sizeof *s);
    if (s == NULL)
        return -ENOMEM;
    s->fd = s->lifeline = -1;
    s->timeout = 10 * 1000 * 1000;
    wire_buf_init(&s->in, LIMIT_FRAME + 2 * RECEIVE);
    wire_buf_init(&s->out, 0);
    fd_queue_init(&s->in_fds);
    STAILQ_INIT(&s->out_fds);
    TAILQ_INIT(&s->workers);
    TAILQ_INIT(&s->events);
    *ret_session = s;
    return 0;
}

void forksrv_free(struct forksrv *s) {
    if (s == NULL)
        return;
    /* A signal or a detached worker that was submitted just before shall not be lost where it can be helped. */
    if (s->phase == PHASE_OPEN)
        pump_send(s);
    struct forksrv_worker *w;
    while ((w = TAILQ_FIRST(&s->workers)) != NULL)
        forksrv_worker_free(w);
    event_done(s);
    greet_done(s);
    close_fd(s->fd);
    close_fd(s->lifeline);
    key_erase(s);
    session_free_batches(s);
    fd_queue_done(&s->in_fds);
    wire_buf_done(&s->in);
    wire_buf_done(&s->out);
    free(s->slots);
    free(s->address);
    free(s->user);
    free(s->authkey_file);
    free(s->daemon);
    free(s->peer);
    free(s);
}

static int may_set(struct forksrv *s) {
    if (s->phase == PHASE_NEW)
        return 0;
    return session_fail(s, -EISCONN, "the session is open already: its settings cannot be changed any more");
}

static int set_string(struct forksrv *s, char **where, const char *value, size_t max, const char *what) {
    int r = may_set(s);
    if (r < 0)
        return r;
    char *copy = NULL;
    if (value != NULL) {
        size_t n = strnlen(value, max);
        if (n == 0 || n == max)
            return session_fail(s, -EINVAL, "the %s must have 1 to %zu bytes", what, max - 1);
        copy = strdup(value);
        if (copy == NULL)
            return session_fail(s, -ENOMEM, "out of memory");
    }
    free(*where);
    *where = copy;
    return 0;
}

int forksrv_set_address(struct forksrv *s, const char *path) {
    return set_string(s, &s->address, path, sizeof((struct candidate *)NULL)->path, "address");
}

int forksrv_set_user(struct forksrv *s, const char *user) {
    /* It becomes part of paths. */
    if (user != NULL && (strchr(user, '/') != NULL || strcmp(user, ".") == 0 || strcmp(user, "..") == 0))
        return session_fail(s, -EINVAL, "'%.64s' is no name of a user", user);
    return set_string(s, &s->user, user, 65, "user");
}

int forksrv_set_authkey_file(struct forksrv *s, const char *path) {
    return set_string(s, &s->authkey_file, path, LIMIT_PATH, "path of the authkey file");
}

int forksrv_set_daemon(struct forksrv *s, const char *path) {
    return set_string(s, &s->daemon, path, LIMIT_PATH, "path of forksrvd");
}

int forksrv_set_authkey(struct forksrv *s, const void *key, size_t size) {
    int r = may_set(s);
    if (r < 0)
        return r;
    if (key == NULL) {
        key_erase(s);
        return 0;
    }
    if (size != LIMIT_AUTHKEY)
        return session_fail(s, -EINVAL, "the authkey must have exactly %d bytes, not %zu", LIMIT_AUTHKEY, size);
    r = key_reserve(s);
    if (r < 0)
        return r;
    memcpy(s->key, key, size);
    s->key_given = true;
    return 0;
}

int forksrv_set_timeout(struct forksrv *s, uint64_t usec) {
    int r = may_set(s);
    if (r < 0)
        return r;
    s->timeout = usec;
    return 0;
}

int forksrv_set_return_time(struct forksrv *s, uint64_t usec) {
    int r = may_set(s);
    if (r < 0)
        return r;
    s->return_time = usec;
    return 0;
}

int forksrv_set_lazy(struct forksrv *s, int lazy) {
    int r = may_set(s);
    if (r < 0)
        return r;
    s->lazy = lazy != 0;
    return 0;
}

const char *forksrv_error(const struct forksrv *s) {
    return s->error;
}

const char *forksrv_address(const struct forksrv *s) {
    return s->peer != NULL ? s->peer : "";
}
