/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes without a server: what forksrv is measured against. */
#include <errno.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "say.h"

/* execve and its relatives do not write to it; only the types differ. */
static char *const *local_argv(const struct load_place *place) {
    union {
        const char *const *given;
        char *const *wanted;
    } argv = {.given = place->argv};
    return argv.wanted;
}

static int start_posix_spawn(const struct load_place *place) {
    pid_t pid;
    return -posix_spawn(&pid, place->argv[0], NULL, NULL, local_argv(place), environ);
}

static int start_fork_exec(const struct load_place *place) {
    pid_t pid = fork();
    if (pid == 0) {
        execve(place->argv[0], local_argv(place), environ);
        _exit(127);
    }
    return pid < 0 ? -errno : 0;
}

static int run(const struct load_place *place, int (*start)(const struct load_place *place), unsigned total, unsigned active) {
    unsigned started = 0, ended = 0;
    while (ended < total) {
        int r = 0, status;
        if (started < total && started - ended < active) {
            r = start(place);
            started++;
        } else if (wait(&status) < 0) {
            r = -errno;
        } else {
            ended++;
            r = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
        }
        if (r < 0) {
            say("%s: %s", place->argv[0], r == -ECANCELED ? "does not end with 0" : strerror(-r));
            return r;
        }
    }
    return 0;
}

int load_posix_spawn(struct load_place *place, unsigned total, unsigned active) {
    return run(place, start_posix_spawn, total, active);
}

int load_fork_exec(struct load_place *place, unsigned total, unsigned active) {
    return run(place, start_fork_exec, total, active);
}
