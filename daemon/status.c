/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The instance's state in numbers: what `forksrv status` shows. Every limit is there by its name, and how much of it is used; of
 * one for each session, by the session that uses most. */
#include <errno.h>
#include <unistd.h>

#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/report.h"
#include "daemon/start.h"
#include "daemon/zygote.h"

struct answer {
    struct message_writer m;
};

static void number(struct answer *a, const char *key, uint64_t v) {
    message_open_record(&a->m);
    message_put_str(&a->m, ATTR_KEY, key);
    message_put_u64(&a->m, ATTR_VALUE, v);
    message_close_record(&a->m);
}

static void text(struct answer *a, const char *key, const char *v) {
    message_open_record(&a->m);
    message_put_str(&a->m, ATTR_KEY, key);
    message_put_str(&a->m, ATTR_TEXT, v);
    message_close_record(&a->m);
}

/* The most that one session has, and all of them together. */
struct use {
    uint64_t workers, at_gates, waits, answers, answer_fds, all_answers, messages, message_fds, all_messages;
    struct load load;
};

static void at_least(uint64_t *most, uint64_t v) {
    if (v > *most)
        *most = v;
}

static struct use measure(const struct daemon *d) {
    struct use u = {0};
    const struct session *s;
    TAILQ_FOREACH(s, &d->sessions, link) {
        at_least(&u.workers, s->n_workers);
        at_least(&u.at_gates, s->n_gated);
        at_least(&u.waits, s->n_waiters);
        at_least(&u.answers, wire_buf_len(&s->out));
        at_least(&u.answer_fds, s->n_out_fds);
        at_least(&u.messages, wire_buf_len(&s->in));
        at_least(&u.message_fds, s->fds.count);
        at_least(&u.load.bytes, s->load.bytes);
        u.load.requests = s->load.requests > u.load.requests ? s->load.requests : u.load.requests;
        u.load.fds = s->load.fds > u.load.fds ? s->load.fds : u.load.fds;
        u.all_answers += wire_buf_len(&s->out);
        u.all_messages += wire_buf_len(&s->in);
    }
    return u;
}

/* Nobody else may connect but the owner, root and those of AllowUsers=; after a reload some may be left who no longer may. */
static uint64_t most_of_a_user(const struct daemon *d) {
    enum { USERS = CONFIG_USERS + 2 };
    const struct session *s;
    uid_t users[USERS];
    uint64_t counts[USERS] = {0}, most = 0;
    unsigned n = 0;
    TAILQ_FOREACH(s, &d->peers, link) {
        unsigned i = 0;
        while (i < n && users[i] != s->peer.uid)
            i++;
        if (i == USERS)
            continue;
        if (i == n)
            users[n++] = s->peer.uid;
        at_least(&most, ++counts[i]);
    }
    return most;
}

static void put_workers(struct answer *a, struct daemon *d, const struct use *u) {
    number(a, "workers.most-of-a-session", u->workers);
    number(a, "workers.starting", starter_busy(d->starter));
    number(a, "workers.at-gates", d->n_gated);
    number(a, "workers.at-gates-most-of-a-session", u->at_gates);
    number(a, "workers.starts-left", admit_starts_left(d));
}

static void put_queues(struct answer *a, struct daemon *d, const struct use *u) {
    number(a, "requests.waiting", d->load.requests);
    number(a, "requests.waiting-for-slot", d->n_waiting);
    number(a, "requests.waiting-most-of-a-session", u->load.requests);
    number(a, "requests.bytes", d->load.bytes);
    number(a, "requests.bytes-most-of-a-session", u->load.bytes);
    number(a, "requests.fds", d->load.fds);
    number(a, "requests.fds-most-of-a-session", u->load.fds);
    number(a, "sessions.waits-most-of-a-session", u->waits);
    number(a, "messages.bytes", u->all_messages);
    number(a, "messages.bytes-most-of-a-session", u->messages);
    number(a, "messages.fds-most-of-a-session", u->message_fds);
    number(a, "answers.bytes", u->all_answers);
    number(a, "answers.bytes-most-of-a-session", u->answers);
    number(a, "answers.fds-most-of-a-session", u->answer_fds);
    number(a, "connections.most-of-a-user", most_of_a_user(d));
    number(a, "connections.failures-left", listener_failures_left(d));
}

static void put_counters(struct answer *a, const struct daemon *d) {
    const struct counters *c = &d->counters;
    number(a, "workers.live", d->n_workers);
    number(a, "workers.ends-kept", d->n_ended);
    number(a, "workers.started", c->started);
    number(a, "workers.failed", c->failed);
    number(a, "workers.ended", c->ended);
    number(a, "zygotes.running", zygotes_running(d));
    number(a, "zygotes.started", c->zygotes_started);
    number(a, "zygotes.forks", c->forks);
    number(a, "sessions.open", d->n_sessions);
    number(a, "sessions.authenticated", c->authenticated);
    number(a, "sessions.protocol-errors", c->protocol_errors);
    number(a, "connections.unauthenticated", d->n_peers);
    number(a, "connections.accepted", c->accepted);
    number(a, "connections.refused-uid", c->refused);
    number(a, "connections.failed-authentication", c->auth_failed);
    number(a, "connections.timed-out", c->timed_out);
    number(a, "connections.dropped-for-newer", c->dropped);
    number(a, "limits.hit", c->limits_hit);
}

static void put_limits(struct answer *a, const struct config *c) {
    number(a, "limit.workers", c->max_workers);
    number(a, "limit.workers-per-session", c->max_workers_per_session);
    number(a, "limit.starts-per-second", c->max_starts_per_sec > 0 ? c->max_starts_per_sec : UINT64_MAX);
    number(a, "limit.starts-at-once", c->max_starts_per_sec > 0 ? c->starts_burst : UINT64_MAX);
    number(a, "limit.waiting", c->max_waiting);
    number(a, "limit.waiting-per-session", c->max_waiting_per_session);
    number(a, "limit.request-bytes", c->max_memory);
    number(a, "limit.request-bytes-per-session", c->max_memory_per_session);
    number(a, "limit.request-fds", c->max_fds);
    number(a, "limit.request-fds-per-session", c->max_fds_per_session);
    number(a, "limit.sessions", c->max_sessions);
    number(a, "limit.unauthenticated", c->max_unauthenticated);
    number(a, "limit.unauthenticated-per-user", c->max_unauthenticated_per_user);
    number(a, "limit.handshake-usec", c->handshake_timeout);
    number(a, "limit.ends-kept", c->keep_ends);
    number(a, "limit.ends-kept-usec", c->keep_ends_time);
    number(a, "limit.return-usec", c->return_time);
    number(a, "setting.grace-usec", c->grace);
    number(a, "setting.idle-exit-usec", c->idle_exit);
}

static void put_fixed(struct answer *a) {
    number(a, "limit.failed-handshakes-per-second", FAILURE_RATE);
    number(a, "limit.failed-handshakes-at-once", FAILURE_BURST);
    number(a, "limit.starting", START_SLOTS);
    number(a, "limit.at-gates", GATES);
    number(a, "limit.at-gates-per-session", GATES_OF_SESSION);
    number(a, "limit.forking-per-zygote", ZYGOTE_IN_FLIGHT);
    number(a, "limit.waits-per-session", SESSION_WAITS);
    number(a, "limit.answer-bytes-per-session", SESSION_OUT_MAX);
    number(a, "limit.answer-bytes-before-pause", SESSION_OUT_HIGH);
    number(a, "limit.answer-bytes-before-events-lost", SESSION_OUT_WATCH);
    number(a, "limit.answer-fds-before-pause", SESSION_OUT_FDS);
    number(a, "limit.message-bytes", LIMIT_FRAME);
    number(a, "limit.message-fds", FD_QUEUE_MAX);
    number(a, "limit.arguments-bytes", LIMIT_ARGS);
    number(a, "limit.arguments", LIMIT_STRINGS);
    number(a, "limit.mapped-fds", LIMIT_MAPPED_FDS);
}

void report_status(struct session *s, uint32_t serial) {
    struct daemon *d = s->d;
    struct answer a;
    /* Before the answer is begun, which would count. */
    const struct use use = measure(d);
    message_begin(&a.m, &s->out, MSG_STATUS_REPLY, 0, serial);
    text(&a, "version", PACKAGE_VERSION);
    text(&a, "state", d->stopping ? "stopping" : "running");
    text(&a, "flavour", d->private_instance ? "private" : d->session_flavour ? "session" : "system");
    text(&a, "cgroups",
         d->cgroup.dir < 0            ? "not available"
         : d->cgroup.controllers == 0 ? "without controllers"
                                      : "with controllers");
    number(&a, "pid", (uint64_t)getpid());
    number(&a, "uid", d->uid);
    number(&a, "uptime-usec", daemon_now(d) - d->started_at);
    put_counters(&a, d);
    put_workers(&a, d, &use);
    put_queues(&a, d, &use);
    put_limits(&a, &d->config);
    put_fixed(&a);
    if (message_end(&a.m) < 0)
        session_lose(s, -ENOMEM);
    session_dirty(s);
}
