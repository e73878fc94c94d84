/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A spec as a SPAWN message, and the list of fds that travel with it. */
#include "client/spec.h"

#include <assert.h>
#include <errno.h>

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), "forksrv.h and the wire have the same numbers")
SAME(FORKSRV_DETACHED, SPAWN_DETACHED);
SAME(FORKSRV_PROCESS_GROUP, SPAWN_PROCESS_GROUP);
SAME(FORKSRV_NO_NEW_PRIVS, SPAWN_NO_NEW_PRIVS);
SAME(FORKSRV_OWN_CGROUP, SPAWN_OWN_CGROUP);
SAME(FORKSRV_DERIVED, SPAWN_DERIVED);
SAME(FORKSRV_CONTROLLING_TERMINAL, SPAWN_CONTROLLING_TERMINAL);
SAME(FORKSRV_HAND_OVER, SPAWN_HAND_OVER);

/* How each number travels. What an old server must not silently leave out is marked as required. */
static const struct {
    unsigned attr;
    bool wide;
} numbers[SPEC_NUMBERS] = {
    [SPEC_UMASK] = {ATTR_UMASK, false},
    [SPEC_NICE] = {ATTR_NICE, false},
    [SPEC_OOM_SCORE_ADJ] = {ATTR_OOM_SCORE_ADJ, false},
    [SPEC_BLOCKED] = {ATTR_BLOCKED, true},
    [SPEC_IGNORED] = {ATTR_IGNORED, true},
    [SPEC_TIME_LIMIT] = {ATTR_TIME_LIMIT, true},
    [SPEC_GRACE] = {ATTR_GRACE, true},
    [SPEC_MEMORY_MAX] = {ATTR_MEMORY_MAX, true},
    [SPEC_TASKS_MAX] = {ATTR_TASKS_MAX, true},
    [SPEC_CPU_WEIGHT] = {ATTR_CPU_WEIGHT, true},
    [SPEC_SLOT_WAIT] = {ATTR_SLOT_WAIT, true},
};

static uint32_t spawn_flags(const struct forksrv_spec *spec) {
    uint32_t flags = spec->flags;
    if (spec->report == FORKSRV_REPORT_END)
        return flags;
    flags |= spec->report == FORKSRV_REPORT_STARTED ? SPAWN_REPORT_STARTED : SPAWN_REPORT_EXECED;
    return spec->pidfd ? flags | SPAWN_PIDFD : flags;
}

static void put_rlimits(struct message_writer *w, const struct forksrv_spec *spec) {
    uint8_t *p = spec->n_rlimits > 0 ? message_put_space(w, ATTR_RLIMITS, 24 * (size_t)spec->n_rlimits) : NULL;
    for (unsigned i = 0; p != NULL && i < spec->n_rlimits; i++, p += 24) {
        wire_put_u32(p, (uint32_t)spec->rlimits[i].resource);
        wire_put_u32(p + 4, 0);
        wire_put_u64(p + 8, spec->rlimits[i].soft);
        wire_put_u64(p + 16, spec->rlimits[i].hard);
    }
}

static void put_numbers(struct message_writer *w, const struct forksrv_spec *spec, uint64_t patience) {
    for (unsigned i = 0; i < SPEC_NUMBERS; i++) {
        uint64_t v = spec->numbers[i];
        if (!(spec->given & 1u << i))
            continue;
        if (i == SPEC_SLOT_WAIT && v > patience)
            v = patience;
        if (numbers[i].wide)
            message_put_u64(w, numbers[i].attr, v);
        else
            message_put_u32(w, numbers[i].attr, (uint32_t)v);
    }
}

/* An fd that is mapped to several numbers travels once. */
static unsigned collect_fds(const struct forksrv_spec *spec, int *fds, uint32_t index[LIMIT_MAPPED_FDS]) {
    unsigned n = 0;
    for (unsigned i = 0; i < spec->n_mappings; i++) {
        unsigned k = 0;
        while (k < n && fds[k] != spec->mappings[i].fd)
            k++;
        if (k == n)
            fds[n++] = spec->mappings[i].fd;
        index[i] = k;
    }
    return n;
}

static void put_fdmap(struct message_writer *w, const struct forksrv_spec *spec, const uint32_t *index) {
    uint8_t *p = spec->n_mappings > 0 ? message_put_space(w, ATTR_FDMAP, 8 * (size_t)spec->n_mappings) : NULL;
    for (unsigned i = 0; p != NULL && i < spec->n_mappings; i++, p += 8) {
        wire_put_u32(p, index[i]);
        wire_put_u32(p + 4, (uint32_t)spec->mappings[i].target);
    }
}

/* A server that does not know them must not start the worker without. */
static void put_fd(struct message_writer *w, unsigned attr, int fd, int *fds, unsigned *n) {
    if (fd < 0)
        return;
    message_put_u32(w, attr | ATTR_REQUIRED, *n);
    fds[(*n)++] = fd;
}

int encode_spawn(struct forksrv_worker *worker, const struct forksrv_spec *spec, uint64_t patience) {
    struct forksrv *s = worker->session;
    int fds[LIMIT_MAPPED_FDS + 2];
    uint32_t index[LIMIT_MAPPED_FDS];
    unsigned n_fds = collect_fds(spec, fds, index);
    size_t before = wire_buf_len(&s->out);
    struct message_writer w;
    message_begin(&w, &s->out, MSG_SPAWN, (uint16_t)(n_fds + (spec->cgroup >= 0) + (spec->gate >= 0)), worker->serial);
    message_put_bytes(&w, ATTR_ARGV, spec->argv.data, spec->argv.size);
    if (spec->environ_.size > 0)
        message_put_bytes(&w, ATTR_ENVIRON, spec->environ_.data, spec->environ_.size);
    if (spec->program != NULL)
        message_put_str(&w, ATTR_PROGRAM, spec->program);
    if (spec->cwd != NULL)
        message_put_str(&w, ATTR_CWD, spec->cwd);
    if (spec->name != NULL)
        message_put_str(&w, ATTR_NAME, spec->name);
    /* A server without zygotes must not execute it instead. */
    if (spec->zygote != NULL)
        message_put_str(&w, ATTR_ZYGOTE | ATTR_REQUIRED, spec->zygote);
    message_put_u32(&w, ATTR_SPAWN_FLAGS, spawn_flags(spec));
    if (!(spec->flags & SPAWN_HAND_OVER))
        comeback_name(worker);
    if (worker->has_job)
        message_put_bytes(&w, ATTR_JOB, worker->job, LIMIT_JOB);
    put_rlimits(&w, spec);
    put_numbers(&w, spec, patience);
    put_fdmap(&w, spec, index);
    put_fd(&w, ATTR_INTO_CGROUP, spec->cgroup, fds, &n_fds);
    put_fd(&w, ATTR_GATE, spec->gate, fds, &n_fds);
    int r = message_end(&w);
    if (r < 0)
        return session_fail(s, r, "the request is too large, or memory is short");
    return pump_queue(s, wire_buf_len(&s->out) - before, fds, n_fds);
}
