/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/daemon.h"
#include "protocol/message.h"

struct worker;

/* At the start: who our parent is. */
void handover_init(struct daemon *d);

/* Whether the worker of this SPAWN can be handed over, if it is to be. -EOPNOTSUPP, -EINVAL, and why. */
int handover_check(const struct daemon *d, const struct message *m, const char **ret_what);

/* Its program runs: it is told as started, and no worker of ours any more. */
void handover_done(struct worker *w);

/* A zygote has forked it, and waits for the end of the process that is between them: that is ended, and then it is done. The
 * worker may be gone when this returns. */
void handover_forked(struct worker *w);
void handover_free(struct worker *w);
/* Whether this was one of those, so that nobody wonders about its end. */
bool handover_ended(struct daemon *d, pid_t pid);
/* It was told to end before its zygote had forked it. The worker is gone when this returns. */
void handover_unwanted(struct worker *w);
/* It was ended at its gate, or before. The same. */
void handover_never(struct worker *w);
