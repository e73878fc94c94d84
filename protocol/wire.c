/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Big-endian integers and one growing buffer: the only place where bytes become numbers. It knows no message and no limit but
 * the one that it is given. */
#include "protocol/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint16_t wire_get_u16(const uint8_t *p) {
    return (uint16_t)(((unsigned)p[0] << 8) | p[1]);
}

uint32_t wire_get_u32(const uint8_t *p) {
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}

uint64_t wire_get_u64(const uint8_t *p) {
    return ((uint64_t)wire_get_u32(p) << 32) | wire_get_u32(p + 4);
}

void wire_put_u16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void wire_put_u32(uint8_t *p, uint32_t v) {
    wire_put_u16(p, (uint16_t)(v >> 16));
    wire_put_u16(p + 2, (uint16_t)v);
}

void wire_put_u64(uint8_t *p, uint64_t v) {
    wire_put_u32(p, (uint32_t)(v >> 32));
    wire_put_u32(p + 4, (uint32_t)v);
}

void wire_buf_init(struct wire_buf *b, size_t max) {
    *b = (struct wire_buf){.max = max};
}

void wire_buf_done(struct wire_buf *b) {
    free(b->data);
    *b = (struct wire_buf){.max = b->max};
}

static void compact(struct wire_buf *b) {
    if (b->start == 0)
        return;
    memmove(b->data, b->data + b->start, wire_buf_len(b));
    b->end -= b->start;
    b->start = 0;
}

uint8_t *wire_buf_reserve(struct wire_buf *b, size_t n) {
    if (b->failed)
        return NULL;
    if (b->data != NULL && n <= b->size - b->end)
        return b->data + b->end;
    size_t len = wire_buf_len(b);
    if (n > SIZE_MAX / 2 - len || (b->max != 0 && len + n > b->max)) {
        b->failed = true;
        return NULL;
    }
    if (b->data != NULL) {
        compact(b);
        if (n <= b->size - b->end)
            return b->data + b->end;
    }
    size_t size = b->size != 0 ? b->size : 512;
    while (size < len + n)
        size *= 2;
    if (b->max != 0 && size > b->max)
        size = b->max;
    uint8_t *data = realloc(b->data, size);
    if (data == NULL) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->size = size;
    return b->data + b->end;
}

void wire_buf_commit(struct wire_buf *b, size_t n) {
    assert(n <= b->size - b->end);
    b->end += n;
}

void wire_buf_consume(struct wire_buf *b, size_t n, size_t keep) {
    assert(n <= wire_buf_len(b));
    b->start += n;
    if (b->start < b->end)
        return;
    b->start = b->end = 0;
    if (b->size > keep) {
        free(b->data);
        b->data = NULL;
        b->size = 0;
    }
}

void wire_buf_truncate(struct wire_buf *b, size_t end) {
    assert(end >= b->start && end <= b->end);
    b->end = end;
}

void wire_put_bytes(struct wire_buf *b, const void *p, size_t n) {
    uint8_t *to = wire_buf_reserve(b, n);
    if (to == NULL)
        return;
    if (n > 0)
        memcpy(to, p, n);
    b->end += n;
}
