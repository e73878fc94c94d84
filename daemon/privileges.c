/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From root to the user, once and for good. Privileges only go down; there is no way back up in this file. */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/log.h"

int privileges_find(const char *name, struct passwd *ret_pw, char *buf, size_t size) {
    struct passwd *found;
    int e = getpwnam_r(name, ret_pw, buf, size, &found);
    if (found != NULL)
        return 0;
    if (e != 0 && e != ENOENT && e != ESRCH)
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "cannot look up user \"%s\": %s", name, strerror(e));
    else
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL,
                 "there is no user \"%s\"; the instance's name (forksrv@NAME) must be that of a user", name);
    return -ESRCH;
}

static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int become(const struct passwd *pw) {
    if (initgroups(pw->pw_name, pw->pw_gid) < 0)
        return -errno;
    if (setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0)
        return -errno;
    if (setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
        return -errno;
    if (pw->pw_uid == 0)
        return 0;
    int r = drop_capabilities();
    if (r < 0)
        return r;
    /* The way back must be closed. */
    return setresuid(0, 0, 0) == 0 ? -EPERM : 0;
}

int privileges_drop(const struct passwd *pw) {
    int r = become(pw);
    if (r < 0)
        log_line(LOG_ERR, LOG_KIND_START_UP, NULL, "cannot become user \"%s\": %s (--user= needs root)", pw->pw_name,
                 strerror(-r));
    return r;
}

/* Headers older than Linux 6.6 do not have these. */
enum { SET_MDWE = 65, MDWE_REFUSE_EXEC_GAIN = 1, MDWE_NO_INHERIT = 2 };

int privileges_harden(void) {
    /* NO_INHERIT: workers may have a compiler at run time. Kernels before 6.6 refuse both together, and nothing is lost. */
    prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN | MDWE_NO_INHERIT, 0, 0, 0);
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}
