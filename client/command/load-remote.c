/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes through forksrv: on one session, or with a connection and a handshake for each. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "command.h"
#include "load.h"
#include "say.h"

static int complain(const struct forksrv *session, int r) {
    say("%s", forksrv_error(session));
    return r;
}

/* 1 when a worker ended as it should, 0 for other events. Its handle is freed. */
static int take_event(const struct load_place *place, struct forksrv *session, const struct forksrv_event *e) {
    struct forksrv_end end;
    if (e->kind == FORKSRV_EVENT_STARTED || e->kind == FORKSRV_EVENT_OPENED)
        return 0;
    if (e->kind != FORKSRV_EVENT_ENDED) {
        say("%s", e->text);
        return e->error < 0 ? e->error : -EPROTO;
    }
    int r = forksrv_worker_end(e->worker, &end);
    forksrv_worker_free(e->worker);
    if (r < 0)
        return complain(session, r);
    if (end.code != 0) {
        say("%s: does not end with 0", place->argv[0]);
        return -ECANCELED;
    }
    return 1;
}

/* Takes what is there; returns the number of ends. */
static int drain(const struct load_place *place, struct forksrv *session) {
    struct forksrv_event e;
    int ends = 0;
    while (forksrv_next_event(session, &e) > 0) {
        int r = take_event(place, session, &e);
        if (r < 0)
            return r;
        ends += r;
    }
    return ends;
}

static int run_session(struct load_place *place, const struct forksrv_spec *spec, unsigned total, unsigned active) {
    unsigned submitted = 0, ended = 0;
    struct forksrv_event e;
    while (ended < total) {
        for (; submitted < total && submitted - ended < active; submitted++) {
            struct forksrv_worker *worker;
            int r = forksrv_submit(place->session, spec, &worker);
            if (r < 0)
                return complain(place->session, r);
        }
        int r = forksrv_wait_event(place->session, REPLY_TIMEOUT, &e);
        if (r <= 0)
            return complain(place->session, r < 0 ? r : -EPROTO);
        int first = take_event(place, place->session, &e);
        int more = first < 0 ? first : drain(place, place->session);
        if (more < 0)
            return more;
        ended += (unsigned)(first + more);
    }
    return 0;
}

int load_session_end(struct load_place *place, unsigned total, unsigned active) {
    return run_session(place, place->end, total, active);
}

int load_session_started(struct load_place *place, unsigned total, unsigned active) {
    return run_session(place, place->started, total, active);
}

static int connect_and_submit(const struct load_place *place, struct forksrv **ret_session) {
    struct forksrv_worker *worker;
    struct forksrv *session;
    int r = load_place_connect(place, &session);
    if (r < 0)
        return r;
    forksrv_set_lazy(session, 1);
    r = forksrv_open_start(session);
    if (r == 0)
        r = forksrv_submit(session, place->end, &worker);
    if (r == 0)
        r = forksrv_process(session);
    if (r < 0) {
        complain(session, r);
        forksrv_free(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

/* Waits for news on any connection. */
static int wait_for_news(struct forksrv **sessions, unsigned active) {
    struct pollfd p[LOAD_ACTIVE_MAX];
    for (unsigned i = 0; i < active; i++)
        p[i] = sessions[i] != NULL ? (struct pollfd){forksrv_fd(sessions[i]), (short)forksrv_events(sessions[i]), 0}
                                   : (struct pollfd){.fd = -1};
    if (poll(p, active, (int)(REPLY_TIMEOUT / 1000)) <= 0) {
        say("no answer from the instance");
        return -ETIMEDOUT;
    }
    for (unsigned i = 0; i < active; i++) {
        int r = p[i].revents != 0 ? forksrv_process(sessions[i]) : 0;
        if (r < 0)
            return complain(sessions[i], r);
    }
    return 0;
}

/* Frees the connections whose worker ended; returns how many. */
static int collect(const struct load_place *place, struct forksrv **sessions, unsigned active) {
    int ends = 0;
    for (unsigned i = 0; i < active; i++) {
        int n = sessions[i] != NULL ? drain(place, sessions[i]) : 0;
        if (n < 0)
            return n;
        if (n > 0) {
            forksrv_free(sessions[i]);
            sessions[i] = NULL;
        }
        ends += n;
    }
    return ends;
}

static int run_connections(struct load_place *place, struct forksrv **sessions, unsigned total, unsigned active) {
    unsigned started = 0, ended = 0;
    while (ended < total) {
        for (unsigned i = 0; i < active && started < total; i++) {
            if (sessions[i] != NULL)
                continue;
            int r = connect_and_submit(place, &sessions[i]);
            if (r < 0)
                return r;
            started++;
        }
        /* An end may have come while its request was being sent: then poll() would wait for nothing. */
        int n = collect(place, sessions, active);
        if (n == 0)
            n = wait_for_news(sessions, active);
        if (n < 0)
            return n;
        ended += (unsigned)n;
    }
    return 0;
}

int load_connection(struct load_place *place, unsigned total, unsigned active) {
    struct forksrv *sessions[LOAD_ACTIVE_MAX] = {NULL};
    int r = run_connections(place, sessions, total, active);
    for (unsigned i = 0; i < active; i++)
        forksrv_free(sessions[i]);
    return r;
}
