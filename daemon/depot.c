/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pidfds under way in a socket. It bounds how many: fds under way count against the user, whose other programs send some, too. */
#include "daemon/depot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/fds.h"
#include "daemon/limits.h"
#include "daemon/worker.h"

struct depot {
    int in, out;      /* owned */
    unsigned started; /* since they were last thrown out */
};

/* Is sent before those that shall stay: all in front of it can go. */
static const uint64_t marker = 0;

int depot_new(int in, int out, struct depot **ret_depot) {
    struct depot *d = calloc(1, sizeof *d);
    int ends[2] = {in, out}, size = DEPOT_BUFFER;
    if (d == NULL)
        return -ENOMEM;
    if (in < 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
        free(d);
        return -errno;
    }
    /* As much as it may have, if it may not have all. */
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    d->in = ends[0];
    d->out = ends[1];
    *ret_depot = d;
    return 0;
}

void depot_free(struct depot *d) {
    if (d == NULL)
        return;
    close_fd(d->in);
    close_fd(d->out);
    free(d);
}

int depot_in(const struct depot *d) {
    return d->in;
}

int depot_out(const struct depot *d) {
    return d->out;
}

void depot_put(const struct depot *d, uint64_t worker, int pidfd) {
    (void)fds_send(d->in, &worker, sizeof worker, &pidfd, 1);
}

/* The youngest ones, in as few messages as can be. */
static int put_again(const struct daemon *d) {
    uint64_t ids[DEPOT_KEEP];
    int fds[DEPOT_KEEP];
    unsigned n = 0;
    const struct worker *w;
    ssize_t r = fds_send(d->depot->in, &marker, sizeof marker, NULL, 0);
    TAILQ_FOREACH_REVERSE(w, &d->live, worker_list, link) {
        if (n == DEPOT_KEEP)
            break;
        if (w->record == NULL || w->pidfd < 0)
            continue;
        ids[n] = w->id;
        fds[n++] = w->pidfd;
    }
    if (r >= 0 && n > 0)
        r = fds_send(d->depot->in, ids, n * sizeof ids[0], fds, n);
    return r < 0 ? (int)r : 0;
}

/* Without receiving their fds, which the kernel then closes. */
static void throw_out(const struct depot *d) {
    uint64_t ids[DEPOT_KEEP];
    ssize_t n;
    do
        n = fds_receive(d->out, ids, sizeof ids, NULL);
    while (n > 0 && !(n == sizeof marker && ids[0] == marker));
}

void depot_started(struct daemon *d) {
    if (d->depot != NULL && ++d->depot->started >= DEPOT_SINGLES)
        depot_renew(d);
}

void depot_renew(struct daemon *d) {
    struct depot *depot = d->depot;
    if (depot == NULL)
        return;
    depot->started = 0;
    if (put_again(d) < 0) {
        /* There was no room: then for a moment nothing is there. */
        throw_out(depot);
        (void)put_again(d);
    }
    throw_out(depot);
}

static void take_message(const uint64_t *ids, size_t n, struct fd_queue *q, void (*take)(void *, uint64_t, int), void *data) {
    for (size_t i = 0; i < n && i < q->count; i++) {
        take(data, ids[i], q->fds[i]);
        q->fds[i] = -1;
    }
}

void depot_empty(struct depot *d, void (*take)(void *data, uint64_t worker, int pidfd), void *data) {
    uint64_t ids[DEPOT_KEEP];
    ssize_t n;
    do {
        struct fd_queue q;
        fd_queue_init(&q);
        n = fds_receive(d->out, ids, sizeof ids, &q);
        if (n > 0)
            take_message(ids, (size_t)n / sizeof ids[0], &q, take, data);
        fd_queue_done(&q);
    } while (n > 0 || n == -EMSGSIZE);
}
