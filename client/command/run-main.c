/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv run --as-main`, the ExecStart= of a unit: the worker becomes a child of the service manager in our own cgroup, and the
 * unit's main process in our place. It does not begin before the manager knows that, so that the manager sees all of its life. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "ending.h"
#include "notify.h"
#include "run.h"
#include "say.h"

enum { PATIENCE_USEC = 10 * 1000 * 1000 };

static int open_cgroup(const char *path, int *ret_fd) {
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char whole[PATH_MAX + 64];
    for (unsigned i = 0; i < 2; i++) {
        /* Only in the unified hierarchy a folder has this. */
        snprintf(whole, sizeof whole, "%s%s/cgroup.events", roots[i], path);
        if (access(whole, F_OK) < 0)
            continue;
        whole[strlen(whole) - strlen("/cgroup.events")] = 0;
        *ret_fd = open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
    }
    return -ENOENT;
}

int run_open_cgroup(pid_t pid, int *ret_fd) {
    char line[PATH_MAX];
    snprintf(line, sizeof line, "/proc/%d/cgroup", (int)pid);
    owned_file file = fopen(line, "re");
    int r = file != NULL ? -ENOENT : -errno;
    while (r == -ENOENT && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::/", 4) == 0)
            r = open_cgroup(line + 3, ret_fd);
    }
    return r;
}

static int open_own_cgroup(int *ret_fd) {
    int r = run_open_cgroup(getpid(), ret_fd);
    if (r < 0)
        say("--as-main: cannot open the cgroup of this service: %s", strerror(-r));
    return r;
}

static int failed(struct forksrv_worker *worker) {
    enum forksrv_stage stage;
    const char *text;
    int error = forksrv_worker_failure(worker, &stage, &text);
    say("%s", text);
    return end_of_failure(stage, error);
}

/* Whether the program runs. If it does not, the process that should have run it has ended with 127, for which the manager tells
 * us to end, too; but not before it is said why. */
static int begin(struct forksrv *session, struct forksrv_worker *worker, int gate) {
    sigset_t later;
    sigemptyset(&later);
    sigaddset(&later, SIGTERM);
    sigprocmask(SIG_BLOCK, &later, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (write(gate, "", 1) != 1) {
        say("the worker was ended before it began");
        return EXIT_RUN_FAILURE;
    }
    forksrv_worker_wait(worker, PATIENCE_USEC, NULL);
    if (forksrv_worker_state(worker) == FORKSRV_STATE_FAILED)
        return failed(worker);
    if (forksrv_worker_state(worker) == FORKSRV_STATE_HANDED_OVER)
        return 0;
    say("%s; what became of the worker the manager knows", forksrv_error(session));
    return EXIT_RUN_FAILURE;
}

static int hand_over(const struct notify *n, struct forksrv *session, struct forksrv_worker *worker, int gate) {
    char state[64];
    /* A manager that does not know MAINPIDFD= would complain of the fd. It takes the number, and looks whether that is in the
     * unit's cgroup; until the gate opens, nobody else can have it. */
    int fd = getenv("MANAGERPIDFDID") != NULL ? forksrv_worker_pidfd(worker) : -1;
    snprintf(state, sizeof state, "MAINPID=%d%s", (int)forksrv_worker_pid(worker), fd >= 0 ? "\nMAINPIDFD=1" : "");
    if (notify_tell(n, state, fd) < 0)
        return EXIT_RUN_FAILURE;
    int code = begin(session, worker, gate);
    if (code != 0)
        return code;
    return notify_tell(n, "READY=1", -1) < 0 ? EXIT_RUN_FAILURE : 0;
}

int run_as_main(struct forksrv *session, struct forksrv_spec *spec) {
    struct forksrv_worker *worker;
    struct notify n;
    owned_fd cgroup = -1;
    int ends[2];
    if (notify_init(&n) < 0 || open_own_cgroup(&cgroup) < 0)
        return EXIT_RUN_FAILURE;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        say("cannot make a pipe: %s", strerror(errno));
        return EXIT_RUN_FAILURE;
    }
    owned_fd gate = ends[1];
    int theirs = ends[0];
    forksrv_spec_set_cgroup(spec, cgroup);
    forksrv_spec_set_gate(spec, theirs);
    int code, r = forksrv_spawn(session, spec, FORKSRV_FOREVER, &worker);
    /* If the worker goes, its end of the pipe goes with it. */
    close(theirs);
    if (r < 0) {
        say("%s", forksrv_error(session));
        code = end_of_failure(forksrv_last_stage(session), r);
    } else {
        code = hand_over(&n, session, worker, gate);
        forksrv_worker_free(worker);
    }
    notify_done(&n);
    return code;
}
