/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program on two pipes. */
#include "bench/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"

static int spawn(pid_t *ret_pid, const char *const *argv, int input, int output) {
    union {
        const char *const *given;
        char *const *wanted;
    } copy = {.given = argv};
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return -r;
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    r = posix_spawn(ret_pid, argv[0], &actions, NULL, copy.wanted, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

int pipes_start(struct pipes *pipes, const char *const *argv) {
    int to[2], from[2];
    int r = pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 ? -errno : 0;
    if (r == 0)
        r = spawn(&pipes->pid, argv, to[0], from[1]);
    if (r < 0) {
        say("cannot start %s: %s", argv[0], strerror(-r));
        return r;
    }
    close(to[0]);
    close(from[1]);
    pipes->to = fdopen(to[1], "w");
    pipes->from = fdopen(from[0], "r");
    return pipes->to != NULL && pipes->from != NULL ? 0 : -ENOMEM;
}

int pipes_stop(struct pipes *pipes) {
    int status = 0;
    if (pipes->pid <= 0)
        return 0;
    fclose(pipes->to);
    fclose(pipes->from);
    waitpid(pipes->pid, &status, 0);
    pipes->pid = 0;
    return status;
}
