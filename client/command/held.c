/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker that is started, then made known to the service manager by somebody else, and only then begins. */
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "ending.h"
#include "say.h"
#include "slot.h"

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

int held_cgroup_of(pid_t pid, int *ret_fd) {
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

int held_start(struct forksrv *session, struct forksrv_spec *spec, int cgroup, struct slot *slot, struct held *ret_held) {
    struct forksrv_worker *worker;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        say("cannot make a pipe: %s", strerror(errno));
        return EXIT_RUN_FAILURE;
    }
    forksrv_spec_set_cgroup(spec, cgroup);
    /* Its number must be known before it runs. */
    forksrv_spec_set_report(spec, FORKSRV_REPORT_STARTED);
    forksrv_spec_set_pidfd(spec, 1);
    forksrv_spec_set_gate(spec, ends[0]);
    int r = slot_spawn(slot, session, spec, &worker);
    /* Only the worker's is left, which goes with it. */
    close(ends[0]);
    if (r >= 0) {
        *ret_held = (struct held){session, worker, ends[1]};
        return 0;
    }
    close(ends[1]);
    say("%s", forksrv_error(session));
    return end_of_failure(forksrv_last_stage(session), r);
}

static int failed(const struct forksrv_worker *worker) {
    enum forksrv_stage stage;
    const char *text;
    int error = forksrv_worker_failure(worker, &stage, &text);
    say("%s", text);
    return end_of_failure(stage, error);
}

int held_begin(struct held *h, uint64_t timeout) {
    /* The worker may be gone. */
    signal(SIGPIPE, SIG_IGN);
    if (write(h->gate, "", 1) != 1)
        return -EPIPE;
    int r = forksrv_worker_wait(h->worker, timeout, NULL);
    if (forksrv_worker_state(h->worker) == FORKSRV_STATE_HANDED_OVER)
        return 0;
    if (forksrv_worker_state(h->worker) == FORKSRV_STATE_FAILED)
        return failed(h->worker);
    return r < 0 ? r : -ENODATA;
}

void held_free(struct held *h) {
    forksrv_worker_free(h->worker);
    close(h->gate);
}
