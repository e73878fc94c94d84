/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Messages built byte by byte from docs/PROTOCOL.md, without the writer under test: right ones and wrong ones. */

struct raw {
    size_t size;
    uint8_t *data; /* owned, always of exactly `size` bytes, so that a sanitizer sees every read behind it */
};

struct raw raw_message(unsigned type, unsigned flags, uint32_t serial);
void raw_put(struct raw *raw, const void *p, size_t n);
void raw_u32(struct raw *raw, uint32_t v);
/* Header, value, padding. */
void raw_attribute(struct raw *raw, unsigned number, const void *p, size_t n);
void raw_done(struct raw *raw);
