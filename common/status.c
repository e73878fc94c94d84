/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Statuses of processes that are not our children. Nothing is guessed. */
#include "common/status.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* <linux/pidfd.h> of the systems that we build on does not have them yet. */
struct info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct info)
enum { INFO_EXIT = 1 << 3 };

int status_of_pidfd(int pidfd, int *ret_status) {
    struct info info = {.mask = INFO_EXIT};
    if (ioctl(pidfd, GET_INFO, &info) < 0)
        return -ECHILD;
    /* A kernel that does not know the question leaves the bit out. So does one whose process has not been reaped. */
    if (!(info.mask & INFO_EXIT))
        return info.tgid != 0 ? 0 : -ECHILD;
    *ret_status = info.exit_code;
    return 1;
}
