/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "forksrv.h"

/* Values turned into texts for people. Each returns its buffer. */

/* "850us", "12.3ms", "4.25s", "3min 12s", "5h 3min", "2d 4h". */
const char *format_span(uint64_t usec, char *ret_buffer, size_t size);
/* "TERM", "RTMIN+3". */
const char *format_signal(int signo, char *ret_buffer, size_t size);
/* "running", "exited 7", "killed TERM", "killed SEGV (core)", "time limit", ... */
const char *format_end(const struct forksrv_end *end, char *ret_buffer, size_t size);
