/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct session;

/* One whole payload of an authenticated session. 0, or -errno if it breaks the protocol. */
int request_handle(struct session *s, const uint8_t *p, size_t n);

/* Logs it, tells the peer, ends the session. */
void request_protocol_error(struct session *s, int error);
