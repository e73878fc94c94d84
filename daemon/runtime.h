/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/plan.h"
#include "daemon/zygote.h"

/* How a zygote's process is started: program, arguments, environment. forksrv-zygote(7) is the description for others. */

enum { RUNTIME_SOCKET, RUNTIME_PRINT, RUNTIME_FDS };

/* fds: lent. ret_plan is freed by free(), or by the starter. On failure ret_text says why. */
int runtime_plan(const struct zygote *z, const int fds[RUNTIME_FDS], struct plan **ret_plan, char ret_text[LIMIT_TEXT]);
/* For people: what is executed. */
const char *runtime_program(const struct declaration *d);
