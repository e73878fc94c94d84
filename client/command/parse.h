/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Texts of the command line turned into values. Each returns 0, -EINVAL (not such a thing) or -ERANGE (one that is too large or
 * too small), and leaves its outputs alone on failure. */

/* Decimal only. */
int parse_number(const char *text, int64_t min, int64_t max, int64_t *ret_number);
/* "500ms", "5s", "2min", "1h 30min", "1.5s"; a number alone is seconds; "infinity" is UINT64_MAX. In microseconds. */
int parse_span(const char *text, uint64_t *ret_usec);
/* "64M", "1.5G", "4096", "infinity" (UINT64_MAX). K, M, G, T are powers of 1024. */
int parse_size(const char *text, uint64_t *ret_bytes);
/* "NOFILE=1024", "nofile=1K:infinity", "RLIMIT_CORE=0". One value alone is soft and hard. */
int parse_rlimit(const char *text, int *ret_resource, uint64_t *ret_soft, uint64_t *ret_hard);
/* "3=5": the worker's 3 is the caller's 5. "3" is short for "3=3". */
int parse_fd_map(const char *text, int *ret_target, int *ret_fd);
/* Octal, 0 to 777. */
int parse_umask(const char *text, unsigned *ret_mask);
/* "TERM", "SIGTERM", "sigterm", "15", "RTMIN+3". */
int parse_signal(const char *text, int *ret_signo);
/* All digits and not 0: a worker id. Otherwise false: it is a name. */
bool parse_worker_id(const char *text, uint64_t *ret_id);

/* "cpu, fsize, ...", for messages. */
extern const char parse_rlimit_names[];
