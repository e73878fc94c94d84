/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a zygote is started, stopped, replaced, tried again. It knows no sockets and no messages of theirs. */
#include "daemon/zygote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/report.h"
#include "daemon/request.h"
#include "daemon/table.h"

static const uint64_t second = 1000000;

/* Of a text that has more around it. */
enum { TEXT_PART = LIMIT_TEXT - 256 };

/* One of those up to that id. */
static bool is_running(const struct zygote *z, uint64_t last) {
    const struct incarnation *i;
    TAILQ_FOREACH(i, &z->d->incarnations, link)
    if (i->zygote == z && i->derived == NULL && i->state != INCARNATION_GONE && i->id <= last)
        return true;
    return false;
}

/* ---- who asked for something ---- */

static void forget_asker(struct zygote *z, struct asker *a) {
    TAILQ_REMOVE(&z->askers, a, link);
    a->session->n_waiters--;
    free(a);
}

void zygote_forget_askers(struct zygote *z) {
    while (!TAILQ_EMPTY(&z->askers))
        forget_asker(z, TAILQ_FIRST(&z->askers));
}

/* text NULL: DONE. action 0: all. */
static void answer(struct zygote *z, enum zygote_action action, int error, const char *text) {
    struct asker *a, *next;
    char whole[LIMIT_TEXT];
    if (text != NULL)
        snprintf(whole, sizeof whole, "zygote %s: %.*s", z->name, TEXT_PART, text);
    for (a = TAILQ_FIRST(&z->askers); a != NULL; a = next) {
        next = TAILQ_NEXT(a, link);
        if (action != 0 && a->action != action)
            continue;
        struct session *s = a->session;
        uint32_t serial = a->serial;
        forget_asker(z, a);
        if (text != NULL)
            report_error(s, serial, error, whole);
        else
            report_done(s, serial);
    }
}

/* A STOP is done once those have ended that ran when it came; meanwhile others may have been started. */
static void answer_stops(struct zygote *z) {
    struct asker *a, *next;
    for (a = TAILQ_FIRST(&z->askers); a != NULL; a = next) {
        next = TAILQ_NEXT(a, link);
        if (a->action != ZYGOTE_STOP || is_running(z, a->last))
            continue;
        report_done(a->session, a->serial);
        forget_asker(z, a);
    }
}

void zygote_session_gone(struct session *s) {
    struct zygote *z;
    struct asker *a, *next;
    TAILQ_FOREACH(z, &s->d->zygotes, link) {
        for (a = TAILQ_FIRST(&z->askers); a != NULL; a = next) {
            next = TAILQ_NEXT(a, link);
            if (a->session == s)
                forget_asker(z, a);
        }
    }
}

/* ---- trouble ---- */

static void set_trouble(struct zygote *z, const char *text) {
    free(z->trouble);
    z->trouble = text != NULL ? strdup(text) : NULL;
}

static void fail_waiting(struct zygote *z, int error, const char *why) {
    struct fork_request *r;
    char text[LIMIT_TEXT];
    snprintf(text, sizeof text, "%s: %.*s", z->name, TEXT_PART, why);
    while ((r = TAILQ_FIRST(&z->waiting)) != NULL)
        fork_fail(r, error, text);
}

static void delay_next(struct zygote *z, bool was_ready) {
    uint64_t delay = ZYGOTE_AGAIN_USEC, most = ZYGOTE_AGAIN_MAX_SEC * second;
    unsigned doubled = z->crashes++;
    if (was_ready && doubled == 0)
        return;
    for (; doubled > was_ready && delay < most; doubled--)
        delay *= 2;
    z->not_before = daemon_now(z->d) + (delay < most ? delay : most);
}

static int on_again(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    zygote_pump(data);
    return 0;
}

/* ---- the start ---- */

static void start(struct zygote *z, struct incarnation **which) {
    char text[LIMIT_TEXT];
    z->not_before = 0;
    z->stopped = false;
    if (incarnation_start(z, which, text) >= 0)
        return;
    log_line(LOG_ERR, LOG_KIND_ZYGOTE, NULL, "zygote %s: %s", z->name, text);
    set_trouble(z, text);
    delay_next(z, false);
    answer(z, 0, EIO, text);
    if (which == &z->current)
        fail_waiting(z, EIO, text);
}

/* It failed a moment ago: who asks now hears why, and does not make it fail again. */
static void refuse(struct zygote *z) {
    char text[LIMIT_TEXT];
    uint64_t left = (z->not_before - daemon_now(z->d)) / 1000 + 1;
    snprintf(text, sizeof text, "%.*s (the next try comes in %llu ms, or by forksrv zygote warm %s)", TEXT_PART,
             z->trouble != NULL ? z->trouble : "it failed", (unsigned long long)left, z->name);
    fail_waiting(z, EIO, text);
}

static bool is_wanted(const struct zygote *z) {
    return z->n_waiting > 0 || (z->declaration.warm && z->declared && !z->stopped);
}

static void want(struct zygote *z) {
    if (z->d->stopping || !is_wanted(z))
        return;
    uint64_t now = daemon_now(z->d);
    if (z->not_before <= now) {
        start(z, &z->current);
        return;
    }
    refuse(z);
    if (z->declaration.warm)
        daemon_timer(z->d, &z->again, z->not_before - now, on_again, z);
}

static void send_waiting(struct zygote *z) {
    struct incarnation *i = z->current;
    while (z->n_waiting > 0 && z->current == i && i->state == INCARNATION_READY && i->sock >= 0 && i->n_sent < ZYGOTE_IN_FLIGHT) {
        struct fork_request *r = TAILQ_FIRST(&z->waiting);
        int e = conversation_send(i, r);
        if (e == -EAGAIN || e == -EPIPE || e == -ECONNRESET)
            return;
        if (e < 0) {
            char text[160];
            snprintf(text, sizeof text, "%s: the request cannot be sent: %s", z->name, strerror(-e));
            fork_fail(r, -e, text);
            continue;
        }
        TAILQ_REMOVE(&z->waiting, r, link);
        z->n_waiting--;
        r->queued = false;
        r->sent_to = i;
        if (r->worker->record != NULL)
            r->worker->record->incarnation = i->id;
        r->doubted = false;
        r->due = daemon_now(z->d) + ZYGOTE_FORK_SEC * second;
        TAILQ_INSERT_TAIL(&i->sent, r, link);
        i->n_sent++;
        incarnation_watch_sent(i);
    }
}

void zygote_pump(struct zygote *z) {
    if (z->current == NULL)
        want(z);
    if (z->current != NULL)
        send_waiting(z);
    zygote_check_idle(z);
}

void zygote_request(struct zygote *z, struct fork_request *r) {
    TAILQ_INSERT_TAIL(&z->waiting, r, link);
    z->n_waiting++;
    r->queued = true;
    zygote_pump(z);
}

void zygotes_warm(struct daemon *d) {
    struct zygote *z;
    TAILQ_FOREACH(z, &d->zygotes, link)
    if (z->declaration.warm && z->declared)
        zygote_pump(z);
}

/* ---- what becomes of a process ---- */

void zygote_is_ready(struct zygote *z, struct incarnation *i, const char *warning) {
    uint64_t now = daemon_now(z->d);
    z->preload = now - i->started;
    z->warm_since = now;
    if (warning != NULL)
        log_line(LOG_WARNING, LOG_KIND_ZYGOTE, NULL, "zygote %s: %s", z->name, warning);
    log_line(LOG_INFO, LOG_KIND_ZYGOTE, NULL, "zygote %s is warm after %llu ms (pid %d)", z->name,
             (unsigned long long)(z->preload / 1000), (int)i->pid);
    set_trouble(z, warning);
    if (i == z->next) {
        if (z->current != NULL)
            incarnation_leave(z->current);
        z->current = i;
        z->next = NULL;
        answer(z, ZYGOTE_RELOAD, 0, NULL);
    }
    answer(z, ZYGOTE_WARM, 0, NULL);
    if (z->next == NULL)
        answer(z, ZYGOTE_RELOAD, 0, NULL);
    zygote_pump(z);
}

static void crashed(struct zygote *z, struct incarnation *i, const char *why) {
    uint64_t now = daemon_now(z->d);
    bool was_ready = i == z->current && z->warm_since > i->started;
    if (was_ready && now - z->warm_since >= ZYGOTE_HEALTHY_SEC * second)
        z->crashes = 0;
    log_line(LOG_ERR, LOG_KIND_ZYGOTE, NULL, "zygote %s: %s", z->name, why);
    set_trouble(z, why);
    if (i == z->next) {
        answer(z, ZYGOTE_RELOAD, EIO, why);
        return;
    }
    delay_next(z, was_ready);
    answer(z, ZYGOTE_WARM, EIO, why);
    answer(z, ZYGOTE_RELOAD, EIO, why);
    if (!was_ready)
        fail_waiting(z, EIO, why);
}

void zygote_is_gone(struct zygote *z, struct incarnation *i, const char *why) {
    bool mine = i == z->current || i == z->next;
    if (i->derived != NULL)
        return;
    if (why != NULL && mine)
        crashed(z, i, why);
    if (i == z->current)
        z->current = NULL;
    if (i == z->next)
        z->next = NULL;
    answer_stops(z);
    zygote_pump(z);
}

/* ---- idle ---- */

static void stop(struct zygote *z) {
    if (z->next != NULL)
        incarnation_leave(z->next);
    if (z->current != NULL)
        incarnation_leave(z->current);
    z->current = z->next = NULL;
}

static int on_idle(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct zygote *z = data;
    log_line(LOG_INFO, LOG_KIND_ZYGOTE, NULL, "zygote %s stops: idle for IdleStopSec=", z->name);
    stop(z);
    return 0;
}

int zygote_timers(struct zygote *z) {
    int r = daemon_timer_new(z->d, &z->idle, on_idle, z);
    return r < 0 ? r : daemon_timer_new(z->d, &z->again, on_again, z);
}

void zygote_check_idle(struct zygote *z) {
    int enabled = 0;
    bool idle = z->current != NULL && z->current->state == INCARNATION_READY && z->n_workers == 0 && !z->declaration.warm &&
                z->declaration.idle_stop > 0;
    if (z->idle != NULL)
        sd_event_source_get_enabled(z->idle, &enabled);
    if (idle && enabled == SD_EVENT_OFF)
        daemon_timer(z->d, &z->idle, z->declaration.idle_stop, on_idle, z);
    else if (!idle && enabled != SD_EVENT_OFF)
        sd_event_source_set_enabled(z->idle, SD_EVENT_OFF);
}

void zygotes_stop(struct daemon *d) {
    struct zygote *z;
    TAILQ_FOREACH(z, &d->zygotes, link) {
        fail_waiting(z, ESHUTDOWN, "this instance is being stopped");
        stop(z);
    }
}

void zygote_was_read(struct zygote *z) {
    if (!z->declared && (z->current != NULL || z->next != NULL)) {
        log_line(LOG_INFO, LOG_KIND_ZYGOTE, NULL, "zygote %s stops: its declaration is gone", z->name);
        fail_waiting(z, ENOENT, "its declaration is gone");
        stop(z);
    }
    /* It may have another time limit now. */
    if (z->idle != NULL)
        sd_event_source_set_enabled(z->idle, SD_EVENT_OFF);
    zygote_check_idle(z);
}

/* ---- ZYGOTE ---- */

/* -EAGAIN: the session cannot wait for more, and has been told so. */
static int ask_later(struct session *s, uint32_t serial, struct zygote *z, enum zygote_action action) {
    if (!request_may_wait(s, serial))
        return -EAGAIN;
    struct asker *a = calloc(1, sizeof *a);
    if (a == NULL) {
        report_error(s, serial, ENOMEM, "no memory for waiting");
        return -EAGAIN;
    }
    *a = (struct asker){.session = s, .serial = serial, .action = action, .last = s->d->last_incarnation | CGROUP_ZYGOTE};
    s->n_waiters++;
    TAILQ_INSERT_TAIL(&z->askers, a, link);
    return 0;
}

static int ask_warm(struct session *s, uint32_t serial, struct zygote *z) {
    if (z->current != NULL && z->current->state == INCARNATION_READY) {
        report_done(s, serial);
        return 0;
    }
    int r = ask_later(s, serial, z, ZYGOTE_WARM);
    if (r >= 0 && z->current == NULL)
        start(z, &z->current);
    return r;
}

/* The new one is warmed first; until it is, the old one serves. */
static int ask_reload(struct session *s, uint32_t serial, struct zygote *z) {
    int r = ask_later(s, serial, z, ZYGOTE_RELOAD);
    if (r < 0)
        return r;
    zygote_read(z);
    if (!z->declared) {
        answer(z, ZYGOTE_RELOAD, ENOENT, "its declaration is gone");
        return 0;
    }
    if (z->next != NULL)
        incarnation_leave(z->next);
    z->next = NULL;
    bool serving = z->current != NULL && z->current->state == INCARNATION_READY;
    if (!serving && z->current != NULL) {
        incarnation_leave(z->current);
        z->current = NULL;
    }
    start(z, serving ? &z->next : &z->current);
    return 0;
}

static int ask_stop(struct session *s, uint32_t serial, struct zygote *z) {
    z->stopped = true;
    if (!is_running(z, UINT64_MAX)) {
        report_done(s, serial);
        return 0;
    }
    int r = ask_later(s, serial, z, ZYGOTE_STOP);
    if (r < 0)
        return r;
    fail_waiting(z, ECANCELED, "it was told to stop");
    answer(z, ZYGOTE_WARM, ECANCELED, "it was told to stop");
    answer(z, ZYGOTE_RELOAD, ECANCELED, "it was told to stop");
    stop(z);
    return 0;
}

int zygote_ask(struct session *s, const struct message *m) {
    const char *name = message_str(m, ATTR_ZYGOTE);
    uint32_t action = message_u32(m, ATTR_ACTION, 0);
    struct zygote *z = NULL;
    char what[ZYGOTE_WHAT];
    int found = name != NULL ? zygote_find(s->d, name, &z, what) : 0;
    if (found < 0) {
        report_error(s, m->serial, found == -EINVAL ? ENOENT : -found, what);
    } else if (action == ZYGOTE_LIST) {
        census_report(s, m->serial, z);
    } else if (action == 0 || action >= ZYGOTE_ACTIONS || z == NULL) {
        report_error(s, m->serial, EINVAL, "there is no such ACTION, or it needs a ZYGOTE");
    } else if (s->d->stopping) {
        report_error(s, m->serial, ESHUTDOWN, "this instance is being stopped");
    } else {
        int r = action == ZYGOTE_WARM     ? ask_warm(s, m->serial, z)
                : action == ZYGOTE_RELOAD ? ask_reload(s, m->serial, z)
                                          : ask_stop(s, m->serial, z);
        return r == -EAGAIN ? 0 : r;
    }
    return 0;
}
