/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "protocol/message.h"

/* SPAWNs with SLOT_WAIT that a limit refuses: they wait here, with their fds, until a worker has ended or time has passed. */

/* Takes the fds over. They are closed, and the request is answered, if no more may wait. */
void slots_wait(struct session *s, const struct message *m, int *fds, unsigned n_fds, const struct refusal *why);
/* Something has changed: those that wait are tried again in this turn of the loop. */
void slots_changed(struct daemon *d);
/* Tries them now: who comes later has no place before them. */
void slots_serve(struct daemon *d);
/* They were never started, and nobody waits for an answer. */
void slots_session_gone(struct session *s);
void slots_done(struct daemon *d);
