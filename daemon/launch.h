/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/session.h"

struct cgroup_limits;
struct plan_base;

/* SPAWN: from the message to a running child, or to FAILED. */

int launch_init(struct daemon *d);
void launch_done(struct daemon *d);

/* Takes the message's fds from s->fds. -EBADMSG: the session ends. All other failures are answered. */
int launch(struct session *s, const struct message *m);

/* ---- what both engines do ---- */

enum { LAUNCH_WHAT = 160 };

/* Whether one more worker may be started for this session. Otherwise -EAGAIN or -ESHUTDOWN, and what forbids it. */
int launch_may(struct session *s, char ret_what[LAUNCH_WHAT]);

/* What the daemon itself keeps of the request. ret_what: what is wrong with it, static; NULL: the errno says it. */
int launch_describe(struct worker *w, const struct message *m, const char *program, const char *cwd, const char **ret_what);

/* The cgroup in which the worker begins, if it is not ours: that of INTO_CGROUP, one of `fds`, which are those of the message; or
 * one of its own, if the request, or `otherwise`, asks for one. ret_fd is left alone if not. */
int launch_cgroup(struct worker *w, const struct message *m, const int *fds, const struct cgroup_limits *otherwise, int *ret_fd,
                  enum stage *ret_stage, const char **ret_what);

const struct plan_base *launch_base(const struct daemon *d);
