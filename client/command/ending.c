/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ending as a worker did: with its exit code, or by the signal that ended it, so that a shell, make or systemd draws the same
 * conclusions as from the worker itself. */
#include "ending.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "command.h"

#ifdef FORKSRV_COVERAGE
void __gcov_dump(void);
#endif

int end_by_signal(int signo) {
    sigset_t set;
    fflush(stdout);
    /* Not dumpable rather than RLIMIT_CORE 0: a core_pattern that is a pipe takes no notice of the limit. */
    prctl(PR_SET_DUMPABLE, 0);
    signal(signo, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signo);
#ifdef FORKSRV_COVERAGE
    __gcov_dump();
#endif
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signo);
    return 128 + signo;
}

int end_as(const struct forksrv_end *end) {
    return end->signo != 0 ? end_by_signal(end->signo) : end->code;
}

int end_of_failure(enum forksrv_stage stage, int error) {
    if (stage != FORKSRV_STAGE_EXEC)
        return EXIT_RUN_FAILURE;
    return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
