/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exec engine: a SPAWN becomes a worker. Order: limits, plan, cgroup, pipe for the exec's report, clone, watch, answer. What
 * has been made before a failure is undone here. */
#include "daemon/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/adopt.h"
#include "daemon/build.h"
#include "daemon/crowd.h"
#include "daemon/depot.h"
#include "daemon/handover.h"
#include "daemon/keep.h"
#include "daemon/oom.h"
#include "daemon/reaper.h"
#include "daemon/report.h"
#include "daemon/slots.h"
#include "daemon/start.h"
#include "daemon/sweep.h"
#include "daemon/worker.h"
#include "daemon/zygote.h"

struct launch {
    struct plan_base base;
};

/* For ourselves; workers get back what we were started with. */
static void change_rlimit(struct plan_base *base, int resource, rlim_t soft) {
    struct rlimit l, changed;
    if (getrlimit(resource, &l) < 0)
        return;
    changed = (struct rlimit){soft < l.rlim_max ? soft : l.rlim_max, l.rlim_max};
    if (changed.rlim_cur == l.rlim_cur || setrlimit(resource, &changed) < 0)
        return;
    base->rlimits[base->n_rlimits++] = (struct plan_rlimit){resource, {l.rlim_cur, l.rlim_max}};
}

int launch_init(struct daemon *d) {
    struct launch *l = calloc(1, sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    d->launch = l;
    l->base.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (l->base.null_fd < 0)
        return -errno;
    /* Sessions bring fds: as many as the administrator allows, not the 1024 that select() wants. And we never dump core. */
    change_rlimit(&l->base, RLIMIT_NOFILE, RLIM_INFINITY);
    change_rlimit(&l->base, RLIMIT_CORE, 0);
    int r = crowd_init(d);
    return r < 0 ? r : starter_new(&d->starter);
}

const struct plan_base *launch_base(const struct daemon *d) {
    return &d->launch->base;
}

void launch_done(struct daemon *d) {
    slots_done(d);
    crowd_done(d);
    starter_free(d->starter);
    d->starter = NULL;
    if (d->launch != NULL)
        close_fd(d->launch->base.null_fd);
    free(d->launch);
    d->launch = NULL;
}

/* One request on its way to a worker. */
struct attempt {
    struct session *s;
    const struct message *m;
    struct plan *plan;     /* owned until the start */
    struct worker *worker; /* half built until the end */
    int *fds;              /* borrowed */
    unsigned n_fds;
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

static int refuse_soon(struct attempt *a) {
    a->refusal.again = SLOT_RETRY_USEC;
    return refused(a);
}

static int check_limits(struct attempt *a) {
    struct daemon *d = a->s->d;
    if (admit(a->s, &a->refusal) < 0)
        return refused(a);
    if (!starter_has_room(d->starter)) {
        refusal_set(&a->refusal, "%d workers have not come to their exec yet: that many may be starting at once", START_SLOTS);
        return refuse_soon(a);
    }
    if (message_has(a->m, ATTR_GATE) && (d->n_gated >= GATES || a->s->n_gated >= GATES_OF_SESSION)) {
        refusal_set(&a->refusal, "too many workers wait at their gates: 64 of a session, 256 of all");
        return refuse_soon(a);
    }
    return 0;
}

struct load launch_load(const struct message *m, unsigned n_fds) {
    return (struct load){1, n_fds, LOAD_REQUEST + (uint64_t)(m->end - m->start)};
}

static uint64_t wall_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool name_is_fine(const char *name) {
    if (name[0] == 0)
        return false;
    for (; *name != 0; name++)
        if ((unsigned char)*name < ' ' || *name == 127)
            return false;
    return true;
}

int launch_describe(struct worker *w, const struct message *m, const char *program, const char *cwd, const char **ret_what) {
    const char *name = message_str(m, ATTR_NAME);
    *ret_what = "the name is empty or has control characters";
    if (name != NULL && !name_is_fine(name))
        return -EINVAL;
    if (name != NULL)
        snprintf(w->name, sizeof w->name, "%s", name);
    w->serial = m->serial;
    w->flags = message_u32(m, ATTR_SPAWN_FLAGS, 0);
    w->has_oom_score_adj = message_has(m, ATTR_OOM_SCORE_ADJ);
    w->oom_score_adj = (int)message_u32(m, ATTR_OOM_SCORE_ADJ, 0);
    w->grace = message_u64(m, ATTR_GRACE, 0);
    if (w->grace == 0)
        w->grace = w->d->config.grace;
    w->started = daemon_now(w->d);
    w->started_at = wall_clock();
    size_t program_size = strlen(program) + 1, cwd_size = strlen(cwd) + 1;
    *ret_what = NULL;
    w->program = malloc(program_size + cwd_size);
    if (w->program == NULL)
        return -ENOMEM;
    memcpy(w->program, program, program_size);
    memcpy(w->program + program_size, cwd, cwd_size);
    w->cwd = w->program + program_size;
    if (!w->has_oom_score_adj || oom_may_set(w->oom_score_adj))
        return 0;
    *ret_what = "Permission denied: only root can go below the score that this instance has itself";
    return -EACCES;
}

/* What the daemon itself keeps of the request. */
static int fill_worker(struct attempt *a) {
    const char *what;
    int r = launch_describe(a->worker, a->m, a->plan->program, a->plan->cwd, &what);
    return r < 0 ? fail(a, r == -EACCES ? STAGE_OOM_SCORE : STAGE_REQUEST, r, what) : 0;
}

static uint64_t limit_of(const struct message *m, unsigned attr, uint64_t otherwise) {
    uint64_t v = message_u64(m, attr, 0);
    return v != 0 ? v : otherwise;
}

static int given_cgroup(const struct message *m, const int *fds, int *ret_fd, const char **ret_what) {
    uint32_t index = message_u32(m, ATTR_INTO_CGROUP, 0);
    *ret_what = "INTO_CGROUP goes with no limits of a cgroup and no OWN_CGROUP";
    if (message_has(m, ATTR_MEMORY_MAX) || message_has(m, ATTR_TASKS_MAX) || message_has(m, ATTR_CPU_WEIGHT) ||
        message_u32(m, ATTR_SPAWN_FLAGS, 0) & SPAWN_OWN_CGROUP)
        return -EINVAL;
    *ret_what = "INTO_CGROUP names a file descriptor that was not sent";
    if (index >= message_fds(m))
        return -EINVAL;
    *ret_what = "INTO_CGROUP is no directory of the cgroup tree (version 2)";
    return cgroup_given(fds[index], ret_fd);
}

int launch_cgroup(struct worker *w, const struct message *m, const int *fds, const struct cgroup_limits *otherwise, int *ret_fd,
                  enum stage *ret_stage, const char **ret_what) {
    *ret_stage = STAGE_REQUEST;
    if (message_has(m, ATTR_INTO_CGROUP))
        return given_cgroup(m, fds, ret_fd, ret_what);

    const struct cgroup_limits limits = {
        .memory_max = limit_of(m, ATTR_MEMORY_MAX, otherwise->memory_max),
        .tasks_max = limit_of(m, ATTR_TASKS_MAX, otherwise->tasks_max),
        .cpu_weight = limit_of(m, ATTR_CPU_WEIGHT, otherwise->cpu_weight),
    };
    if (!(w->flags & SPAWN_OWN_CGROUP) && limits.memory_max == 0 && limits.tasks_max == 0 && limits.cpu_weight == 0)
        return 0;
    *ret_what = "CPU_WEIGHT is not from 1 to 10000";
    if (limits.cpu_weight > 10000)
        return -EINVAL;
    *ret_stage = STAGE_CGROUP;
    int r = sweep_make(w->d, w->id, &limits, ret_fd, ret_what);
    if (r < 0) {
        *ret_what = r == -EOPNOTSUPP ? *ret_what : NULL;
        return r;
    }
    w->own_cgroup = true;
    return 0;
}

static int make_cgroup(struct attempt *a, int *ret_fd) {
    static const struct cgroup_limits none;
    enum stage stage;
    const char *what;
    int r = launch_cgroup(a->worker, a->m, a->fds, &none, ret_fd, &stage, &what);
    return r < 0 ? fail(a, stage, r, what) : 0;
}

static int start(struct attempt *a) {
    struct daemon *d = a->s->d;
    struct worker *w = a->worker;
    auto_fd cgroup = -1;
    auto_fd report = -1;
    int r = make_cgroup(a, &cgroup);
    if (r < 0)
        return r;
    if (a->plan->reports_exec) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return fail(a, STAGE_CLONE, -errno, NULL);
        w->report = ends[0];
        a->plan->report = report = ends[1];
    }
    worker_at_gate(w, a->plan->gate >= 0);
    keep_starting(w, a->m);
    a->plan->record = w->record;
    a->plan->worker = w->id;
    a->plan->depot = w->record != NULL ? depot_in(d->depot) : -1;
    crowd_prepare(d, a->plan);
    bool shares = a->plan->cut > 0;
    r = starter_start(d->starter, a->plan, w->id, cgroup, &w->pid, &w->pidfd, &w->slot);
    if (r == -EOPNOTSUPP)
        return fail(a, STAGE_CGROUP, r, "a cgroup is not available: clone3 is not permitted here");
    if (r < 0 && r != -EAGAIN && r != -ENOMEM && cgroup >= 0)
        return fail(a, STAGE_CGROUP, r, NULL);
    if (r < 0)
        return fail(a, STAGE_CLONE, r, r == -EAGAIN ? "no more processes can be started now, try again later" : NULL);
    a->plan = NULL;
    /* Without memory to hold them the child may lack its fds, and must not run like that. */
    r = crowd_started(w, shares, a->fds, a->n_fds, &report);
    if (r < 0) {
        log_line(LOG_ERR, LOG_KIND_RESOURCE, &a->s->peer, "the fds of worker %llu cannot be held and it is ended: %s",
                 (unsigned long long)w->id, strerror(-r));
        worker_kill(w);
    }
    return 0;
}

/* It runs: from here on its end is what is told. */
static void watch_started(struct attempt *a) {
    struct worker *w = a->worker;
    uint64_t limit = message_u64(a->m, ATTR_TIME_LIMIT, 0);
    w->d->counters.started++;
    keep_started(w, true);
    int r = reaper_watch(w);
    if (r >= 0 && limit > 0)
        r = worker_set_time_limit(w, limit);
    if (r < 0) {
        /* Without memory for watching it. Its end must not be lost. */
        log_line(LOG_ERR, LOG_KIND_RESOURCE, &a->s->peer, "worker %llu cannot be watched and is ended: %s",
                 (unsigned long long)w->id, strerror(-r));
        reaper_ask(w);
        worker_kill(w);
    }
    if (!(w->flags & SPAWN_REPORT_EXECED))
        report_started(w);
}

static int attempt(struct attempt *a) {
    int r = check_limits(a);
    if (r < 0)
        return r;
    r = plan_build(&a->s->d->launch->base, a->m, a->fds, &a->plan, a->text);
    a->stage = STAGE_REQUEST;
    if (r < 0)
        return r;
    const char *what = NULL;
    r = handover_check(a->s->d, a->m, &what);
    if (r < 0)
        return fail(a, STAGE_REQUEST, r, what);
    if (worker_new(a->s->d, a->s, &a->worker) < 0)
        return fail(a, STAGE_REQUEST, -ENOMEM, NULL);
    admit_started(a->s->d);
    r = fill_worker(a);
    if (r >= 0)
        r = start(a);
    if (r >= 0)
        watch_started(a);
    return r;
}

void launch_refuse(struct session *s, uint32_t serial, int error, const char *what) {
    char text[REFUSAL_TEXT + 16];
    snprintf(text, sizeof text, "%s: %s", stage_name(STAGE_LIMIT), what);
    s->d->counters.failed++;
    admit_refused(s, text);
    report_failed(s, serial, NULL, STAGE_LIMIT, error, text);
}

static void give_up(struct attempt *a, int error) {
    if (a->stage == STAGE_LIMIT)
        admit_refused(a->s, a->text);
    a->s->d->counters.failed++;
    report_failed(a->s, a->m->serial, NULL, a->stage, -error, a->text);
    if (a->worker == NULL)
        return;
    report_failed_watchers(a->worker, a->stage, -error, a->text);
    if (a->worker->own_cgroup)
        sweep_cgroup(a->s->d, a->worker->id);
    worker_free(a->worker);
}

static void close_all(const int *fds, unsigned n_fds) {
    for (unsigned i = 0; i < n_fds; i++)
        close_fd(fds[i]);
}

static bool launch_exec(struct session *s, const struct message *m, int *fds, unsigned n_fds, struct refusal *ret_refusal) {
    struct attempt a = {.s = s, .m = m, .fds = fds, .n_fds = n_fds};
    int r = attempt(&a);
    if (ret_refusal != NULL && refusal_may_pass(&a.refusal)) {
        *ret_refusal = a.refusal;
        return true;
    }
    if (r < 0)
        give_up(&a, r);
    free(a.plan);
    close_all(fds, n_fds);
    return false;
}

bool launch_try(struct session *s, const struct message *m, int *fds, unsigned n_fds, struct refusal *ret_refusal) {
    if (message_has(m, ATTR_ZYGOTE))
        return fork_launch(s, m, fds, n_fds, ret_refusal);
    return launch_exec(s, m, fds, n_fds, ret_refusal);
}

/* One that was sent before: whether that is all, or it is to be started now. */
static bool is_answered(struct session *s, const struct message *m) {
    int r = message_has(m, ATTR_AGAIN) ? adopt_again(s, m) : 1;
    if (r < 0)
        report_failed(s, m->serial, NULL, STAGE_REQUEST, -r,
                      "request: whether this job was started before is not known: the table of workers is younger than it");
    return r <= 0;
}

int launch(struct session *s, const struct message *m) {
    int fds[LIMIT_FDS];
    struct refusal refusal;
    unsigned n_fds = message_fds(m);
    if (fd_queue_take(&s->fds, n_fds, fds) < 0)
        return -EBADMSG;
    /* Those that wait have been here first. */
    slots_serve(s->d);
    if (s->ending || is_answered(s, m)) {
        close_all(fds, n_fds);
        return 0;
    }
    bool waits = message_u64(m, ATTR_SLOT_WAIT, 0) > 0;
    if (launch_try(s, m, fds, n_fds, waits ? &refusal : NULL))
        slots_wait(s, m, fds, n_fds, &refusal);
    return 0;
}
