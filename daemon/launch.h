/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/session.h"

/* SPAWN: from the message to a running child, or to FAILED. */

int launch_init(struct daemon *d);
void launch_done(struct daemon *d);

/* Takes the message's fds from s->fds. -EBADMSG: the session ends. All other failures are answered. */
int launch(struct session *s, const struct message *m);
