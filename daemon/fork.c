/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A SPAWN that names a zygote becomes a request to it. The daemon reads what it needs to route, limit and name, and passes the
 * rest on as it came: the child reads its own arguments and environment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/exitpipe.h"
#include "daemon/handover.h"
#include "daemon/keep.h"
#include "daemon/launch.h"
#include "daemon/life.h"
#include "daemon/log.h"
#include "daemon/report.h"
#include "daemon/sweep.h"
#include "daemon/zygote.h"
#include "protocol/frame.h"

enum { STOCK_STATUS = 1 }; /* which fd of CPython's client tells it how the process ends */
enum { MORE_FDS = 3 };     /* a cgroup's entrance, a derived zygote's socket, a memfd */

/* One SPAWN on its way to a request. */
struct attempt {
    struct session *s;
    const struct message *m;
    struct zygote *z;
    bool stock;            /* of CPython's own client: there is nothing but fds */
    struct worker *worker; /* half built until the end */
    struct fork_request *request;
    struct refusal refusal; /* by a limit, and then nothing has been done */
    enum stage stage;
    char text[LIMIT_TEXT];
};

static int fail(struct attempt *a, enum stage stage, int error, const char *what) {
    a->stage = stage;
    snprintf(a->text, sizeof a->text, "%s: %s", stage_name(stage), what != NULL ? what : strerror(-error));
    return error;
}

static int refused(struct attempt *a) {
    char text[REFUSAL_TEXT];
    return fail(a, STAGE_LIMIT, a->refusal.error, refusal_text(&a->refusal, text));
}

/* ---- the life of a request ---- */

void fork_request_free(struct fork_request *r) {
    r->worker->request = NULL;
    if (r->sent_to != NULL) {
        TAILQ_REMOVE(&r->sent_to->sent, r, link);
        r->sent_to->n_sent--;
    } else if (r->queued) {
        TAILQ_REMOVE(&r->worker->zygote->waiting, r, link);
        r->worker->zygote->n_waiting--;
    }
    load_remove(r->worker->d, r->worker->session, &r->load);
    for (unsigned i = 0; i < r->n_fds; i++)
        close_fd(r->fds[i]);
    close_fd(r->channel);
    free(r->message);
    free(r);
}

void fork_fail_at(struct fork_request *r, enum stage stage, int error, const char *text) {
    struct worker *w = r->worker;
    struct daemon *d = w->d;
    /* Its client has no words for that, and finds the end of its pipe. */
    if (w->pipe_is_ours)
        log_line(LOG_ERR, LOG_KIND_ZYGOTE, NULL, "a fork request of CPython's multiprocessing failed: %s", text);
    worker_failed(w, stage, error, text);
    life_changed(d);
}

void fork_fail(struct fork_request *r, int error, const char *text) {
    char whole[LIMIT_TEXT];
    snprintf(whole, sizeof whole, "%s: %s", stage_name(STAGE_ZYGOTE), text);
    fork_fail_at(r, STAGE_ZYGOTE, error, whole);
}

void fork_cancel(struct fork_request *r) {
    char text[128];
    if (r->sent_to != NULL) {
        r->unwanted = true;
        return;
    }
    snprintf(text, sizeof text, "the worker was told to end before it began: %s", end_reason_name(r->worker->reason));
    fork_fail(r, ECANCELED, text);
}

/* ---- its message ---- */

static int put_fd(struct attempt *a, int fd) {
    struct fork_request *r = a->request;
    r->fds[r->n_fds] = fd;
    return (int)r->n_fds++;
}

/* It waits there until the child enters, before anything of its work runs. */
static int put_cgroup(struct attempt *a, struct message_writer *w) {
    const struct declaration *d = &a->z->declaration;
    const struct cgroup_limits otherwise = {d->memory_max, d->tasks_max, d->cpu_weight};
    auto_fd dir = -1;
    int fd;
    const char *what = NULL;
    int r = launch_cgroup(a->worker, a->m, a->request->fds, &otherwise, &dir, &a->stage, &what);
    if (r >= 0 && dir >= 0) {
        what = NULL;
        a->stage = STAGE_CGROUP;
        r = cgroup_entrance(dir, &fd);
        if (r >= 0)
            message_put_u32(w, ATTR_CGROUP, (uint32_t)put_fd(a, fd));
    }
    return r < 0 ? fail(a, a->stage, r, what) : 0;
}

static int put_channel(struct attempt *a, struct message_writer *w) {
    int ends[2];
    if (!(a->worker->flags & SPAWN_DERIVED))
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return fail(a, STAGE_ZYGOTE, -errno, NULL);
    a->request->channel = ends[0];
    message_put_u32(w, ATTR_KIND, FORK_DERIVED);
    message_put_u32(w, ATTR_CHANNEL, (uint32_t)put_fd(a, ends[1]));
    return 0;
}

static int fill_memfd(int fd, const uint8_t *p, size_t size) {
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENOSPC;
        p += n;
        size -= (size_t)n;
    }
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0 ? -errno : 0;
}

/* One that is too long for a datagram is in a memfd, which only the child reads. */
static int make_large(struct attempt *a, struct wire_buf *buf) {
    struct message_writer w;
    auto_fd fd = memfd_create("forksrv-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : fill_memfd(fd, wire_buf_head(buf) + FRAME_HEADER, wire_buf_len(buf) - FRAME_HEADER);
    if (r < 0)
        return fail(a, STAGE_REQUEST, r, "a large request finds no memory");
    wire_buf_truncate(buf, buf->start);
    message_begin(&w, buf, MSG_FORK, (uint16_t)(a->request->n_fds + 1), (uint32_t)a->worker->id);
    message_put_u32(&w, ATTR_LARGE, (uint32_t)put_fd(a, steal_fd(&fd)));
    return message_end(&w) < 0 ? fail(a, STAGE_REQUEST, -ENOMEM, NULL) : 0;
}

static int make_message(struct attempt *a, struct wire_buf *buf) {
    struct message_writer w;
    const struct message *m = a->m;
    message_begin(&w, buf, MSG_FORK, 0, (uint32_t)a->worker->id);
    wire_put_bytes(buf, m->start, (size_t)(m->end - m->start));
    int r = put_cgroup(a, &w);
    if (r >= 0)
        r = put_channel(a, &w);
    if (a->stock)
        message_put_u32(&w, ATTR_KIND, FORK_CPYTHON);
    if (r >= 0 && message_end(&w) < 0)
        r = fail(a, STAGE_REQUEST, -E2BIG, NULL);
    if (r < 0)
        return r;
    bool large = wire_buf_len(buf) > LIMIT_DATAGRAM;
    /* How many fds there are is known only now. */
    wire_put_u16(buf->data + buf->start + FRAME_HEADER + 2, (uint16_t)(a->request->n_fds + large));
    return large ? make_large(a, buf) : 0;
}

static int make_request(struct attempt *a, int *fds, unsigned n_fds) {
    struct fork_request *r = calloc(1, sizeof *r + (n_fds + MORE_FDS) * sizeof r->fds[0]);
    struct wire_buf buf;
    if (r == NULL)
        return fail(a, STAGE_REQUEST, -ENOMEM, NULL);
    r->worker = a->worker;
    r->channel = -1;
    a->worker->request = a->request = r;
    r->load = launch_load(a->m, n_fds + MORE_FDS);
    load_add(a->s->d, a->worker->session, &r->load);
    for (; r->n_fds < n_fds; r->n_fds++)
        r->fds[r->n_fds] = steal_fd(&fds[r->n_fds]);
    wire_buf_init(&buf, 2 * LIMIT_FRAME);
    int e = make_message(a, &buf);
    if (e >= 0) {
        r->size = wire_buf_len(&buf) - FRAME_HEADER;
        r->message = malloc(r->size);
        if (r->message != NULL)
            memcpy(r->message, wire_buf_head(&buf) + FRAME_HEADER, r->size);
        else
            e = fail(a, STAGE_REQUEST, -ENOMEM, NULL);
    }
    wire_buf_done(&buf);
    return e;
}

/* ---- SPAWN ---- */

static int check_zygote(struct attempt *a) {
    const char *name = a->stock ? a->s->d->config.cpython_zygote : message_str(a->m, ATTR_ZYGOTE);
    char what[ZYGOTE_WHAT];
    int r = zygote_find(a->s->d, name, &a->z, what);
    if (r < 0)
        return fail(a, STAGE_ZYGOTE, r, what);
    if (a->z->n_workers < a->z->declaration.max_workers)
        return 0;
    refusal_set(&a->refusal, "MaxWorkers=%llu of zygote %s is reached", (unsigned long long)a->z->declaration.max_workers, name);
    return refused(a);
}

/* A zygote may take minutes to be warm, and what is asked of it meanwhile is held here. */
static int check_load(struct attempt *a, unsigned n_fds) {
    const struct load load = launch_load(a->m, n_fds + MORE_FDS);
    return load_may_add(a->s->d, a->stock ? NULL : a->s, &load, &a->refusal) < 0 ? refused(a) : 0;
}

static int check(struct attempt *a, unsigned n_fds) {
    if (admit(a->s, &a->refusal) < 0)
        return refused(a);
    if (a->m->unsupported)
        return fail(a, STAGE_REQUEST, -ENOTSUP, "an attribute that this version does not know is required");
    uint32_t flags = message_u32(a->m, ATTR_SPAWN_FLAGS, 0);
    if (flags & ~(uint32_t)SPAWN_ALL)
        return fail(a, STAGE_REQUEST, -ENOTSUP, "SPAWN_FLAGS has an unknown flag");
    if ((flags & SPAWN_CONTROLLING_TERMINAL) && (flags & SPAWN_PROCESS_GROUP))
        return fail(a, STAGE_REQUEST, -EINVAL, "SPAWN_FLAGS asks for a controlling terminal without a session of its own");
    const char *why = NULL;
    int r = handover_check(a->s->d, a->m, &why);
    if (r < 0)
        return fail(a, STAGE_REQUEST, r, why);
    if (n_fds + MORE_FDS > LIMIT_FDS)
        return fail(a, STAGE_REQUEST, -E2BIG, "at most 250 file descriptors can go to a zygote's worker");
    r = check_zygote(a);
    return r < 0 ? r : check_load(a, n_fds);
}

/* For people: a script's name, or "-m name". */
static void program_of(const struct message *m, char ret[LIMIT_SHOWN_PROGRAM]) {
    const struct attribute *a = &m->attributes[ATTR_ARGV];
    const char *first = a->size > 0 ? (const char *)a->data : "";
    const char *second = a->size > strlen(first) + 1 ? first + strlen(first) + 1 : "";
    if (strcmp(first, "-m") == 0)
        snprintf(ret, LIMIT_SHOWN_PROGRAM, "-m %s", second);
    else
        snprintf(ret, LIMIT_SHOWN_PROGRAM, "%s", first);
}

static int attempt(struct attempt *a, int *fds, unsigned n_fds) {
    char program[LIMIT_SHOWN_PROGRAM];
    const char *what, *cwd = message_str(a->m, ATTR_CWD);
    int r = check(a, n_fds);
    if (r < 0)
        return r;
    /* A connection of CPython's client ends before its process begins. */
    if (worker_new(a->s->d, a->stock ? NULL : a->s, &a->worker) < 0)
        return fail(a, STAGE_REQUEST, -ENOMEM, NULL);
    admit_started(a->s->d);
    a->worker->zygote = a->z;
    a->z->n_workers++;
    if (a->stock && (a->worker->exit_pipe = fcntl(fds[STOCK_STATUS], F_DUPFD_CLOEXEC, 3)) < 0)
        return fail(a, STAGE_FDS, -errno, NULL);
    a->worker->pipe_is_ours = a->stock;
    if (a->stock)
        snprintf(program, sizeof program, "multiprocessing");
    else
        program_of(a->m, program);
    r = launch_describe(a->worker, a->m, program, cwd != NULL ? cwd : "/", &what);
    if (r < 0)
        return fail(a, r == -EACCES ? STAGE_OOM_SCORE : STAGE_REQUEST, r, what);
    r = make_request(a, fds, n_fds);
    if (r < 0)
        return r;
    keep_starting(a->worker, a->m);
    uint64_t limit = message_u64(a->m, ATTR_TIME_LIMIT, 0);
    if (limit == 0 && !(a->worker->flags & SPAWN_HAND_OVER))
        limit = a->z->declaration.time_limit;
    if (limit > 0 && worker_set_time_limit(a->worker, limit) < 0)
        return fail(a, STAGE_REQUEST, -ENOMEM, NULL);
    return 0;
}

static void give_up(struct attempt *a, int error) {
    if (a->stage == STAGE_LIMIT)
        admit_refused(a->s, a->text);
    if (a->worker == NULL)
        return;
    report_failed_watchers(a->worker, a->stage, -error, a->text);
    if (a->worker->own_cgroup)
        sweep_cgroup(a->worker->d, a->worker->id);
    worker_free(a->worker);
}

bool fork_launch(struct session *s, const struct message *m, int *fds, unsigned n_fds, struct refusal *ret_refusal) {
    struct attempt a = {.s = s, .m = m};
    int r = attempt(&a, fds, n_fds);
    if (ret_refusal != NULL && refusal_may_pass(&a.refusal)) {
        *ret_refusal = a.refusal;
        return true;
    }
    for (unsigned i = 0; i < n_fds; i++)
        close_fd(fds[i]);
    if (r >= 0) {
        zygote_request(a.z, a.request);
        return false;
    }
    s->d->counters.failed++;
    report_failed(s, m->serial, NULL, a.stage, -r, a.text);
    give_up(&a, r);
    return false;
}

int fork_launch_stock(struct session *s, int *fds, unsigned n_fds, char ret_text[LIMIT_TEXT]) {
    static const uint8_t no_bytes[1];
    static const struct message nothing = {.type = MSG_SPAWN, .start = no_bytes, .end = no_bytes};
    struct attempt a = {.s = s, .m = &nothing, .stock = true};
    int r = exit_pipe_is_one(fds[STOCK_STATUS]) ? attempt(&a, fds, n_fds) : fail(&a, STAGE_REQUEST, -EBADF, "fd 2 is no pipe");
    for (unsigned i = 0; i < n_fds; i++)
        close_fd(fds[i]);
    if (r >= 0) {
        zygote_request(a.z, a.request);
        return 0;
    }
    s->d->counters.failed++;
    snprintf(ret_text, LIMIT_TEXT, "%s", a.text);
    give_up(&a, r);
    return r;
}

/* ---- forked without being asked by us ---- */

/* It can be told nothing but to end, so that of those that come too fast none is refused. */
static bool may_be_born(const struct session *s, const struct zygote *z) {
    struct refusal refusal = {0};
    char text[REFUSAL_TEXT];
    if (admit_place(s, &refusal) == 0 && z->n_workers >= z->declaration.max_workers)
        refusal_set(&refusal, "MaxWorkers=%llu of zygote %s is reached", (unsigned long long)z->declaration.max_workers, z->name);
    if (refusal.error == -EAGAIN)
        admit_refused(s, refusal_text(&refusal, text));
    return refusal.error == 0;
}

struct worker *fork_born(struct incarnation *i, const struct message *m) {
    struct zygote *z = i->zygote;
    struct session *s = i->derived->session;
    const char *why;
    struct worker *w;
    if (s == NULL || s->ending || !may_be_born(s, z) || worker_new(i->d, s, &w) < 0)
        return NULL;
    admit_started(i->d);
    w->zygote = z;
    z->n_workers++;
    if (launch_describe(w, m, i->derived->program, "/", &why) >= 0) {
        w->serial = 0;
        w->flags = i->derived->flags & ~(uint32_t)(SPAWN_DERIVED | SPAWN_CONTROLLING_TERMINAL | SPAWN_REPORT_STARTED |
                                                   SPAWN_REPORT_EXECED | SPAWN_PIDFD);
        return w;
    }
    worker_free(w);
    return NULL;
}
