/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "forksrv.h"

/* Ending as a worker did. Returns an exit code where the worker had one, and does not return where a signal ended it. */
int end_as(const struct forksrv_end *end);
/* Ends this process by the signal, without a core dump. Returns 128 + signo where that is not possible. */
int end_by_signal(int signo);
/* The exit code for a worker that never ran: 127 no such program, 126 not executable, 125 anything else. */
int end_of_failure(enum forksrv_stage stage, int error);
