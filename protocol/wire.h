/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Integers of the wire: fixed width, big endian, read and written one by one. Nothing else in the
 * project turns bytes into numbers, and no struct is ever copied to or from the wire. */

uint16_t wire_get_u16(const uint8_t *p);
uint32_t wire_get_u32(const uint8_t *p);
uint64_t wire_get_u64(const uint8_t *p);
void wire_put_u16(uint8_t *p, uint16_t v);
void wire_put_u32(uint8_t *p, uint32_t v);
void wire_put_u64(uint8_t *p, uint64_t v);

/* A growing buffer of bytes: written at the end, read from the front. A failed growth (no memory, or more than
 * `max` bytes) sets `failed`, and every later put is ignored: the writer checks once, at the end. */
struct wire_buf {
    uint8_t *data; /* owned */
    size_t start;  /* first byte not read yet */
    size_t end;    /* after the last byte written */
    size_t size;   /* allocated */
    size_t max;    /* never allocate more; 0: no bound */
    bool failed;
};

void wire_buf_init(struct wire_buf *b, size_t max);
void wire_buf_done(struct wire_buf *b);

static inline size_t wire_buf_len(const struct wire_buf *b) {
    return b->end - b->start;
}
static inline const uint8_t *wire_buf_head(const struct wire_buf *b) {
    return b->data != NULL ? b->data + b->start : NULL;
}

/* Room for n more bytes at the end: where to write them, or NULL. wire_buf_commit makes n of them count. */
uint8_t *wire_buf_reserve(struct wire_buf *b, size_t n);
void wire_buf_commit(struct wire_buf *b, size_t n);

/* n bytes of the front are done with. An empty buffer starts at its beginning again, and gives memory beyond `keep`
 * bytes back. */
void wire_buf_consume(struct wire_buf *b, size_t n, size_t keep);

/* Takes back what was written since the end was at `end`. */
void wire_buf_truncate(struct wire_buf *b, size_t end);

void wire_put_bytes(struct wire_buf *b, const void *p, size_t n);
