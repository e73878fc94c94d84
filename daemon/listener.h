/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"

/* Takes the fd over: a listening AF_UNIX stream socket that somebody else made. */
int listener_add(struct daemon *d, int fd);
/* No more connections are accepted. */
void listener_stop(struct daemon *d);
/* One handshake has failed, in whatever way. */
void listener_failure(struct daemon *d);
/* How many more may fail before new connections have to wait. */
uint64_t listener_failures_left(struct daemon *d);
