/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/wire.h"

/* Framing of CPython's multiprocessing.connection: int32 big endian, then that many bytes. */

enum { FRAME_HEADER = 4 };

/* The first frame of n bytes at p. Returns 1 and where its payload is; 0 if more bytes are needed (ret_size then is the size of
 * the whole frame, header included, or FRAME_HEADER while that is unknown); -EMSGSIZE if it is longer than `max`, -EBADMSG if
 * its length is negative (CPython's 64-bit form among them) or zero. */
int frame_get(const uint8_t *p, size_t n, size_t max, const uint8_t **ret_payload, size_t *ret_size);

/* Appends one frame. */
void frame_put(struct wire_buf *b, const void *payload, size_t size);
