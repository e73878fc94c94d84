/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "client/session.h"

/* cpython-pickle.c: what a process of multiprocessing reads to know what it is to do: a call of `function`, "module:name", with
 * these strings. parent: our pid. -EINVAL: that is no name; -E2BIG, -ENOMEM. */
int cpython_pickle_call(struct wire_buf *buf, const char *function, const char *const *args, pid_t parent);
