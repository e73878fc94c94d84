/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queue for a slot. First come, first served, but for those whose own session or zygote is full: they hold up nobody else. It
 * knows no limit itself; it asks admit.c, and launch.c tries. */
#include "daemon/slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/launch.h"
#include "daemon/limits.h"
#include "daemon/session.h"

struct waiting {
    TAILQ_ENTRY(waiting) link;
    struct session *session;
    struct message m; /* its values are in `bytes` */
    uint8_t *bytes;   /* owned */
    struct load load;
    char why[REFUSAL_WHAT]; /* what refused it last */
    uint64_t since;
    sd_event_source *timer; /* owned: the end of its patience; NULL: it has no end */
    unsigned n_fds;
    int fds[]; /* owned */
};

static void enter(struct waiting *w, struct waiting *before) {
    struct session *s = w->session;
    struct daemon *d = s->d;
    if (before != NULL)
        TAILQ_INSERT_BEFORE(before, w, link);
    else
        TAILQ_INSERT_TAIL(&d->waiting, w, link);
    d->n_waiting++;
    s->n_waiting++;
    load_add(d, s, &w->load);
}

static void leave(struct waiting *w) {
    struct session *s = w->session;
    struct daemon *d = s->d;
    if (d->served_next == w)
        d->served_next = TAILQ_NEXT(w, link);
    TAILQ_REMOVE(&d->waiting, w, link);
    d->n_waiting--;
    s->n_waiting--;
    load_remove(d, s, &w->load);
}

static void waiting_free(struct waiting *w) {
    sd_event_source_disable_unref(w->timer);
    for (unsigned i = 0; i < w->n_fds; i++)
        close_fd(w->fds[i]);
    free(w->bytes);
    free(w);
}

/* ---- one comes ---- */

/* The message, whose bytes are about to be overwritten. */
static int keep_message(struct waiting *w, const struct message *m) {
    size_t size = (size_t)(m->end - m->start);
    w->bytes = malloc(size);
    if (w->bytes == NULL)
        return -ENOMEM;
    memcpy(w->bytes, m->start, size);
    w->m = *m;
    w->m.start = w->bytes;
    w->m.end = w->bytes + size;
    for (unsigned i = 0; i < ATTR_MAX; i++)
        if (m->attributes[i].data != NULL)
            w->m.attributes[i].data = w->bytes + (m->attributes[i].data - m->start);
    return 0;
}

static int on_patience(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct waiting *w = data;
    struct session *s = w->session;
    struct refusal now;
    char text[REFUSAL_TEXT];
    /* What it is now, if it is not the zygote's limit. */
    const char *why = admit(s, &now) < 0 ? now.what : w->why;
    unsigned long long msec = (daemon_now(s->d) - w->since) / 1000;
    snprintf(text, sizeof text, "%s, and no slot was free for %llu ms", why, msec);
    leave(w);
    launch_refuse(s, w->m.serial, EAGAIN, text);
    waiting_free(w);
    return 0;
}

static int keep(struct session *s, const struct message *m, int *fds, unsigned n_fds, const struct refusal *why) {
    struct daemon *d = s->d;
    uint64_t patience = message_u64(m, ATTR_SLOT_WAIT, 0);
    struct waiting *w = calloc(1, sizeof *w + n_fds * sizeof w->fds[0]);
    if (w == NULL)
        return -ENOMEM;
    w->session = s;
    w->since = daemon_now(d);
    snprintf(w->why, sizeof w->why, "%s", why->what);
    if (keep_message(w, m) < 0 || (patience != UINT64_MAX && daemon_timer(d, &w->timer, patience, on_patience, w) < 0)) {
        sd_event_source_disable_unref(w->timer);
        free(w->bytes);
        free(w);
        return -ENOMEM;
    }
    for (; w->n_fds < n_fds; w->n_fds++)
        w->fds[w->n_fds] = steal_fd(&fds[w->n_fds]);
    w->load = launch_load(m, n_fds);
    enter(w, NULL);
    return 0;
}

/* When no end of a worker will tell. */
static int serve_in(struct daemon *d, uint64_t usec);

void slots_wait(struct session *s, const struct message *m, int *fds, unsigned n_fds, const struct refusal *why) {
    const struct load load = launch_load(m, n_fds);
    struct refusal full;
    char text[REFUSAL_TEXT];
    int r = load_may_add(s->d, s, &load, &full);
    if (r < 0)
        launch_refuse(s, m->serial, -r, refusal_text(&full, text));
    else if (keep(s, m, fds, n_fds, why) < 0)
        launch_refuse(s, m->serial, ENOMEM, "no memory for waiting");
    else if (why->again != 0 && (r = serve_in(s->d, why->again)) < 0)
        session_lose(s, r);
    for (unsigned i = 0; i < n_fds; i++)
        close_fd(fds[i]);
}

/* ---- one may go ---- */

/* False: it waits again. */
static bool try(struct waiting *w, struct refusal *ret_refusal) {
    struct session *s = w->session;
    /* A zygote's request holds the same again; and an answer that finds no room ends the session, and all that it has here. */
    leave(w);
    bool waits = launch_try(s, &w->m, w->fds, w->n_fds, ret_refusal);
    if (!waits)
        w->n_fds = 0;
    if (!waits || s->ending) {
        waiting_free(w);
        return true;
    }
    snprintf(w->why, sizeof w->why, "%s", ret_refusal->what);
    enter(w, s->d->served_next);
    return false;
}

static int on_serve(sd_event_source *source, void *data) {
    (void)source;
    slots_serve(data);
    return 0;
}

static int on_serve_later(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    d->serve_at = 0;
    d->slots_scanned = 0;
    slots_changed(d);
    return 0;
}

static int serve_in(struct daemon *d, uint64_t usec) {
    uint64_t at = daemon_now(d) + usec;
    if (d->serve_at != 0 && d->serve_at <= at)
        return 0;
    d->serve_at = at;
    return daemon_timer(d, &d->serve_later, usec, on_serve_later, d);
}

void slots_changed(struct daemon *d) {
    if (d->n_waiting == 0)
        return;
    /* Many were looked at for nothing a moment ago. */
    if (d->slots_scanned > SLOT_SCAN) {
        serve_in(d, SLOT_SCAN_USEC);
        return;
    }
    d->slots_stale = true;
    if (d->serve == NULL)
        sd_event_add_defer(d->event, &d->serve, on_serve, d);
    else
        sd_event_source_set_enabled(d->serve, SD_EVENT_ONESHOT);
}

/* One that is refused by its zygote's limit has company: all that wait for the same one. */
static bool is_for(const struct waiting *w, const char *zygote) {
    const char *name = message_str(&w->m, ATTR_ZYGOTE);
    return zygote[0] != 0 && name != NULL && strcmp(name, zygote) == 0;
}

/* In their order, as far as they can be started. Returns how many wait no longer. */
static unsigned serve(struct daemon *d) {
    char full[LIMIT_ZYGOTE + 1] = "";
    unsigned done = 0;
    struct waiting *w;
    for (w = TAILQ_FIRST(&d->waiting); w != NULL; w = d->served_next) {
        struct refusal refusal = {0};
        /* What is told meanwhile may end sessions, and what they have here. */
        d->served_next = TAILQ_NEXT(w, link);
        d->slots_scanned++;
        if (is_for(w, full))
            continue;
        if (admit(w->session, &refusal) == 0 || refusal.final) {
            if (try(w, &refusal))
                done++;
            else if (message_has(&w->m, ATTR_ZYGOTE))
                snprintf(full, sizeof full, "%s", message_str(&w->m, ATTR_ZYGOTE));
        }
        if (refusal.again != 0)
            serve_in(d, refusal.again);
        if ((refusal.for_all && !refusal.final) || (done >= SLOT_BATCH && !d->stopping))
            break;
    }
    d->served_next = NULL;
    return done;
}

void slots_serve(struct daemon *d) {
    /* Nothing tells that time has passed. */
    bool time = d->config.max_starts_per_sec > 0 && d->slots_scanned <= SLOT_SCAN;
    bool due = d->slots_stale || d->stopping || time;
    if (d->n_waiting == 0 || !due)
        return;
    d->slots_stale = false;
    d->slots_scanned = 0;
    unsigned done = serve(d);
    if (done > 0)
        d->slots_scanned = 0;
    if (done >= SLOT_BATCH)
        slots_changed(d);
}

void slots_session_gone(struct session *s) {
    struct waiting *w, *next;
    for (w = TAILQ_FIRST(&s->d->waiting); w != NULL && s->n_waiting > 0; w = next) {
        next = TAILQ_NEXT(w, link);
        if (w->session != s)
            continue;
        leave(w);
        waiting_free(w);
    }
}

void slots_done(struct daemon *d) {
    d->serve = sd_event_source_disable_unref(d->serve);
    d->serve_later = sd_event_source_disable_unref(d->serve_later);
}
