/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes of messages, put together by hand: the second opinion on what protocol/message.c writes and reads. */
#include "tests/unit/raw.h"

#include "tests/unit/unit.h"

void raw_put(struct raw *raw, const void *p, size_t n) {
    uint8_t *data = realloc(raw->data, raw->size + n + (raw->size + n == 0));
    ck_assert_ptr_nonnull(data);
    raw->data = data;
    if (n > 0)
        memcpy(raw->data + raw->size, p, n);
    raw->size += n;
}

static void put_u32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

void raw_u32(struct raw *raw, uint32_t v) {
    uint8_t p[4];
    put_u32(p, v);
    raw_put(raw, p, sizeof p);
}

struct raw raw_message(unsigned type, unsigned flags, uint32_t serial) {
    struct raw raw = {0};
    raw_u32(&raw, type << 16 | flags);
    raw_u32(&raw, serial);
    return raw;
}

/* In one piece: growing by single words, thousands of them take a sanitizer seconds. */
void raw_attribute(struct raw *raw, unsigned number, const void *p, size_t n) {
    size_t size = 8 + ((n + 3) & ~(size_t)3);
    uint8_t *bytes = calloc(1, size);
    ck_assert_ptr_nonnull(bytes);
    put_u32(bytes, number << 16);
    put_u32(bytes + 4, (uint32_t)n);
    if (n > 0)
        memcpy(bytes + 8, p, n);
    raw_put(raw, bytes, size);
    free(bytes);
}

void raw_done(struct raw *raw) {
    free(raw->data);
    *raw = (struct raw){0};
}
