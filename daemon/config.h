/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/limits.h"

/* forksrvd.conf(5). All times in microseconds. */

enum { CONFIG_USERS = 16 };

struct config {
    /* [Listener] */
    uint64_t handshake_timeout;
    uint64_t max_unauthenticated;
    uint64_t max_unauthenticated_per_user;
    unsigned n_users; /* more uids than the owner and root that may connect */
    uid_t users[CONFIG_USERS];
    /* [Sessions] */
    uint64_t max_sessions;
    /* [Workers] */
    uint64_t max_workers;
    uint64_t max_workers_per_session;
    uint64_t max_starts_per_sec; /* 0: as many as come */
    uint64_t starts_burst;
    uint64_t grace;
    uint64_t keep_ends;                    /* how many ends of detached workers are kept, */
    uint64_t keep_ends_time;               /* and how long */
    uint64_t return_time;                  /* for clients of a daemon that is gone, to come back to their workers */
    char cpython_zygote[LIMIT_ZYGOTE + 1]; /* that serves fork requests of CPython's multiprocessing; "": none */
    /* [Requests] */
    uint64_t max_waiting, max_waiting_per_session;
    uint64_t max_memory, max_memory_per_session; /* bytes */
    uint64_t max_fds, max_fds_per_session;
    /* [Daemon] */
    uint64_t idle_exit; /* 0: never */
};

void config_defaults(struct config *c);

/* Reads one file over what is in c. A wrong line is logged with file and line, and otherwise has no effect: the others still
 * count. Returns the number of wrong lines, 0 also if there is no such file. */
unsigned config_read_file(struct config *c, const char *path);

/* The main file and its drop-ins: /etc/forksrv, and for a session's instance ~/.config/forksrv as well. */
unsigned config_read(struct config *c, bool session_flavour);
