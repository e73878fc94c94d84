/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each request of a session means. SPAWN goes on to launch.c; the others are answered here. */
#include "daemon/request.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/adopt.h"
#include "daemon/keep.h"
#include "daemon/launch.h"
#include "daemon/life.h"
#include "daemon/limits.h"
#include "daemon/reaper.h"
#include "daemon/report.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

enum { SIGNALS = 64 };
enum { STOCK_FDS = 4 }; /* the least: two pipes, and what its resource tracker and its server need */

static int on_hello(struct session *s, const struct message *m) {
    if (message_u32(m, ATTR_VERSION, PROTOCOL_VERSION) == 0)
        report_error(s, m->serial, EPROTONOSUPPORT, "version 0 of the protocol does not exist");
    else
        report_hello(s, m->serial);
    return 0;
}

/* Answers ERROR itself. */
static struct worker *find(struct session *s, const struct message *m) {
    struct worker *w = NULL;
    const char *name = message_str(m, ATTR_NAME);
    char text[160];
    int r = -ESRCH;
    if (message_has(m, ATTR_JOB)) {
        w = keep_find_job(s->d, m->attributes[ATTR_JOB].data);
        r = adopt_knows(s->d, m) ? -ESRCH : -ESTALE;
        snprintf(text, sizeof text, "there is no such job%s",
                 r == -ESTALE ? ", or the table of workers is younger than it" : ", or it ended too long ago");
    } else if (message_has(m, ATTR_WORKER)) {
        uint64_t id = message_u64(m, ATTR_WORKER, 0);
        w = worker_find(s->d, id);
        snprintf(text, sizeof text, "there is no worker %llu, or it ended too long ago", (unsigned long long)id);
    } else if (name != NULL) {
        r = worker_find_name(s->d, name, &w);
        snprintf(text, sizeof text,
                 r == -EEXIST ? "several workers are named \"%s\": use the id" : "there is no worker named \"%s\"", name);
    } else {
        r = -EINVAL;
        snprintf(text, sizeof text, "neither WORKER nor NAME was given");
    }
    if (w == NULL)
        report_error(s, m->serial, -r, text);
    return w;
}

static int on_signal(struct session *s, const struct message *m) {
    uint32_t signo = message_u32(m, ATTR_SIGNO, 0), flags = message_u32(m, ATTR_SIGNAL_FLAGS, 0);
    char text[160];
    if (signo < 1 || signo > SIGNALS || (flags & ~(uint32_t)(SIGNAL_GROUP | SIGNAL_ALL))) {
        report_error(s, m->serial, EINVAL, "there is no such signal, or the flags are unknown");
        return 0;
    }
    struct worker *w = find(s, m);
    if (w == NULL)
        return 0;
    int r = w->state == WORKER_LIVE ? worker_signal(w, (int)signo, flags) : -ESRCH;
    if (r == 0) {
        report_done(s, m->serial);
        return 0;
    }
    snprintf(text, sizeof text, "cannot signal worker %llu: %s", (unsigned long long)w->id,
             r == -ESRCH        ? "it has ended"
             : r == -EAGAIN     ? "it is still being started"
             : r == -EOPNOTSUPP ? "it has no cgroup of its own"
             : r == -EINVAL     ? "a whole cgroup takes SIGKILL only"
                                : strerror(-r));
    report_error(s, m->serial, -r, text);
    return 0;
}

bool request_may_wait(struct session *s, uint32_t serial) {
    char text[96];
    if (s->n_waiters < SESSION_WAITS)
        return true;
    s->d->counters.limits_hit++;
    snprintf(text, sizeof text, "limit: this session waits for %d workers and zygotes already", SESSION_WAITS);
    report_error(s, serial, EAGAIN, text);
    return false;
}

static int on_wait(struct session *s, const struct message *m) {
    struct worker *w = find(s, m);
    if (w == NULL)
        return 0;
    if (message_has(m, ATTR_JOB)) {
        adopt_return(s, m->serial, w);
        return 0;
    }
    if (w->state == WORKER_LIVE) {
        if (!request_may_wait(s, m->serial))
            return 0;
        int r = worker_wait(w, s, m->serial);
        if (r < 0) {
            report_error(s, m->serial, -r, "no memory for waiting");
            return 0;
        }
    }
    report_attached(s, m->serial, w);
    return 0;
}

static int on_watch(struct session *s, const struct message *m) {
    uint32_t enable = message_u32(m, ATTR_ENABLE, 1);
    if (enable != 0 && m->serial == 0)
        return -EBADMSG;
    if (s->watch_serial != 0)
        s->d->n_watching--;
    s->watch_serial = enable != 0 ? m->serial : 0;
    if (s->watch_serial != 0)
        s->d->n_watching++;
    report_done(s, m->serial);
    return 0;
}

static int on_bye(struct session *s) {
    s->state = STATE_CLOSING;
    session_end(s);
    return 0;
}

int request_handle(struct session *s, const uint8_t *p, size_t n) {
    struct message m;
    int r = message_read(p, n, FROM_CLIENT, s->state, &m);
    if (r < 0)
        return r;
    if (m.serial == 0)
        return -EBADMSG;
    if (m.type == MSG_SPAWN) {
        r = launch(s, &m);
        life_changed(s->d);
        return r;
    }
    if (m.unsupported) {
        report_error(s, m.serial, ENOTSUP, "an attribute that this version does not know is required");
        return 0;
    }
    if (m.type == MSG_HELLO)
        return on_hello(s, &m);
    if (m.type == MSG_SIGNAL)
        return on_signal(s, &m);
    if (m.type == MSG_LIST)
        report_list(s, m.serial);
    if (m.type == MSG_STATUS) {
        reaper_sweep(s->d);
        report_status(s, m.serial);
    }
    if (m.type == MSG_WAIT)
        return on_wait(s, &m);
    if (m.type == MSG_WATCH)
        return on_watch(s, &m);
    if (m.type == MSG_ZYGOTE)
        return zygote_ask(s, &m);
    if (m.type == MSG_BYE)
        return on_bye(s);
    return 0;
}

int request_handle_stock(struct session *s, unsigned n_fds) {
    int fds[LIMIT_FDS];
    char text[LIMIT_TEXT];
    if (s->d->config.cpython_zygote[0] == 0)
        return -EPROTONOSUPPORT;
    if (n_fds < STOCK_FDS || n_fds > LIMIT_FDS || s->fds.count != n_fds || fd_queue_take(&s->fds, n_fds, fds) < 0)
        return -EBADMSG;
    int r = fork_launch_stock(s, fds, n_fds, text);
    life_changed(s->d);
    if (r < 0) {
        log_line(LOG_ERR, LOG_KIND_ZYGOTE, &s->peer, "a fork request of CPython's multiprocessing failed: %s", text);
        session_end(s);
        return 1;
    }
    wire_put_bytes(&s->out, "A", 1);
    if (s->out.failed)
        session_lose(s, -ENOMEM);
    session_dirty(s);
    return 1;
}

void request_protocol_error(struct session *s, int error) {
    const char *text = error == -EMSGSIZE ? "a frame is longer than 4 MiB, or too many file descriptors came"
                       : error == -EPERM  ? "a message is not permitted in this state"
                       : error == -ENOMEM ? "no memory"
                       : error == -EPROTONOSUPPORT
                           ? "not a message of forksrv (a fork request of CPython's multiprocessing needs CPythonZygote= in "
                             "forksrvd.conf)"
                           : "a message is malformed, or its file descriptors do not match";
    s->d->counters.protocol_errors++;
    log_line(LOG_WARNING, LOG_KIND_PROTOCOL, &s->peer, "a session broke the protocol and is ended: %s", text);
    session_fail(s, 0, -error, text);
}
