/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "forksrv.h"
#include "pseudo-terminal.h"

/* Passes the signals that this process gets on to a worker, from relay_init until the worker ended. */
enum { RELAY_KEPT = 32 };

struct relay {
    int fd;          /* signalfd, owned */
    struct pty *pty; /* borrowed; NULL: the worker has the caller's standard files */
    bool for_slot;   /* the server may be waiting for a slot until the worker begins: nobody has to ask twice to leave */
    bool begun;      /* the worker has */
    bool over;       /* the worker has ended; what it has left is on its way */
    struct relay_signal {
        int signo;
        unsigned flags; /* FORKSRV_SIGNAL_GROUP or 0 */
    } kept[RELAY_KEPT]; /* they came before the worker ran */
    unsigned n_kept;
    int given_up; /* the signal that ended the wait for a server that never answered, or for a reader of output; or 0 */
};

/* From here on signals are kept, and none ends this process. */
int relay_init(struct relay *relay);
/* Runs the session until the worker ended, failed or was lost, and all it has written to a terminal is given away; or until the
 * user gave up: then `given_up` is set and -EINTR is returned. */
int relay_run(struct relay *relay, struct forksrv *session, struct forksrv_worker *worker);
/* The signals stay blocked: one that comes too late must not change how this process ends. */
void relay_done(struct relay *relay);
