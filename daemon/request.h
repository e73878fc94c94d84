/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* One whole payload of an authenticated session. 0, or -errno if it breaks the protocol. */
int request_handle(struct session *s, const uint8_t *p, size_t n);

/* One of CPython's multiprocessing: a byte with the number of fds that came with it. 1, or -errno. */
int request_handle_stock(struct session *s, unsigned n_fds);

/* Whether the session may wait for one thing more. If not, it is told so. */
bool request_may_wait(struct session *s, uint32_t serial);

/* Logs it, tells the peer, ends the session. */
void request_protocol_error(struct session *s, int error);
