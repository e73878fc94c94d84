/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker shall be. Every value is checked when it is set, so that encoding it later cannot fail for it; the strings are
 * kept as they will travel. */
#include "client/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

int forksrv_spec_new(struct forksrv_spec **ret_spec) {
    struct forksrv_spec *spec = calloc(1, sizeof *spec);
    if (spec == NULL)
        return -ENOMEM;
    spec->report = FORKSRV_REPORT_EXECED;
    spec->pidfd = true;
    spec->cgroup = spec->gate = -1;
    *ret_spec = spec;
    return 0;
}

void forksrv_spec_free(struct forksrv_spec *spec) {
    if (spec == NULL)
        return;
    free(spec->program);
    free(spec->cwd);
    free(spec->name);
    free(spec->zygote);
    free(spec->argv.data);
    free(spec->environ_.data);
    free(spec);
}

/* ---- strings ---- */

static int strings_add(struct strings *s, const char *string, size_t size) {
    if (s->allocated - s->size < size) {
        size_t n = s->allocated != 0 ? s->allocated : 256;
        while (n - s->size < size)
            n *= 2;
        char *data = realloc(s->data, n);
        if (data == NULL)
            return -ENOMEM;
        s->data = data;
        s->allocated = n;
    }
    memcpy(s->data + s->size, string, size);
    s->size += size;
    s->count++;
    return 0;
}

/* Takes a whole list over in the place of `old`, if it fits beside `other`. */
static int strings_replace(struct strings *old, const struct strings *other, const char *const *list) {
    struct strings fresh = {0};
    int r = 0;
    for (; *list != NULL && r == 0; list++) {
        size_t size = strlen(*list) + 1;
        if (size > LIMIT_ARGS - other->size - fresh.size || fresh.count + other->count == LIMIT_STRINGS)
            r = -E2BIG;
        else
            r = strings_add(&fresh, *list, size);
    }
    if (r < 0) {
        free(fresh.data);
        return r;
    }
    free(old->data);
    *old = fresh;
    return 0;
}

/* The variable's string, or NULL. */
static char *find_variable(struct strings *s, const char *name, size_t size) {
    for (char *p = s->data; p != NULL && p < s->data + s->size; p += strlen(p) + 1)
        if (strncmp(p, name, size) == 0 && p[size] == '=')
            return p;
    return NULL;
}

static void remove_variable(struct strings *s, const char *name, size_t size) {
    char *p;
    while ((p = find_variable(s, name, size)) != NULL) {
        size_t n = strlen(p) + 1;
        memmove(p, p + n, s->size - (size_t)(p - s->data) - n);
        s->size -= n;
        s->count--;
    }
}

int forksrv_spec_set_argv(struct forksrv_spec *spec, const char *const *argv) {
    if (argv == NULL || argv[0] == NULL)
        return -EINVAL;
    return strings_replace(&spec->argv, &spec->environ_, argv);
}

int forksrv_spec_set_environ(struct forksrv_spec *spec, const char *const *environ_) {
    if (environ_ == NULL)
        return -EINVAL;
    for (const char *const *e = environ_; *e != NULL; e++)
        if (strchr(*e, '=') == NULL || (*e)[0] == '=')
            return -EINVAL;
    return strings_replace(&spec->environ_, &spec->argv, environ_);
}

static bool is_name(const char *name) {
    return name != NULL && name[0] != 0 && strchr(name, '=') == NULL;
}

int forksrv_spec_setenv(struct forksrv_spec *spec, const char *name, const char *value) {
    if (!is_name(name) || value == NULL)
        return -EINVAL;
    size_t name_size = strlen(name), value_size = strlen(value) + 1;
    if (name_size + 1 + value_size > LIMIT_ARGS - spec->argv.size - spec->environ_.size ||
        spec->argv.count + spec->environ_.count == LIMIT_STRINGS)
        return -E2BIG;
    auto_free char *string = malloc(name_size + 1 + value_size);
    if (string == NULL)
        return -ENOMEM;
    memcpy(string, name, name_size);
    string[name_size] = '=';
    memcpy(string + name_size + 1, value, value_size);
    /* Added first: a failure leaves the old value. */
    struct strings *s = &spec->environ_;
    size_t old_size = s->size;
    int r = strings_add(s, string, name_size + 1 + value_size);
    if (r < 0)
        return r;
    size_t fresh = s->size - old_size;
    s->size = old_size;
    s->count--;
    remove_variable(s, name, name_size);
    memmove(s->data + s->size, string, fresh);
    s->size += fresh;
    s->count++;
    return 0;
}

int forksrv_spec_unsetenv(struct forksrv_spec *spec, const char *name) {
    if (!is_name(name))
        return -EINVAL;
    remove_variable(&spec->environ_, name, strlen(name));
    return 0;
}

static int set_string(char **where, const char *value, size_t max) {
    char *copy = NULL;
    if (value != NULL) {
        size_t n = strnlen(value, max);
        if (n == 0 || n == max)
            return -EINVAL;
        copy = strdup(value);
        if (copy == NULL)
            return -ENOMEM;
    }
    free(*where);
    *where = copy;
    return 0;
}

int forksrv_spec_set_program(struct forksrv_spec *spec, const char *program) {
    return set_string(&spec->program, program, LIMIT_PATH);
}

int forksrv_spec_set_cwd(struct forksrv_spec *spec, const char *path) {
    if (path != NULL && path[0] != '/')
        return -EINVAL;
    return set_string(&spec->cwd, path, LIMIT_PATH);
}

int forksrv_spec_set_name(struct forksrv_spec *spec, const char *name) {
    for (const char *p = name; p != NULL && *p != 0; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return -EINVAL;
    return set_string(&spec->name, name, LIMIT_NAME + 1);
}

int forksrv_spec_set_zygote(struct forksrv_spec *spec, const char *name) {
    /* What is a name of one the server knows. */
    return set_string(&spec->zygote, name, LIMIT_ZYGOTE + 1);
}

/* ---- fds ---- */

int forksrv_spec_map_fd(struct forksrv_spec *spec, int fd, int target) {
    if (target < 0 || target > LIMIT_TARGET_FD)
        return -EINVAL;
    unsigned i = 0;
    while (i < spec->n_mappings && spec->mappings[i].target != target)
        i++;
    if (fd == -1) {
        if (i < spec->n_mappings)
            spec->mappings[i] = spec->mappings[--spec->n_mappings];
        return 0;
    }
    if (fcntl(fd, F_GETFD) < 0)
        return -EBADF;
    if (i < spec->n_mappings)
        return -EINVAL;
    if (i == LIMIT_MAPPED_FDS)
        return -E2BIG;
    spec->mappings[i].fd = fd;
    spec->mappings[i].target = target;
    spec->n_mappings++;
    return 0;
}

/* ---- numbers ---- */

static int set_number(struct forksrv_spec *spec, enum spec_number number, uint64_t value, bool given) {
    spec->numbers[number] = value;
    spec->given = given ? spec->given | 1u << number : spec->given & ~(1u << number);
    return 0;
}

int forksrv_spec_set_umask(struct forksrv_spec *spec, mode_t mask) {
    return mask > 0777 ? -EINVAL : set_number(spec, SPEC_UMASK, mask, true);
}

int forksrv_spec_set_rlimit(struct forksrv_spec *spec, int resource, uint64_t soft, uint64_t hard) {
    if (resource < 0 || resource >= (int)RLIM_NLIMITS || soft > hard)
        return -EINVAL;
    unsigned i = 0;
    while (i < spec->n_rlimits && spec->rlimits[i].resource != resource)
        i++;
    if (i == SPEC_RLIMITS)
        return -E2BIG;
    if (i == spec->n_rlimits)
        spec->n_rlimits++;
    spec->rlimits[i].resource = resource;
    spec->rlimits[i].soft = soft;
    spec->rlimits[i].hard = hard;
    return 0;
}

int forksrv_spec_set_nice(struct forksrv_spec *spec, int nice) {
    return nice < -20 || nice > 19 ? -EINVAL : set_number(spec, SPEC_NICE, (uint32_t)nice, true);
}

int forksrv_spec_set_oom_score_adj(struct forksrv_spec *spec, int adj) {
    return adj < -1000 || adj > 1000 ? -EINVAL : set_number(spec, SPEC_OOM_SCORE_ADJ, (uint32_t)adj, true);
}

int forksrv_spec_set_blocked_signals(struct forksrv_spec *spec, uint64_t set) {
    return set_number(spec, SPEC_BLOCKED, set, set != 0);
}

int forksrv_spec_set_ignored_signals(struct forksrv_spec *spec, uint64_t set) {
    return set_number(spec, SPEC_IGNORED, set, set != 0);
}

int forksrv_spec_set_time_limit(struct forksrv_spec *spec, uint64_t usec) {
    return set_number(spec, SPEC_TIME_LIMIT, usec, usec != 0 && usec != FORKSRV_FOREVER);
}

int forksrv_spec_set_grace(struct forksrv_spec *spec, uint64_t usec) {
    return set_number(spec, SPEC_GRACE, usec, usec != 0);
}

int forksrv_spec_set_memory_max(struct forksrv_spec *spec, uint64_t bytes) {
    return set_number(spec, SPEC_MEMORY_MAX, bytes, bytes != 0);
}

int forksrv_spec_set_tasks_max(struct forksrv_spec *spec, uint64_t tasks) {
    return set_number(spec, SPEC_TASKS_MAX, tasks, tasks != 0);
}

int forksrv_spec_set_cpu_weight(struct forksrv_spec *spec, uint64_t weight) {
    return weight > 10000 ? -EINVAL : set_number(spec, SPEC_CPU_WEIGHT, weight, weight != 0);
}

int forksrv_spec_set_slot_wait(struct forksrv_spec *spec, uint64_t usec) {
    return set_number(spec, SPEC_SLOT_WAIT, usec, usec != 0);
}

int forksrv_spec_set_flags(struct forksrv_spec *spec, unsigned flags) {
    if (flags & ~(unsigned)SPEC_FLAGS)
        return -EINVAL;
    spec->flags = flags;
    return 0;
}

int forksrv_spec_set_cgroup(struct forksrv_spec *spec, int fd) {
    spec->cgroup = fd < 0 ? -1 : fd;
    return 0;
}

int forksrv_spec_set_gate(struct forksrv_spec *spec, int fd) {
    spec->gate = fd < 0 ? -1 : fd;
    return 0;
}

int forksrv_spec_set_report(struct forksrv_spec *spec, enum forksrv_report report) {
    if ((unsigned)report > FORKSRV_REPORT_EXECED)
        return -EINVAL;
    spec->report = report;
    return 0;
}

int forksrv_spec_set_pidfd(struct forksrv_spec *spec, int wanted) {
    spec->pidfd = wanted != 0;
    return 0;
}
