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
    uint64_t worker;
    unsigned tries;
};

/* Whether it is done with, well or badly. One that stays is empty, or has a process that even SIGKILL does not reach; systemd
 * removes it with the unit. */
static bool try_remove(struct daemon *d, uint64_t worker, unsigned tries) {
    cgroup_kill(&d->cgroup, worker);
    int r = cgroup_remove(&d->cgroup, worker);
    if (r == -EBUSY && tries < CGROUP_TRIES)
        return false;
    if (r < 0 && r != -ENOENT)
        log_line(LOG_WARNING, LOG_KIND_WORKER, NULL, "cannot remove the cgroup of worker %llu: %s", (unsigned long long)worker,
                 strerror(-r));
    return true;
}

static int on_retry(sd_event_source *source, uint64_t time, void *data) {
    (void)source, (void)time;
    struct daemon *d = data;
    struct swept *s, *next, *kept = NULL;
    for (s = d->swept; s != NULL; s = next) {
        next = SLIST_NEXT(s, link);
        if (try_remove(d, s->worker, ++s->tries)) {
            free(s);
        } else {
            SLIST_NEXT(s, link) = kept;
            kept = s;
        }
    }
    d->swept = kept;
    if (kept != NULL)
        daemon_timer(d, &d->sweep, CGROUP_RETRY_USEC, on_retry, d);
    return 0;
}

void sweep_cgroup(struct daemon *d, uint64_t worker) {
    if (try_remove(d, worker, 0))
        return;
    struct swept *s = malloc(sizeof *s);
    if (s == NULL)
        return;
    s->worker = worker;
    s->tries = 0;
    SLIST_NEXT(s, link) = d->swept;
    d->swept = s;
    daemon_timer(d, &d->sweep, CGROUP_RETRY_USEC, on_retry, d);
}

void sweep_done(struct daemon *d) {
    while (d->swept != NULL) {
        struct swept *s = d->swept;
        d->swept = SLIST_NEXT(s, link);
        try_remove(d, s->worker, 0);
        free(s);
    }
    d->sweep = sd_event_source_unref(d->sweep);
}
