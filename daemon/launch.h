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

/* The same with fds that are the caller's. True: a limit refuses it now, which ret_refusal names, and nothing was taken or
 * answered. Otherwise it is answered, or will be, and the fds are closed. ret_refusal NULL: it is answered in any case. */
bool launch_try(struct session *s, const struct message *m, int *fds, unsigned n_fds, struct refusal *ret_refusal);

/* Answers one that a limit refuses. error: positive. */
void launch_refuse(struct session *s, uint32_t serial, int error, const char *what);

/* ---- what both engines do ---- */

/* What a request holds while it waits. */
struct load launch_load(const struct message *m, unsigned n_fds);

/* What the daemon itself keeps of the request. ret_what: what is wrong with it, static; NULL: the errno says it. */
int launch_describe(struct worker *w, const struct message *m, const char *program, const char *cwd, const char **ret_what);

/* The cgroup in which the worker begins, if it is not ours: that of INTO_CGROUP, one of `fds`, which are those of the message; or
 * one of its own, if the request, or `otherwise`, asks for one. ret_fd is left alone if not. */
int launch_cgroup(struct worker *w, const struct message *m, const int *fds, const struct cgroup_limits *otherwise, int *ret_fd,
                  enum stage *ret_stage, const char **ret_what);

const struct plan_base *launch_base(const struct daemon *d);
