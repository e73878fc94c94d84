/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/session.h"
#include "daemon/worker.h"

/* What sessions are told. Each function queues whole messages; sending comes at the end of the turn. */

void report_started(struct worker *w);
/* error: positive errno. Also for a worker that never got as far as a process. */
void report_failed(struct session *s, uint32_t serial, const struct worker *w, enum stage stage, int error, const char *text);
void report_failed_watchers(struct worker *w, enum stage stage, int error, const char *text);
/* To its session, to who waits for it, to watchers. */
void report_ended(struct worker *w);
/* To one that came later: STARTED with a new pidfd, or EXITED. */
void report_attached(struct session *s, uint32_t serial, struct worker *w);

void report_error(struct session *s, uint32_t serial, int error, const char *text);
void report_done(struct session *s, uint32_t serial);
void report_hello(struct session *s, uint32_t serial);
void report_list(struct session *s, uint32_t serial);
void report_status(struct session *s, uint32_t serial);
