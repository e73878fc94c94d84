/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many workers. The kernel copies the table of fds for each child and closes all of them at its exec: with 2,000 pidfds that
 * costs 200 µs of 700. So pidfds move up, out of the low numbers, and a child shares the table until it has made one of its own
 * of the low ones (child.c). Until it tells us so by an eventfd, the fds that it shall get stay open here. */
#include "daemon/crowd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/start.h"
#include "daemon/worker.h"

enum {
    CROWD = 96, /* workers: from here on copying costs more than the eventfd's wake-up */
    LOW = 512,  /* numbers below this are for sessions and their fds */
};

struct held {
    LIST_ENTRY(held) link;
    struct worker *worker;
    unsigned n;
    int fds[]; /* owned */
};

struct crowd {
    LIST_HEAD(, held) holding;
    int wake; /* owned */
    sd_event_source *source;
};

void crowd_ended(struct worker *w) {
    struct held *h = steal_ptr(w->held);
    if (h == NULL)
        return;
    LIST_REMOVE(h, link);
    for (unsigned i = 0; i < h->n; i++)
        close_fd(h->fds[i]);
    free(h);
}

static int on_wake(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)source, (void)revents;
    struct crowd *c = data;
    struct held *h, *next;
    eventfd_t count;
    eventfd_read(fd, &count);
    for (h = LIST_FIRST(&c->holding); h != NULL; h = next) {
        next = LIST_NEXT(h, link);
        if (starter_has_own_fds(h->worker->slot, h->worker->id))
            crowd_ended(h->worker);
    }
    return 0;
}

int crowd_init(struct daemon *d) {
    struct crowd *c = calloc(1, sizeof *c);
    if (c == NULL)
        return -ENOMEM;
    d->crowd = c;
    LIST_INIT(&c->holding);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->wake < 0)
        return -errno;
    return sd_event_add_io(d->event, &c->source, c->wake, EPOLLIN, on_wake, c);
}

void crowd_done(struct daemon *d) {
    if (d->crowd == NULL)
        return;
    sd_event_source_unref(d->crowd->source);
    close_fd(d->crowd->wake);
    free(d->crowd);
    d->crowd = NULL;
}

void crowd_prepare(struct daemon *d, struct plan *plan) {
    int highest = plan->report > d->crowd->wake ? plan->report : d->crowd->wake;
    if (d->n_workers < CROWD)
        return;
    if (plan->depot > highest)
        highest = plan->depot;
    if (plan->gate > highest)
        highest = plan->gate;
    for (unsigned i = 0; i < plan->n_fds; i++)
        if (plan->fds[i].source > highest)
            highest = plan->fds[i].source;
    if (highest >= LOW)
        return;
    plan->cut = highest + 1;
    plan->wake = d->crowd->wake;
}

void crowd_move_up(struct worker *w) {
    if (w->d->n_workers < CROWD / 2 || w->pidfd >= LOW)
        return;
    int fd = fcntl(w->pidfd, F_DUPFD_CLOEXEC, LOW);
    if (fd < 0)
        return;
    close_fd(w->pidfd);
    w->pidfd = fd;
}

int crowd_started(struct worker *w, bool shares, int *fds, unsigned n, int *report) {
    crowd_move_up(w);
    if (!shares || (n == 0 && *report < 0))
        return 0;
    struct held *h = malloc(sizeof *h + (n + 1) * sizeof h->fds[0]);
    if (h == NULL)
        return -ENOMEM;
    h->worker = w;
    h->n = 0;
    for (unsigned i = 0; i < n; i++)
        h->fds[h->n++] = steal_fd(&fds[i]);
    if (*report >= 0)
        h->fds[h->n++] = steal_fd(report);
    LIST_INSERT_HEAD(&w->d->crowd->holding, h, link);
    w->held = h;
    return 0;
}
