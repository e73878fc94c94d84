/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The OOM killer's score of a worker, by its file in /proc. It is our child and not reaped yet, so the pid is its own. */
#include "daemon/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/log.h"
#include "daemon/worker.h"

static bool may_lower(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1U << CAP_SYS_RESOURCE);
}

bool oom_may_set(int adj) {
    char text[16] = "";
    auto_fd fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) < 1)
        return true;
    return adj >= atoi(text) || may_lower();
}

void oom_set(const struct worker *w) {
    char path[64], text[16];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)w->pid);
    int n = snprintf(text, sizeof text, "%d", w->oom_score_adj);
    auto_fd fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) < 0)
        log_line(LOG_WARNING, LOG_KIND_WORKER, NULL, "cannot set the OOM score of worker %llu to %s: %s",
                 (unsigned long long)w->id, text, strerror(errno));
}
