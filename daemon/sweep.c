/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cgroups of ended workers: what is left in them dies, then they go. A killed process takes a moment to leave, so it may take
 * more than one try. */
#include "daemon/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/daemon.h"
#include "daemon/limits.h"
#include "daemon/log.h"

struct swept {
    SLIST_ENTRY(swept) link;
    uint64_t owner;
    unsigned tries;
};

/* Whether it is done with, well or badly. A worker's that stays is empty, or has a process that even SIGKILL does not reach;
 * systemd removes it with the unit. */
static bool try_remove(struct daemon *d, uint64_t owner, unsigned tries) {
    bool zygote = owner & CGROUP_ZYGOTE;
    if (!zygote)
        cgroup_kill(&d->cgroup, owner);
    int r = cgroup_remove(&d->cgroup, owner);
    if (r == -EBUSY && (zygote || tries < CGROUP_TRIES))
        return false;
    if (r < 0 && r != -ENOENT)
        log_line(LOG_WARNING, LOG_KIND_WORKER, NULL, "cannot remove the cgroup of %s %llu: %s",
                 zygote ? "zygote process" : "worker", (unsigned long long)(owner & ~CGROUP_ZYGOTE), strerror(-r));
    return true;
}

/* A zygote's is not worth waking up for: after a while it is tried again when there is something else to do here. */
static bool is_urgent(const struct swept *s) {
    return !(s->owner & CGROUP_ZYGOTE) || s->tries < CGROUP_ZYGOTE_TRIES;
}

static void try_all(struct daemon *d);

static int on_retry(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    try_all(data);
    return 0;
}

static void try_all(struct daemon *d) {
    struct swept *s, *next, *kept = NULL;
    bool urgent = false;
    for (s = d->swept; s != NULL; s = next) {
        next = SLIST_NEXT(s, link);
        if (try_remove(d, s->owner, ++s->tries)) {
            free(s);
            continue;
        }
        SLIST_NEXT(s, link) = kept;
        kept = s;
        urgent |= is_urgent(s);
    }
    d->swept = kept;
    if (urgent)
        daemon_timer(d, &d->sweep, CGROUP_RETRY_USEC, on_retry, d);
}

/* For a cgroup that was not made here there is none. */
static struct swept *take_reserved(struct daemon *d) {
    struct swept *s = d->reserved;
    if (s == NULL)
        return malloc(sizeof *s);
    d->reserved = SLIST_NEXT(s, link);
    return s;
}

void sweep_cgroup(struct daemon *d, uint64_t owner) {
    struct swept *s = take_reserved(d);
    if (try_remove(d, owner, 0) || s == NULL) {
        free(s);
        return;
    }
    s->owner = owner;
    s->tries = 0;
    SLIST_NEXT(s, link) = d->swept;
    d->swept = s;
    daemon_timer(d, &d->sweep, CGROUP_RETRY_USEC, on_retry, d);
}

int sweep_make(struct daemon *d, uint64_t owner, const struct cgroup_limits *l, int *ret_fd, const char **ret_what) {
    struct swept *s = malloc(sizeof *s);
    *ret_what = NULL;
    int r = s == NULL ? -ENOMEM : d->sweep == NULL ? daemon_timer_new(d, &d->sweep, on_retry, d) : 0;
    if (r >= 0)
        r = cgroup_make(&d->cgroup, owner, l, ret_fd, ret_what);
    if (r < 0 && (s == NULL || d->cgroup.dir < 0)) {
        free(s);
        return r;
    }
    SLIST_NEXT(s, link) = d->reserved;
    d->reserved = s;
    /* It may be there, without what was asked for. */
    if (r < 0)
        sweep_cgroup(d, owner);
    return r;
}

void sweep_done(struct daemon *d) {
    while (d->swept != NULL) {
        struct swept *s = d->swept;
        d->swept = SLIST_NEXT(s, link);
        try_remove(d, s->owner, 0);
        free(s);
    }
    while (d->reserved != NULL)
        free(take_reserved(d));
    d->sweep = sd_event_source_unref(d->sweep);
}
