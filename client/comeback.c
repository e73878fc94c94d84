/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After a lost connection: the session is made anew, and its workers are asked for by the names of their jobs. Nothing is
 * submitted a second time here: what was never started fails, and its program knows that. */
#include "client/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/status.h"

enum { REAPED_USEC = 1000 * 1000 };

void comeback_name(struct forksrv_worker *w) {
    struct forksrv *s = w->session;
    if (s->return_time == 0 || s->lifeline >= 0)
        return;
    /* Random for each session, counted in it. */
    if (s->jobs == 0 && getrandom(s->job, sizeof s->job, GRND_NONBLOCK) != (ssize_t)sizeof s->job)
        return;
    s->jobs++;
    memcpy(w->job, s->job, sizeof s->job);
    memcpy(w->job + sizeof s->job, &s->jobs, sizeof s->jobs);
    w->has_job = true;
    w->since = deadline_after(1);
}

static bool is_open(const struct forksrv_worker *w) {
    return w->state == FORKSRV_STATE_SUBMITTED || w->state == FORKSRV_STATE_RUNNING;
}

bool comeback_is_wanted(const struct forksrv *s) {
    const struct forksrv_worker *w;
    if (s->return_time == 0 || s->phase != PHASE_OPEN || s->watches)
        return false;
    TAILQ_FOREACH(w, &s->workers, link)
    if (is_open(w) && (w->has_job || w->pid != 0 || w->attaching))
        return true;
    return false;
}

/* ---- ends that nobody tells ---- */

bool comeback_own_end(struct forksrv_worker *w) {
    int status;
    if (w->pidfd < 0 || status_of_pidfd(w->pidfd, &status) <= 0)
        return false;
    w->end = (struct forksrv_end){.code = -1};
    if (WIFEXITED(status)) {
        w->end.code = WEXITSTATUS(status);
        w->end.reason = FORKSRV_REASON_EXITED;
    } else {
        w->end.signo = WTERMSIG(status);
        w->end.core_dumped = WCOREDUMP(status) != 0;
        w->end.reason = FORKSRV_REASON_SIGNALLED;
    }
    w->state = FORKSRV_STATE_ENDED;
    return true;
}

bool comeback_wait(struct forksrv_worker *w, uint64_t deadline) {
    if (w->pidfd < 0 || deadline_poll(w->pidfd, POLLIN, deadline) <= 0)
        return false;
    /* Its parent takes a moment to reap it. */
    for (unsigned i = 0; i < REAPED_USEC / AGAIN_USEC; i++) {
        int status;
        if (comeback_own_end(w))
            return true;
        if (status_of_pidfd(w->pidfd, &status) < 0)
            return false;
        usleep(AGAIN_USEC);
    }
    return false;
}

void comeback_tell(struct forksrv_worker *w, int error) {
    struct forksrv *s = w->session;
    if (w->state == FORKSRV_STATE_SUBMITTED && error == -ESRCH) {
        w->state = FORKSRV_STATE_FAILED;
        w->failure = -ECONNRESET;
        w->stage = FORKSRV_STAGE_REQUEST;
        w->text = strdup("request: the connection was lost before it was started: it can be submitted again");
        event_queue(s, &w->ended, FORKSRV_EVENT_FAILED, w);
        return;
    }
    if (!comeback_own_end(w)) {
        w->end = (struct forksrv_end){.code = -1};
        w->state = FORKSRV_STATE_LOST;
    }
    event_queue(s, &w->ended, FORKSRV_EVENT_ENDED, w);
}

/* ---- a new connection ---- */

static void forget_stream(struct forksrv *s) {
    wire_buf_consume(&s->in, wire_buf_len(&s->in), 0);
    wire_buf_consume(&s->out, wire_buf_len(&s->out), 0);
    session_free_batches(s);
    fd_queue_done(&s->in_fds);
    s->sent = 0;
    s->deaf = s->stuck = false;
}

/* Under the number that the old one had: the program may be about to poll it. */
static int connect_again(struct forksrv *s, uint64_t deadline) {
    int old = s->fd, r;
    s->phase = PHASE_NEW;
    for (;;) {
        s->fd = -1;
        r = connect_greet(s, deadline);
        if (r == 0 || !(connect_may_pass(s, r) || r == -ECONNREFUSED || r == -EAGAIN) || deadline_left(deadline) < AGAIN_USEC)
            break;
        usleep(AGAIN_USEC);
    }
    s->phase = PHASE_OPEN;
    key_used(s);
    if (r == 0) {
        r = dup3(s->fd, old, O_CLOEXEC) < 0 ? -errno : 0;
        close_fd(s->fd);
    }
    s->fd = old;
    return r;
}

/* Whoever waits for an answer hears that it does not come, and may ask again. */
static void fail_calls(struct forksrv *s) {
    for (uint32_t i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->kind == SLOT_CALL) {
            slot->call->done = true;
            slot->call->result = session_fail(s, -ECONNRESET, "the connection to %s was lost and made anew: ask again", s->peer);
        }
        if (slot->kind != SLOT_FREE && slot->kind != SLOT_WORKER)
            slot_release(s, i + 1);
    }
}

static void ask_for(struct forksrv_worker *w) {
    /* What a server says of one that it has never been asked for is the answer. */
    w->returning = !w->attaching;
    if (worker_ask(w) >= 0)
        return;
    slot_release(w->session, w->serial);
    w->serial = 0;
    comeback_tell(w, -ENOMEM);
}

int comeback(struct forksrv *s) {
    struct forksrv_worker *w;
    forget_stream(s);
    int r = connect_again(s, deadline_after(s->return_time));
    if (r < 0)
        return r;
    fail_calls(s);
    TAILQ_FOREACH(w, &s->workers, link)
    if (is_open(w))
        ask_for(w);
    pump_send(s);
    return 0;
}
