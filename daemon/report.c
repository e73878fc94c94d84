/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's answers as messages. What has happened is decided elsewhere; here it is only put into words of the protocol. */
#include "daemon/report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/limits.h"
#include "daemon/zygote.h"

static uint64_t usec(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

static void begin(struct message_writer *w, struct session *s, enum message_type type, uint16_t flags, uint32_t serial) {
    message_begin(w, &s->out, type, flags, serial);
}

static void end(struct message_writer *w, struct session *s) {
    if (message_end(w) < 0)
        session_lose(s, -ENOMEM);
    session_dirty(s);
}

static void put_end(struct message_writer *m, const struct worker *w) {
    uint8_t *p = message_put_space(m, ATTR_END, 16);
    if (p != NULL) {
        wire_put_u32(p, (uint32_t)w->end_kind);
        wire_put_u32(p + 4, (uint32_t)w->end_value);
        wire_put_u32(p + 8, (uint32_t)w->reason);
        wire_put_u32(p + 12, 0);
    }
    const struct rusage *u = &w->usage;
    const uint64_t fields[RUSAGE_FIELDS] = {
        [RUSAGE_USER] = usec(u->ru_utime),          [RUSAGE_SYSTEM] = usec(u->ru_stime),
        [RUSAGE_MAXRSS] = (uint64_t)u->ru_maxrss,   [RUSAGE_MINFLT] = (uint64_t)u->ru_minflt,
        [RUSAGE_MAJFLT] = (uint64_t)u->ru_majflt,   [RUSAGE_INBLOCK] = (uint64_t)u->ru_inblock,
        [RUSAGE_OUBLOCK] = (uint64_t)u->ru_oublock, [RUSAGE_NVCSW] = (uint64_t)u->ru_nvcsw,
        [RUSAGE_NIVCSW] = (uint64_t)u->ru_nivcsw,
    };
    p = message_put_space(m, ATTR_RUSAGE, sizeof fields);
    for (unsigned i = 0; p != NULL && i < RUSAGE_FIELDS; i++)
        wire_put_u64(p + 8 * i, fields[i]);
    message_put_u64(m, ATTR_WALL, w->wall);
}

static void put_worker(struct message_writer *m, const struct worker *w, bool ended) {
    message_put_u64(m, ATTR_WORKER, w->id);
    message_put_u32(m, ATTR_PID, (uint32_t)w->pid);
    message_put_u32(m, ATTR_SPAWN_FLAGS, w->flags);
    if (w->name[0] != 0)
        message_put_str(m, ATTR_NAME, w->name);
    message_put_str_cut(m, ATTR_PROGRAM, w->program != NULL ? w->program : "", LIMIT_SHOWN_PROGRAM);
    if (w->zygote != NULL)
        message_put_str(m, ATTR_ZYGOTE, w->zygote->name);
    if (w->session != NULL)
        message_put_u64(m, ATTR_SESSION, w->session_id);
    message_put_u64(m, ATTR_STARTED_AT, w->started_at);
    if (ended)
        put_end(m, w);
    else
        message_put_u64(m, ATTR_WALL, daemon_now(w->d) - w->started);
}

/* ---- events for those who watch ---- */

static void put_lost(struct session *s) {
    struct message_writer m;
    begin(&m, s, MSG_EVENT, 0, s->watch_serial);
    message_put_u32(&m, ATTR_EVENT, EVENT_LOST);
    message_put_u64(&m, ATTR_VALUE, s->watch_lost);
    end(&m, s);
    s->watch_lost = 0;
}

static void tell_watcher(struct session *s, const struct worker *w, enum event_kind kind, enum stage stage, int error,
                         const char *text) {
    if (wire_buf_len(&s->out) > SESSION_OUT_WATCH) {
        s->watch_lost++;
        return;
    }
    if (s->watch_lost > 0)
        put_lost(s);
    struct message_writer m;
    begin(&m, s, MSG_EVENT, 0, s->watch_serial);
    message_put_u32(&m, ATTR_EVENT, kind);
    put_worker(&m, w, kind == EVENT_ENDED);
    if (kind == EVENT_FAILED) {
        message_put_u32(&m, ATTR_STAGE, stage);
        message_put_u32(&m, ATTR_ERRNO, (uint32_t)error);
        message_put_str_cut(&m, ATTR_TEXT, text, LIMIT_TEXT - 1);
    }
    end(&m, s);
}

static void tell_watchers(const struct worker *w, enum event_kind kind, enum stage stage, int error, const char *text) {
    struct session *s;
    if (w->d->n_watching == 0)
        return;
    TAILQ_FOREACH(s, &w->d->sessions, link)
    if (s->watch_serial != 0)
        tell_watcher(s, w, kind, stage, error, text);
}

/* ---- a worker's life ---- */

/* With the fd, if there is one; a session that can take no more fds gets none. */
static void put_started(struct session *s, uint32_t serial, const struct worker *w, int pidfd, bool owned) {
    size_t offset = wire_buf_len(&s->out);
    bool with_fd = pidfd >= 0 && session_attach_fd(s, offset, pidfd, owned) >= 0;
    if (pidfd >= 0 && !with_fd && owned)
        close_fd(pidfd);
    struct message_writer m;
    begin(&m, s, MSG_STARTED, with_fd ? 1 : 0, serial);
    message_put_u64(&m, ATTR_WORKER, w->id);
    message_put_u32(&m, ATTR_PID, (uint32_t)w->pid);
    int r = message_end(&m);
    if (r < 0 && with_fd)
        session_detach_fd(s);
    if (r < 0)
        session_lose(s, -ENOMEM);
    session_dirty(s);
}

/* A derived zygote's workers nobody asked us for. */
static bool tells_session(const struct worker *w) {
    return w->session != NULL && w->serial != 0;
}

void report_started(struct worker *w) {
    if (tells_session(w) && (w->flags & (SPAWN_REPORT_STARTED | SPAWN_REPORT_EXECED)) && !w->told_started)
        put_started(w->session, w->serial, w, w->flags & SPAWN_PIDFD ? w->pidfd : -1, false);
    w->told_started = true;
    tell_watchers(w, EVENT_STARTED, STAGE_NONE, 0, "");
}

void report_failed(struct session *s, uint32_t serial, const struct worker *w, enum stage stage, int error, const char *text) {
    struct message_writer m;
    begin(&m, s, MSG_FAILED, 0, serial);
    message_put_u32(&m, ATTR_STAGE, stage);
    message_put_u32(&m, ATTR_ERRNO, (uint32_t)error);
    message_put_str_cut(&m, ATTR_TEXT, text, LIMIT_TEXT - 1);
    if (w != NULL)
        message_put_u64(&m, ATTR_WORKER, w->id);
    end(&m, s);
}

void report_failed_watchers(struct worker *w, enum stage stage, int error, const char *text) {
    tell_watchers(w, EVENT_FAILED, stage, error, text);
}

static void put_exited(struct session *s, uint32_t serial, const struct worker *w) {
    struct message_writer m;
    begin(&m, s, MSG_EXITED, 0, serial);
    message_put_u64(&m, ATTR_WORKER, w->id);
    put_end(&m, w);
    end(&m, s);
}

void report_ended(struct worker *w) {
    struct session *s;
    uint32_t serial;
    if (tells_session(w))
        put_exited(w->session, w->serial, w);
    /* One by one: an answer that finds no room ends its session, and with it all that the session waits for. */
    while ((s = worker_next_waiter(w, &serial)) != NULL)
        put_exited(s, serial, w);
    tell_watchers(w, EVENT_ENDED, STAGE_NONE, 0, "");
}

void report_attached(struct session *s, uint32_t serial, struct worker *w) {
    int pidfd = -1;
    if (w->state == WORKER_LIVE)
        pidfd = fcntl(w->pidfd, F_DUPFD_CLOEXEC, 3);
    put_started(s, serial, w, pidfd, true);
    if (w->state == WORKER_ENDED)
        put_exited(s, serial, w);
}

/* ---- other answers ---- */

void report_error(struct session *s, uint32_t serial, int error, const char *text) {
    struct message_writer m;
    begin(&m, s, MSG_ERROR, 0, serial);
    message_put_u32(&m, ATTR_ERRNO, (uint32_t)error);
    message_put_str_cut(&m, ATTR_TEXT, text, LIMIT_TEXT - 1);
    end(&m, s);
}

void report_done(struct session *s, uint32_t serial) {
    struct message_writer m;
    begin(&m, s, MSG_DONE, 0, serial);
    end(&m, s);
}

void report_hello(struct session *s, uint32_t serial) {
    const struct cgroup *c = &s->d->cgroup;
    uint64_t features = FEATURE_EXEC | FEATURE_ZYGOTES;
    if (c->dir >= 0)
        features |= FEATURE_CGROUPS | (c->controllers & CGROUP_MEMORY ? FEATURE_MEMORY : 0) |
                    (c->controllers & CGROUP_TASKS ? FEATURE_TASKS : 0) | (c->controllers & CGROUP_CPU ? FEATURE_CPU : 0);
    struct message_writer m;
    begin(&m, s, MSG_HELLO_REPLY, 0, serial);
    message_put_u32(&m, ATTR_VERSION, PROTOCOL_VERSION);
    message_put_str(&m, ATTR_SOFTWARE, "forksrv " PACKAGE_VERSION);
    message_put_u64(&m, ATTR_FEATURES, features);
    end(&m, s);
}

enum { LIST_PART = 32 * 1024 };

/* In parts, so that neither side needs a large buffer for it. */
static void list_one(struct message_writer *m, struct session *s, uint32_t serial, size_t *start, const struct worker *w) {
    if (wire_buf_len(&s->out) - *start > LIST_PART) {
        end(m, s);
        *start = wire_buf_len(&s->out);
        begin(m, s, MSG_LISTED, MESSAGE_MORE, serial);
    }
    message_open_record(m);
    put_worker(m, w, w->state == WORKER_ENDED);
    message_close_record(m);
}

void report_list(struct session *s, uint32_t serial) {
    struct message_writer m;
    const struct worker *w;
    size_t start = wire_buf_len(&s->out);
    begin(&m, s, MSG_LISTED, MESSAGE_MORE, serial);
    TAILQ_FOREACH(w, &s->d->ended, link)
    list_one(&m, s, serial, &start, w);
    TAILQ_FOREACH(w, &s->d->live, link)
    if (w->pid != 0)
        list_one(&m, s, serial, &start, w);
    end(&m, s);
    begin(&m, s, MSG_LISTED, 0, serial);
    end(&m, s);
}
