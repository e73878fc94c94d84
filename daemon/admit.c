/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limits that a request can meet, each by its name. It starts nothing and keeps no request: launch.c and fork.c do the one,
 * slots.c the other. */
#include "daemon/admit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "daemon/session.h"

static unsigned long long number(uint64_t v) {
    return v;
}

const char *refusal_text(const struct refusal *r, char text[REFUSAL_TEXT]) {
    if (r->error != -EAGAIN)
        snprintf(text, REFUSAL_TEXT, "%s", r->what);
    else if (r->again != 0)
        snprintf(text, REFUSAL_TEXT, "%s, try again in %llu ms", r->what, number((r->again + 999) / 1000));
    else
        snprintf(text, REFUSAL_TEXT, "%s, try again later", r->what);
    return text;
}

bool refusal_may_pass(const struct refusal *r) {
    return r->error == -EAGAIN && !r->final;
}

int refusal_set(struct refusal *r, const char *what, ...) {
    va_list args;
    *r = (struct refusal){.error = -EAGAIN};
    va_start(args, what);
    vsnprintf(r->what, sizeof r->what, what, args);
    va_end(args);
    return r->error;
}

static int refuse_all(struct refusal *r, const char *what, uint64_t limit, uint64_t again) {
    refusal_set(r, "%s=%llu is reached", what, number(limit));
    r->again = again;
    r->for_all = true;
    return r->error;
}

int admit_place(const struct session *s, struct refusal *ret_refusal) {
    const struct daemon *d = s->d;
    const struct config *c = &d->config;
    if (d->stopping) {
        refusal_set(ret_refusal, "this instance is being stopped and starts nothing new");
        ret_refusal->for_all = ret_refusal->final = true;
        return ret_refusal->error = -ESHUTDOWN;
    }
    if (d->n_workers >= c->max_workers)
        return refuse_all(ret_refusal, "MaxWorkers", c->max_workers, 0);
    if (s->n_workers >= c->max_workers_per_session)
        return refusal_set(ret_refusal, "MaxWorkersPerSession=%llu is reached", number(c->max_workers_per_session));
    return 0;
}

int admit(const struct session *s, struct refusal *ret_refusal) {
    struct daemon *d = s->d;
    const struct config *c = &d->config;
    int r = admit_place(s, ret_refusal);
    if (r < 0 || c->max_starts_per_sec == 0)
        return r;
    bucket_refill(&d->starts, daemon_now(d), c->max_starts_per_sec);
    uint64_t wait = bucket_wait(&d->starts, c->max_starts_per_sec, c->starts_burst);
    return wait == 0 ? 0 : refuse_all(ret_refusal, "MaxStartsPerSec", c->max_starts_per_sec, wait);
}

void admit_started(struct daemon *d) {
    if (d->config.max_starts_per_sec > 0)
        bucket_take(&d->starts, d->config.starts_burst);
}

uint64_t admit_starts_left(struct daemon *d) {
    if (d->config.max_starts_per_sec == 0)
        return UINT64_MAX;
    bucket_refill(&d->starts, daemon_now(d), d->config.max_starts_per_sec);
    return bucket_left(&d->starts, d->config.starts_burst);
}

void admit_refused(const struct session *s, const char *text) {
    s->d->counters.limits_hit++;
    log_line(LOG_WARNING, LOG_KIND_LIMIT, &s->peer, "a worker was refused: %s", text);
}

/* ---- what waits ---- */

static int exceeds(uint64_t now, uint64_t more, uint64_t limit, const char *name, struct refusal *r) {
    if (now + more <= limit)
        return 0;
    refusal_set(r, "%s=%llu would be exceeded by what waits", name, number(limit));
    r->final = true;
    return r->error;
}

int load_may_add(const struct daemon *d, const struct session *s, const struct load *l, struct refusal *ret_refusal) {
    static const struct load none;
    const struct config *c = &d->config;
    const struct load *all = &d->load, *own = s != NULL ? &s->load : &none;
    const struct {
        uint64_t now, more, limit;
        const char *name;
    } bounds[] = {
        {own->requests, l->requests, c->max_waiting_per_session, "MaxWaitingPerSession"},
        {own->bytes, l->bytes, c->max_memory_per_session, "MaxMemoryPerSession"},
        {own->fds, l->fds, c->max_fds_per_session, "MaxFdsPerSession"},
        {all->requests, l->requests, c->max_waiting, "MaxWaiting"},
        {all->bytes, l->bytes, c->max_memory, "MaxMemory"},
        {all->fds, l->fds, c->max_fds, "MaxFds"},
    };
    for (unsigned i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        if (exceeds(bounds[i].now, bounds[i].more, bounds[i].limit, bounds[i].name, ret_refusal) < 0)
            return ret_refusal->error;
    return 0;
}

static void change(struct load *load, const struct load *l, bool more) {
    load->requests += more ? l->requests : -l->requests;
    load->fds += more ? l->fds : -l->fds;
    load->bytes += more ? l->bytes : -l->bytes;
}

void load_add(struct daemon *d, struct session *s, const struct load *l) {
    change(&d->load, l, true);
    if (s != NULL)
        change(&s->load, l, true);
}

void load_remove(struct daemon *d, struct session *s, const struct load *l) {
    change(&d->load, l, false);
    if (s != NULL)
        change(&s->load, l, false);
}
