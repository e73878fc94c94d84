/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the control socket is: what the program says, $FORKSRV_ADDRESS, the session's instance, the system's. It only
 * makes paths; whether somebody answers there is found out by connecting. */
#include "client/session.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 4))) static int put(struct forksrv *s, struct candidate *c, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(c->path, sizeof c->path, format, ap);
    va_end(ap);
    if (n < (int)sizeof c->path)
        return 0;
    return session_fail(s, -EINVAL, "the address %s... is longer than a socket's path can be (%zu bytes)", c->path,
                        sizeof c->path - 1);
}

static int put_system(struct forksrv *s, struct candidate *c, const char *user) {
    c->system = true;
    return put(s, c, "/run/forksrv/%s/control", user);
}

static int put_own_system(struct forksrv *s, struct candidate *c) {
    /* Name services can take milliseconds; everybody knows this one. */
    if (geteuid() == 0)
        return put_system(s, c, "root");
    char buffer[4096];
    struct passwd entry, *found = NULL;
    int r = getpwuid_r(geteuid(), &entry, buffer, sizeof buffer, &found);
    if (r != 0 || found == NULL)
        return -ENOENT;
    return put_system(s, c, found->pw_name);
}

int find_candidates(struct forksrv *s, struct candidate ret[CANDIDATES], unsigned *ret_count) {
    memset(ret, 0, CANDIDATES * sizeof *ret);
    *ret_count = 1;
    if (s->address != NULL)
        return put(s, &ret[0], "%s", s->address);
    if (s->user != NULL)
        return put_system(s, &ret[0], s->user);
    const char *address = secure_getenv("FORKSRV_ADDRESS");
    if (address != NULL && address[0] != 0)
        return put(s, &ret[0], "%s", address);
    unsigned n = 0;
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    if (runtime != NULL && runtime[0] == '/') {
        int r = put(s, &ret[n++], "%s/forksrv/control", runtime);
        if (r < 0)
            return r;
    }
    if (put_own_system(s, &ret[n]) == 0)
        n++;
    *ret_count = n;
    return 0;
}
