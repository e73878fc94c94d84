/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A SPAWN message becomes a plan: one block of memory that has all strings, arrays and numbers of the child. Here a request is
 * checked as far as it can be before there is a process; what only the kernel can tell, the child tells. */
#include "daemon/build.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/cleanup.h"

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

struct builder {
    const struct plan_base *base;
    const struct message *m;
    const int *fds;
    struct plan *plan;
    char *text;
    char *next; /* free room in the plan's block */
};

static int wrong(struct builder *b, int error, const char *what) {
    snprintf(b->text, LIMIT_TEXT, "%s: %s", stage_name(STAGE_REQUEST), what);
    return error;
}

/* ---- the block ---- */

static size_t aligned(size_t n) {
    return (n + 15) & ~(size_t)15;
}

static void *take(struct builder *b, size_t n) {
    void *p = b->next;
    b->next += aligned(n);
    return p;
}

static size_t targets(const struct message *m) {
    return m->attributes[ATTR_FDMAP].size / 8 + 3; /* and 0, 1, 2 if they are not named */
}

static int allocate(struct builder *b) {
    const struct message *m = b->m;
    size_t size = aligned(sizeof(struct plan)) + aligned(targets(m) * sizeof(struct plan_fd)) +
                  aligned((targets(m) + 1) * sizeof(struct plan_range));
    size += aligned((message_strs_count(m, ATTR_ARGV) + 1) * sizeof(char *)) + aligned(m->attributes[ATTR_ARGV].size);
    size += aligned((message_strs_count(m, ATTR_ENVIRON) + 1) * sizeof(char *)) + aligned(m->attributes[ATTR_ENVIRON].size);
    size += aligned(m->attributes[ATTR_PROGRAM].size) + aligned(m->attributes[ATTR_CWD].size);
    size += aligned(LIMIT_PATH + 1 + m->attributes[ATTR_PROGRAM].size + m->attributes[ATTR_ARGV].size + 2);
    char *block = malloc(size);
    if (block == NULL)
        return wrong(b, -ENOMEM, "no memory");
    b->next = block;
    b->plan = take(b, sizeof(struct plan));
    memset(b->plan, 0, sizeof *b->plan);
    b->plan->report = b->plan->wake = b->plan->gate = b->plan->depot = -1;
    return 0;
}

static const char *copy_str(struct builder *b, unsigned attr) {
    const struct attribute *a = &b->m->attributes[attr];
    if (a->data == NULL)
        return NULL;
    return memcpy(take(b, a->size), a->data, a->size);
}

static char **copy_strs(struct builder *b, unsigned attr) {
    const struct attribute *a = &b->m->attributes[attr];
    size_t count = message_strs_count(b->m, attr);
    char **list = take(b, (count + 1) * sizeof *list);
    char *p = take(b, a->size);
    if (a->size > 0)
        memcpy(p, a->data, a->size);
    for (size_t i = 0; i < count; i++) {
        list[i] = p;
        p += strlen(p) + 1;
    }
    list[count] = NULL;
    return list;
}

/* ---- what is run ---- */

static const char *path_of(char *const *envp) {
    for (; *envp != NULL; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    return default_path;
}

static int build_program(struct builder *b) {
    struct plan *p = b->plan;
    const struct message *m = b->m;
    if (!message_has(m, ATTR_ARGV) || m->attributes[ATTR_ARGV].size == 0)
        return wrong(b, -EINVAL, "no ARGV");
    if ((size_t)m->attributes[ATTR_ARGV].size + m->attributes[ATTR_ENVIRON].size > LIMIT_ARGS)
        return wrong(b, -E2BIG, "arguments and environment are longer than 3 MiB");
    p->argv = copy_strs(b, ATTR_ARGV);
    p->envp = copy_strs(b, ATTR_ENVIRON);
    for (char **e = p->envp; *e != NULL; e++)
        if (strchr(*e, '=') == NULL || **e == '=')
            return wrong(b, -EINVAL, "a variable of the environment is not NAME=VALUE");
    p->program = copy_str(b, ATTR_PROGRAM);
    if (p->program == NULL)
        p->program = p->argv[0];
    if (p->program[0] == 0)
        return wrong(b, -ENOENT, "the program's name is empty");
    if (strlen(p->program) >= LIMIT_PATH)
        return wrong(b, -ENAMETOOLONG, "the program's name is too long");
    if (strchr(p->program, '/') == NULL) {
        p->search = path_of(p->envp);
        p->candidate = take(b, LIMIT_PATH + 1 + strlen(p->program) + 2);
    }
    p->cwd = copy_str(b, ATTR_CWD);
    if (p->cwd == NULL)
        p->cwd = "/";
    return 0;
}

/* ---- fds ---- */

static int by_target(const void *a, const void *b) {
    return ((const struct plan_fd *)a)->target - ((const struct plan_fd *)b)->target;
}

/* What lies between the targets, which are sorted, and after the last one. */
static void build_ranges(struct plan *p) {
    unsigned next = 0;
    for (unsigned i = 0; i < p->n_fds; i++) {
        unsigned target = (unsigned)p->fds[i].target;
        if (target > next)
            p->ranges[p->n_ranges++] = (struct plan_range){next, target - 1};
        next = target + 1;
    }
    next += (p->reports_exec ? 1 : 0) + (p->gate >= 0 ? 1 : 0); /* they are at p->above until the exec */
    p->ranges[p->n_ranges++] = (struct plan_range){next, ~0U};
}

static int build_fds(struct builder *b) {
    struct plan *p = b->plan;
    const struct attribute *map = &b->m->attributes[ATTR_FDMAP];
    unsigned n = map->size / 8, named = 0;
    p->fds = take(b, targets(b->m) * sizeof *p->fds);
    p->ranges = take(b, (targets(b->m) + 1) * sizeof *p->ranges);
    for (unsigned i = 0; i < n; i++) {
        uint32_t index = wire_get_u32(map->data + 8 * i), target = wire_get_u32(map->data + 8 * i + 4);
        if (index >= message_fds(b->m))
            return wrong(b, -EINVAL, "FDMAP names a file descriptor that was not sent");
        if (target > LIMIT_TARGET_FD)
            return wrong(b, -EINVAL, "FDMAP names a target over 1023");
        p->fds[p->n_fds++] = (struct plan_fd){b->fds[index], (int)target};
        named |= target < 3 ? 1U << target : 0;
    }
    for (int t = 0; t < 3; t++)
        if (!(named & 1U << t))
            p->fds[p->n_fds++] = (struct plan_fd){b->base->null_fd, t};
    qsort(p->fds, p->n_fds, sizeof *p->fds, by_target);
    for (unsigned i = 1; i < p->n_fds; i++)
        if (p->fds[i].target == p->fds[i - 1].target)
            return wrong(b, -EINVAL, "FDMAP names a target twice");
    p->above = p->fds[p->n_fds - 1].target + 1;
    if (message_has(b->m, ATTR_GATE)) {
        uint32_t index = message_u32(b->m, ATTR_GATE, 0);
        if (index >= message_fds(b->m))
            return wrong(b, -EINVAL, "GATE names a file descriptor that was not sent");
        p->gate = b->fds[index];
    }
    build_ranges(p);
    return 0;
}

/* ---- numbers ---- */

static bool has_rlimit(const struct plan *p, int resource) {
    for (unsigned i = 0; i < p->n_rlimits; i++)
        if (p->rlimits[i].resource == resource)
            return true;
    return false;
}

static int build_rlimits(struct builder *b) {
    struct plan *p = b->plan;
    const struct attribute *a = &b->m->attributes[ATTR_RLIMITS];
    for (uint32_t i = 0; i < a->size / 24; i++) {
        const uint8_t *e = a->data + 24 * i;
        uint32_t resource = wire_get_u32(e);
        struct plan_rlimit l = {(int)resource, {wire_get_u64(e + 8), wire_get_u64(e + 16)}};
        if (resource >= RLIM_NLIMITS || wire_get_u32(e + 4) != 0 || has_rlimit(p, l.resource))
            return wrong(b, -EINVAL, "RLIMITS names an unknown resource, or one twice");
        if (l.limit[0] > l.limit[1])
            return wrong(b, -EINVAL, "a soft resource limit is above its hard limit");
        p->rlimits[p->n_rlimits++] = l;
    }
    for (unsigned i = 0; i < b->base->n_rlimits; i++)
        if (!has_rlimit(p, b->base->rlimits[i].resource))
            p->rlimits[p->n_rlimits++] = b->base->rlimits[i];
    return 0;
}

static int build_numbers(struct builder *b) {
    struct plan *p = b->plan;
    const struct message *m = b->m;
    p->flags = message_u32(m, ATTR_SPAWN_FLAGS, 0);
    if (p->flags & ~(uint32_t)SPAWN_ALL)
        return wrong(b, -ENOTSUP, "SPAWN_FLAGS has an unknown flag");
    if (p->flags & SPAWN_DERIVED)
        return wrong(b, -EINVAL, "SPAWN_FLAGS asks for a derived zygote, and no ZYGOTE is named");
    if ((p->flags & SPAWN_CONTROLLING_TERMINAL) && (p->flags & SPAWN_PROCESS_GROUP))
        return wrong(b, -EINVAL, "SPAWN_FLAGS asks for a controlling terminal without a session of its own");
    uint32_t mask = message_u32(m, ATTR_UMASK, 022);
    if (mask > 0777)
        return wrong(b, -EINVAL, "UMASK is over 0777");
    p->umask = (mode_t)mask;
    p->has_nice = message_has(m, ATTR_NICE);
    p->nice = (int)message_u32(m, ATTR_NICE, 0);
    if (p->nice < -20 || p->nice > 19)
        return wrong(b, -EINVAL, "NICE is not from -20 to 19");
    int oom = (int)message_u32(m, ATTR_OOM_SCORE_ADJ, 0);
    if (oom < -1000 || oom > 1000)
        return wrong(b, -EINVAL, "OOM_SCORE_ADJ is not from -1000 to 1000");
    p->has_oom_score_adj = message_has(m, ATTR_OOM_SCORE_ADJ);
    p->oom_score_adj = oom;
    p->reports_exec = p->has_oom_score_adj || (p->flags & (SPAWN_REPORT_EXECED | SPAWN_HAND_OVER)) || message_has(m, ATTR_GATE);
    p->blocked = message_u64(m, ATTR_BLOCKED, 0);
    p->ignored = message_u64(m, ATTR_IGNORED, 0);
    if (p->ignored & (UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1)))
        return wrong(b, -EINVAL, "IGNORED has SIGKILL or SIGSTOP, which cannot be ignored");
    return 0;
}

int plan_build(const struct plan_base *base, const struct message *m, const int *fds, struct plan **ret_plan, char *ret_text) {
    struct builder b = {.base = base, .m = m, .fds = fds, .text = ret_text};
    if (m->unsupported)
        return wrong(&b, -ENOTSUP, "an attribute that this version does not know is required");
    int r = allocate(&b);
    if (r >= 0)
        r = build_program(&b);
    if (r >= 0)
        r = build_numbers(&b);
    if (r >= 0)
        r = build_fds(&b);
    if (r >= 0)
        r = build_rlimits(&b);
    if (r < 0) {
        free(b.plan);
        return r;
    }
    *ret_plan = b.plan;
    return 0;
}
