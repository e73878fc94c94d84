/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling the service manager. libsystemd is loaded for that alone: to every other run it would cost a third of its time. */
#include "notify.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

enum { PATIENCE_USEC = 30 * 1000 * 1000 };

int notify_init(struct notify *n) {
    *n = (struct notify){0};
    if (getenv("NOTIFY_SOCKET") == NULL) {
        say("--as-main is for the ExecStart= of a service of systemd with Type=notify and NotifyAccess=all: NOTIFY_SOCKET is not "
            "set");
        return -ENOTCONN;
    }
    n->library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
    if (n->library == NULL) {
        say("--as-main needs libsystemd: %s", dlerror());
        return -ENOENT;
    }
    *(void **)&n->send = dlsym(n->library, "sd_pid_notify_with_fds");
    *(void **)&n->barrier = dlsym(n->library, "sd_notify_barrier");
    if (n->send != NULL && n->barrier != NULL)
        return 0;
    say("--as-main needs a libsystemd of version 246 or later");
    notify_done(n);
    return -ENOSYS;
}

void notify_done(struct notify *n) {
    if (n->library != NULL)
        dlclose(n->library);
    n->library = NULL;
}

int notify_tell(const struct notify *n, const char *state, int fd) {
    int r = n->send(0, 0, state, &fd, fd >= 0 ? 1 : 0);
    if (r > 0)
        r = n->barrier(0, PATIENCE_USEC);
    if (r > 0)
        return 0;
    say("cannot tell the service manager: %s", r == 0 ? "there is none" : strerror(-r));
    return r < 0 ? r : -ENOTCONN;
}
