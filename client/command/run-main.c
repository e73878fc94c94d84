/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv run --as-main`, the ExecStart= of a unit: the worker becomes a child of the service manager in our own cgroup, and the
 * unit's main process in our place. It does not begin before the manager knows that, so that the manager sees all of its life. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "held.h"
#include "notify.h"
#include "run.h"
#include "say.h"

enum { PATIENCE_USEC = 10 * 1000 * 1000 };

static int open_own_cgroup(int *ret_fd) {
    int r = held_cgroup_of(getpid(), ret_fd);
    if (r < 0)
        say("--as-main: cannot open the cgroup of this service: %s", strerror(-r));
    return r;
}

/* Whether the program runs. If it does not, the process that should have run it has ended with 127, for which the manager tells
 * us to end, too; but not before it is said why. */
static int begin(struct held *h) {
    sigset_t later;
    sigemptyset(&later);
    sigaddset(&later, SIGTERM);
    sigprocmask(SIG_BLOCK, &later, NULL);
    int r = held_begin(h, PATIENCE_USEC);
    if (r == -EPIPE)
        say("the worker was ended before it began");
    else if (r < 0)
        say("%s; what became of the worker the manager knows", forksrv_error(h->session));
    return r < 0 ? EXIT_RUN_FAILURE : r;
}

static int hand_over(const struct notify *n, struct held *h) {
    char state[64];
    /* A manager that does not know MAINPIDFD= would complain of the fd. It takes the number, and looks whether that is in the
     * unit's cgroup; until the gate opens, nobody else can have it. */
    int fd = getenv("MANAGERPIDFDID") != NULL ? forksrv_worker_pidfd(h->worker) : -1;
    snprintf(state, sizeof state, "MAINPID=%d%s", (int)forksrv_worker_pid(h->worker), fd >= 0 ? "\nMAINPIDFD=1" : "");
    if (notify_tell(n, state, fd) < 0)
        return EXIT_RUN_FAILURE;
    int code = begin(h);
    if (code != 0)
        return code;
    return notify_tell(n, "READY=1", -1) < 0 ? EXIT_RUN_FAILURE : 0;
}

int run_as_main(struct forksrv *session, struct forksrv_spec *spec, struct slot *slot) {
    struct held held;
    struct notify n;
    owned_fd cgroup = -1;
    if (notify_init(&n) < 0 || open_own_cgroup(&cgroup) < 0)
        return EXIT_RUN_FAILURE;
    int code = held_start(session, spec, cgroup, slot, &held);
    if (code == 0) {
        code = hand_over(&n, &held);
        held_free(&held);
    }
    notify_done(&n);
    return code;
}
