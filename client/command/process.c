/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker as /proc shows it: whether it is stopped, and what it does with a signal. It is somebody else's child, so nothing
 * tells us of that. */
#include "process.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cleanup.h"

int process_look(pid_t pid, struct process *ret_process) {
    struct process p = {0};
    char path[64], line[256];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    owned_file f = fopen(path, "re");
    if (f == NULL)
        return -errno;
    while (fgets(line, sizeof line, f) != NULL)
        found += sscanf(line, "State: %c", &p.state) == 1 || sscanf(line, "SigBlk: %" SCNx64, &p.blocked) == 1 ||
                 sscanf(line, "SigIgn: %" SCNx64, &p.ignored) == 1 || sscanf(line, "SigCgt: %" SCNx64, &p.catches) == 1;
    if (found != 4)
        return -ESRCH;
    *ret_process = p;
    return 0;
}

enum process_takes process_takes(const struct process *p, int signo) {
    uint64_t bit = UINT64_C(1) << (signo - 1);
    if ((p->blocked | p->ignored) & bit)
        return PROCESS_REFUSES;
    return p->catches & bit ? PROCESS_CATCHES : PROCESS_DEFAULT;
}
