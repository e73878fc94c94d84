/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions about a process that is not our child. The kernel's newer answers are used where it has them; nothing is guessed. */
#include "daemon/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/status.h"
#include "protocol/message.h"

/* <linux/pidfd.h> of the systems that we build on does not have them yet. */
struct info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct info)

/* Before 6.13. The file is our own, so that an undumpable process may read it as well. */
static int pid_of_fdinfo(int pidfd, pid_t *ret_pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n < 0)
        return -errno;
    text[n] = 0;
    const char *line = strstr(text, "\nPid:");
    if (line == NULL)
        return -EINVAL;
    long pid = strtol(line + 5, NULL, 10);
    if (pid <= 0)
        return -ESRCH;
    *ret_pid = (pid_t)pid;
    return 0;
}

int pidfd_pid(int pidfd, pid_t *ret_pid, pid_t *ret_parent) {
    struct info info = {0};
    if (ioctl(pidfd, GET_INFO, &info) < 0)
        return errno == ENOTTY || errno == EINVAL ? pid_of_fdinfo(pidfd, ret_pid) : -errno;
    if (info.tgid == 0)
        return -ESRCH;
    *ret_pid = (pid_t)info.tgid;
    *ret_parent = (pid_t)info.ppid;
    return 0;
}

uint64_t process_stat(pid_t pid, unsigned field) {
    enum { NAME = 2 };
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (n <= 0)
        return 0;
    text[n] = 0;
    /* The name can have blanks and parentheses. */
    const char *p = strrchr(text, ')');
    for (unsigned f = NAME; p != NULL && f < field; f++)
        p = strchr(p + 1, ' ');
    return p != NULL ? strtoull(p, NULL, 10) : 0;
}

int pidfd_end(int pidfd, int *ret_kind, int *ret_value) {
    int status, r = status_of_pidfd(pidfd, &status);
    if (r <= 0)
        return r;
    *ret_kind = WIFEXITED(status) ? END_EXITED : WCOREDUMP(status) ? END_DUMPED : END_KILLED;
    *ret_value = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    return 1;
}
