/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The framing of multiprocessing.connection. It looks at lengths and nothing else. */
#include "protocol/frame.h"

#include <errno.h>

int frame_get(const uint8_t *p, size_t n, size_t max, const uint8_t **ret_payload, size_t *ret_size) {
    if (n < FRAME_HEADER) {
        *ret_size = FRAME_HEADER;
        return 0;
    }
    uint32_t size = wire_get_u32(p);
    if (size == 0 || size > INT32_MAX)
        return -EBADMSG;
    if (size > max)
        return -EMSGSIZE;
    *ret_size = FRAME_HEADER + (size_t)size;
    if (n - FRAME_HEADER < size)
        return 0;
    *ret_payload = p + FRAME_HEADER;
    return 1;
}

void frame_put(struct wire_buf *b, const void *payload, size_t size) {
    uint8_t header[FRAME_HEADER];
    wire_put_u32(header, (uint32_t)size);
    wire_put_bytes(b, header, sizeof header);
    wire_put_bytes(b, payload, size);
}
