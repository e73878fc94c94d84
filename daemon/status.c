/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The instance's state in numbers: what `forksrv status` shows. */
#include <unistd.h>

#include "daemon/limits.h"
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
    number(a, "limit.sessions", c->max_sessions);
    number(a, "limit.unauthenticated", c->max_unauthenticated);
    number(a, "limit.unauthenticated-per-user", c->max_unauthenticated_per_user);
    number(a, "limit.handshake-usec", c->handshake_timeout);
    number(a, "limit.failed-handshakes-per-second", FAILURE_RATE);
    number(a, "limit.starting", START_SLOTS);
    number(a, "limit.ends-kept", c->keep_ends);
    number(a, "limit.ends-kept-usec", c->keep_ends_time);
    number(a, "setting.grace-usec", c->grace);
    number(a, "setting.idle-exit-usec", c->idle_exit);
}

void report_status(struct session *s, uint32_t serial) {
    struct daemon *d = s->d;
    struct answer a;
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
    put_limits(&a, &d->config);
    if (message_end(&a.m) < 0)
        session_end(s);
    session_dirty(s);
}
