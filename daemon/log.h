/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <syslog.h>

/* What the daemon tells the journal: one line where something is decided, with a MESSAGE_ID for each kind and
 * the peer's pid and uid as fields. Never a key, nonce, digest, argument or environment. */

enum log_kind {
    LOG_KIND_READY,    /* the instance serves */
    LOG_KIND_STOP,     /* it ends */
    LOG_KIND_CONFIG,   /* a line of a configuration file is wrong */
    LOG_KIND_KEY,      /* no usable authkey */
    LOG_KIND_START_UP, /* any other reason for not starting */
    LOG_KIND_REFUSED,  /* a peer's uid may not connect */
    LOG_KIND_AUTH,     /* a handshake failed */
    LOG_KIND_TIMEOUT,  /* a handshake took too long, or was dropped for a newer one */
    LOG_KIND_PROTOCOL, /* an authenticated session broke the protocol */
    LOG_KIND_LIMIT,    /* a limit was reached */
    LOG_KIND_WORKER,   /* a worker could not be started, killed or cleaned up after */
    LOG_KIND_RESOURCE, /* no memory, no fds */
    LOG_KIND_ZYGOTE,   /* a zygote is warm, could not be warmed, or died */
    LOG_KIND_OUTPUT,   /* a line that a zygote printed */
    LOG_KIND_COUNT,
};

/* Once, before the first line. quiet: only errors, to stderr (a private instance). */
void log_init(bool quiet);
/* The instance's user, as a field of every line. */
void log_set_user(const char *user);

struct log_peer {
    pid_t pid;
    uid_t uid;
};

/* peer may be NULL. A kind that floods is cut off, counted, and its sum is told once it may speak again. */
void log_line(int priority, enum log_kind kind, const struct log_peer *peer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
