/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes of messages, put together by hand: the second opinion on what protocol/message.c writes and reads. */
#include "tests/unit/raw.h"

#include "tests/unit/unit.h"

void raw_put(struct raw *raw, const void *p, size_t n) {
    raw->data = realloc(raw->data, raw->size + n + (raw->size + n == 0));
    ck_assert_ptr_nonnull(raw->data);
    if (n > 0)
        memcpy(raw->data + raw->size, p, n);
    raw->size += n;
}

void raw_u32(struct raw *raw, uint32_t v) {
    uint8_t p[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    raw_put(raw, p, sizeof p);
}

struct raw raw_message(unsigned type, unsigned flags, uint32_t serial) {
    struct raw raw = {0};
    raw_u32(&raw, type << 16 | flags);
    raw_u32(&raw, serial);
    return raw;
}

void raw_attribute(struct raw *raw, unsigned number, const void *p, size_t n) {
    raw_u32(raw, number << 16);
    raw_u32(raw, (uint32_t)n);
    raw_put(raw, p, n);
    while (raw->size % 4 != 0)
        raw_put(raw, "", 1);
}

void raw_done(struct raw *raw) {
    free(raw->data);
    *raw = (struct raw){0};
}
