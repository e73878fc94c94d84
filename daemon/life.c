/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the instance ends, and what systemd hears of it. Stop: no new connections, no new workers, SIGTERM, grace, SIGKILL, then
 * the loop is left. What is left in the unit's cgroup after that is systemd's (KillMode=mixed). */
#include "daemon/life.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>

#include "common/cleanup.h"
#include "daemon/authenticate.h"
#include "daemon/job.h"
#include "daemon/keep.h"
#include "daemon/limits.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/settings.h"
#include "daemon/slots.h"
#include "daemon/sweep.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

static const uint64_t second = 1000000;

/* ---- STATUS= ---- */

static int on_status(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    uint64_t now = d->n_sessions + ((uint64_t)d->n_workers << 16) + (d->counters.started << 40);
    if (now == d->told)
        return 0;
    d->told = now;
    sd_notifyf(false, "STATUS=%u session%s, %u worker%s, %llu started since the start", d->n_sessions,
               d->n_sessions == 1 ? "" : "s", d->n_workers, d->n_workers == 1 ? "" : "s",
               (unsigned long long)d->counters.started);
    return 0;
}

/* ---- stop ---- */

static int on_last(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    sd_event_exit(((struct daemon *)data)->event, 0);
    return 0;
}

/* The last worker has ended and its end is queued: peers have a moment to take it. */
static void leave(struct daemon *d) {
    if (session_flush_all(d) == 0)
        sd_event_exit(d->event, 0);
    else if (d->last == NULL && daemon_timer(d, &d->last, STOP_FLUSH_SEC * second, on_last, d) < 0)
        sd_event_exit(d->event, 0);
}

static void stop(struct daemon *d, const char *why) {
    struct worker *w, *next;
    struct session *s;
    if (d->stopping)
        return;
    d->stopping = true;
    sd_notify(false, "STOPPING=1\nSTATUS=Ending the workers.");
    log_line(LOG_INFO, LOG_KIND_STOP, NULL, "stopping: %s; %u workers are told to end", why, d->n_workers);
    listener_stop(d);
    while ((s = TAILQ_FIRST(&d->peers)) != NULL)
        authenticate_drop(s);
    slots_changed(d);
    slots_serve(d);
    zygotes_stop(d);
    if (!d->private_instance && unit_is_ours() && unit_job() == UNIT_JOB_RESTART)
        keep_for_next(d);
    for (w = TAILQ_FIRST(&d->live); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        if (!w->stays)
            worker_terminate(w, REASON_STOPPED);
    }
    life_changed(d);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *data) {
    (void)source;
    struct daemon *d = data;
    if (info->ssi_signo != SIGHUP) {
        stop(d, info->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
        return 0;
    }
    struct config fresh;
    config_defaults(&fresh);
    sd_notify(false, "RELOADING=1");
    unsigned before = settings_unread(), wrong = d->private_instance ? 0 : config_read(&fresh, d->session_flavour);
    if (settings_unread() == before)
        d->config = fresh;
    else
        log_line(LOG_ERR, LOG_KIND_RESOURCE, NULL, "the configuration stays as it was: a part of it could not be read");
    wrong += zygotes_read(d);
    zygotes_warm(d);
    log_line(LOG_INFO, LOG_KIND_READY, NULL, "configuration read again: %u wrong lines", wrong);
    sd_notify(false, "READY=1");
    life_changed(d);
    return 0;
}

/* Whoever started this private instance is gone. */
static int on_lifeline(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)fd, (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    stop(data, "its client is gone");
    return 0;
}

/* ---- idle ---- */

static bool is_idle(const struct daemon *d) {
    return d->n_sessions == 0 && d->n_peers == 0 && d->n_workers == 0 && d->n_ended == 0 && zygotes_running(d) == 0;
}

static int on_idle(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    if (is_idle(d) && !d->stopping)
        stop(d, "idle (IdleExitSec=)");
    return 0;
}

static void check_idle(struct daemon *d) {
    bool want = is_idle(d) && d->config.idle_exit > 0 && !d->private_instance;
    if (want)
        daemon_timer(d, &d->idle, d->config.idle_exit, on_idle, d);
    else if (d->idle != NULL)
        sd_event_source_set_enabled(d->idle, SD_EVENT_OFF);
}

void life_changed(struct daemon *d) {
    int enabled;
    slots_changed(d);
    if (d->stopping) {
        if (d->n_workers == d->n_staying && zygotes_running(d) == 0)
            sd_event_source_set_enabled(d->leave, SD_EVENT_ONESHOT);
        return;
    }
    if (is_idle(d) != d->idle_armed) {
        d->idle_armed = !d->idle_armed;
        check_idle(d);
    }
    if (!d->private_instance && (d->status == NULL || sd_event_source_get_enabled(d->status, &enabled) == 0))
        daemon_timer(d, &d->status, STATUS_INTERVAL_SEC * second, on_status, d);
}

static int on_leave(sd_event_source *source, void *data) {
    (void)source;
    leave(data);
    return 0;
}

int life_init(struct daemon *d, int lifeline) {
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    int r = 0;
    for (unsigned i = 0; i < 3 && r >= 0; i++)
        r = sd_event_add_signal(d->event, &d->signals[i], signals[i], on_signal, d);
    if (r >= 0)
        r = sd_event_add_defer(d->event, &d->leave, on_leave, d);
    if (r >= 0)
        r = sd_event_source_set_enabled(d->leave, SD_EVENT_OFF);
    if (r >= 0)
        r = daemon_timer_new(d, &d->idle, on_idle, d);
    if (r >= 0 && lifeline >= 0)
        r = sd_event_add_io(d->event, &d->lifeline, lifeline, EPOLLHUP, on_lifeline, d);
    if (r < 0) {
        close_fd(lifeline);
        return r;
    }
    if (lifeline >= 0)
        sd_event_source_set_io_fd_own(d->lifeline, true);
    check_idle(d);
    d->idle_armed = true;
    return 0;
}

void life_done(struct daemon *d) {
    for (unsigned i = 0; i < 3; i++)
        d->signals[i] = sd_event_source_disable_unref(d->signals[i]);
    d->lifeline = sd_event_source_disable_unref(d->lifeline);
    d->status = sd_event_source_disable_unref(d->status);
    d->idle = sd_event_source_disable_unref(d->idle);
    d->last = sd_event_source_disable_unref(d->last);
    d->leave = sd_event_source_disable_unref(d->leave);
}
