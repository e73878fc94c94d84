/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the options of `forksrv run`, and from the caller's own environment, directory, umask and standard files, to a spec of the
 * library. What the caller has besides, such as its resource limits and its other file descriptors, stays with it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "run.h"
#include "say.h"
#include "standard.h"

/* The caller's environment without entries that are no variables: execve takes such, a request does not. */
static int set_callers_environ(struct forksrv_spec *spec) {
    size_t n = 0, kept = 0;
    while (environ != NULL && environ[n] != NULL)
        n++;
    owned_memory const char **list = calloc(n + 1, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (strchr(environ[i], '=') != NULL && environ[i][0] != '=')
            list[kept++] = environ[i];
    return forksrv_spec_set_environ(spec, list);
}

static int set_variable(struct forksrv_spec *spec, const struct run_variable *v) {
    const char *equals = strchr(v->text, '=');
    if (v->unset)
        return forksrv_spec_unsetenv(spec, v->text);
    if (equals == NULL) {
        const char *value = getenv(v->text);
        return value != NULL ? forksrv_spec_setenv(spec, v->text, value) : 0;
    }
    owned_memory char *name = strndup(v->text, (size_t)(equals - v->text));
    if (name == NULL)
        return -ENOMEM;
    return forksrv_spec_setenv(spec, name, equals + 1);
}

static int set_environ(const struct run_options *o, struct forksrv_spec *spec) {
    int r = o->clean_env ? 0 : set_callers_environ(spec);
    for (unsigned i = 0; i < o->n_variables && r >= 0; i++)
        r = set_variable(spec, &o->variables[i]);
    if (r == -E2BIG)
        say("the environment is too large for a request: 3 MiB together with the arguments");
    else if (r < 0)
        say("cannot pass the environment on: %s", strerror(-r));
    return r;
}

static int set_cwd(const struct run_options *o, struct forksrv_spec *spec) {
    char here[PATH_MAX], path[2 * PATH_MAX];
    const char *dir = o->chdir;
    if (dir == NULL || dir[0] != '/') {
        if (getcwd(here, sizeof here) == NULL) {
            int r = -errno;
            say("cannot find the working directory (%s); name one with -C", strerror(-r));
            return r;
        }
        if (dir == NULL)
            dir = here;
        else if (snprintf(path, sizeof path, "%s/%s", here, dir) < (int)sizeof path)
            dir = path;
    }
    int r = forksrv_spec_set_cwd(spec, dir);
    if (r < 0)
        say("-C %s: %s", dir, strerror(-r));
    return r;
}

static bool is_mapped(const struct run_options *o, int target) {
    for (unsigned i = 0; i < o->n_fds; i++)
        if (o->fds[i].target == target)
            return true;
    return false;
}

static int set_fds(const struct run_options *o, int terminal, struct forksrv_spec *spec) {
    for (int fd = 0; fd < 3; fd++) {
        /* Whoever reads the id of a detached worker from a pipe would wait for the worker, which would have that pipe, too. */
        if (terminal < 0 && (o->detach || !standard_file_given(fd) || is_mapped(o, fd)))
            continue;
        int r = forksrv_spec_map_fd(spec, terminal >= 0 ? terminal : fd, fd);
        if (r < 0) {
            say("cannot pass file descriptor %d on: %s", fd, strerror(-r));
            return r;
        }
    }
    for (unsigned i = 0; i < o->n_fds; i++) {
        int r = forksrv_spec_map_fd(spec, o->fds[i].fd, o->fds[i].target);
        if (r < 0) {
            say("--fd=%d=%d: %s", o->fds[i].target, o->fds[i].fd,
                r == -EINVAL ? "the worker's number is too high" : strerror(-r));
            return r;
        }
    }
    return 0;
}

static mode_t callers_umask(void) {
    mode_t mask = umask(077);
    umask(mask);
    return mask;
}

static int set_limits(const struct run_options *o, struct forksrv_spec *spec) {
    int r = forksrv_spec_set_umask(spec, o->umask >= 0 ? (mode_t)o->umask : callers_umask());
    for (unsigned i = 0; i < o->n_rlimits && r >= 0; i++)
        r = forksrv_spec_set_rlimit(spec, o->rlimits[i].resource, o->rlimits[i].soft, o->rlimits[i].hard);
    if (r >= 0 && o->nice != INT_MIN)
        r = forksrv_spec_set_nice(spec, o->nice);
    if (r >= 0 && o->oom_score_adj != INT_MIN)
        r = forksrv_spec_set_oom_score_adj(spec, o->oom_score_adj);
    if (r >= 0 && o->time_limit != 0)
        r = forksrv_spec_set_time_limit(spec, o->time_limit);
    if (r >= 0 && o->grace != 0)
        r = forksrv_spec_set_grace(spec, o->grace);
    if (r >= 0 && o->memory_max != 0)
        r = forksrv_spec_set_memory_max(spec, o->memory_max);
    if (r >= 0 && o->tasks_max != 0)
        r = forksrv_spec_set_tasks_max(spec, o->tasks_max);
    if (r >= 0 && o->cpu_weight != 0)
        r = forksrv_spec_set_cpu_weight(spec, o->cpu_weight);
    if (r < 0)
        say("cannot ask for these limits: %s", strerror(-r));
    return r;
}

static int set_zygote(const struct run_options *o, struct forksrv_spec *spec) {
    int r = o->zygote != NULL ? forksrv_spec_set_zygote(spec, o->zygote) : 0;
    if (r == -EINVAL)
        return options_bad_value("--zygote", o->zygote, "a name of 1 to 64 bytes");
    if (r < 0)
        say("--zygote: %s", strerror(-r));
    return r;
}

static int set_name(const struct run_options *o, struct forksrv_spec *spec) {
    if (o->name == NULL)
        return 0;
    int r = forksrv_spec_set_name(spec, o->name);
    if (r == -EINVAL)
        return options_bad_value("--name", o->name, "1 to 64 bytes without control characters");
    if (r < 0)
        say("--name: %s", strerror(-r));
    return r;
}

/* A worker that is waited for needs its id soon, for signals, and can still fail to exec later; a detached one is
 * left only when its program runs. Nobody here needs a pidfd. */
static int set_reports(const struct run_options *o, struct forksrv_spec *spec) {
    int r = forksrv_spec_set_flags(spec, o->flags);
    if (r >= 0)
        r = forksrv_spec_set_report(spec, o->detach ? FORKSRV_REPORT_EXECED : FORKSRV_REPORT_STARTED);
    if (r >= 0)
        r = forksrv_spec_set_pidfd(spec, 0);
    if (r < 0)
        say("cannot ask for these flags: %s", strerror(-r));
    return r;
}

static int set_argv(const struct run_options *o, struct forksrv_spec *spec) {
    /* The library copies and does not write; only the pointer types differ. */
    union {
        char **given;
        const char *const *wanted;
    } argv = {.given = o->argv};
    int r = forksrv_spec_set_argv(spec, argv.wanted);
    if (r < 0)
        say("cannot pass the arguments on: %s", r == -E2BIG ? "they are longer than 3 MiB" : strerror(-r));
    return r;
}

int run_spec_new(const struct run_options *o, int terminal, struct forksrv_spec **ret_spec) {
    static int (*const setters[])(const struct run_options *o, struct forksrv_spec *spec) = {
        set_argv, set_environ, set_cwd, set_limits, set_name, set_zygote, set_reports,
    };
    owned_spec spec = NULL;
    int r = forksrv_spec_new(&spec);
    if (r < 0)
        say("out of memory");
    for (size_t i = 0; i < sizeof setters / sizeof setters[0] && r >= 0; i++)
        r = setters[i](o, spec);
    if (r >= 0)
        r = set_fds(o, terminal, spec);
    if (r < 0)
        return r;
    *ret_spec = spec;
    spec = NULL;
    return 0;
}
