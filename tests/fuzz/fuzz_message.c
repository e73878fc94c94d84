/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and messages. The first byte of the input chooses who sends and in which state; the rest is the stream. Every value of
 * an accepted message is read through the accessors, and the message is written again: what was accepted once must be accepted
 * again, unchanged. */
#include <string.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

static volatile unsigned sink;

static void touch(const struct message *m) {
    for (unsigned i = 0; i < ATTR_MAX; i++) {
        if (!message_has(m, i))
            continue;
        const struct attribute *a = &m->attributes[i];
        for (uint32_t k = 0; k < a->size; k++)
            sink += a->data[k];
        if (a->size == 4)
            sink += message_u32(m, i, 0);
        if (a->size == 8)
            sink += (unsigned)message_u64(m, i, 0);
    }
    if (message_has(m, ATTR_NAME))
        HOLDS(strlen(message_str(m, ATTR_NAME)) <= LIMIT_NAME);
    if (message_has(m, ATTR_PROGRAM))
        HOLDS(strlen(message_str(m, ATTR_PROGRAM)) < LIMIT_PATH);
    if (message_has(m, ATTR_TEXT))
        HOLDS(strlen(message_str(m, ATTR_TEXT)) < LIMIT_TEXT);
    HOLDS(message_strs_count(m, ATTR_ARGV) <= LIMIT_STRINGS);
    HOLDS(message_strs_count(m, ATTR_ENVIRON) <= LIMIT_STRINGS);
    if (message_has(m, ATTR_END))
        HOLDS(m->attributes[ATTR_END].size == 16);
}

static void put_attributes(struct message_writer *w, const struct message *m) {
    for (unsigned i = 0; i < ATTR_MAX; i++)
        if (message_has(m, i) && i != ATTR_RECORD)
            message_put_bytes(w, i, m->attributes[i].data, m->attributes[i].size);
}

/* Returns the number of records, or a negative error. */
static int put_records(struct message_writer *w, const struct message *m) {
    struct attribute record = {0};
    struct message one;
    int n = 0, r;
    while ((r = message_next_record(m, &record, &one)) > 0) {
        touch(&one);
        message_open_record(w);
        put_attributes(w, &one);
        message_close_record(w);
        n++;
    }
    return r < 0 ? r : n;
}

static void write_again(const struct message *m, enum message_sender sender, enum session_state state) {
    struct wire_buf b, second;
    struct message_writer w;
    struct message again;
    const uint8_t *payload;
    size_t size;
    wire_buf_init(&b, 0);
    wire_buf_init(&second, 0);
    message_begin(&w, &b, m->type, m->flags, m->serial);
    put_attributes(&w, m);
    int records = put_records(&w, m);
    if (message_end(&w) == 0 && records >= 0) {
        HOLDS(frame_get(wire_buf_head(&b), wire_buf_len(&b), LIMIT_FRAME, &payload, &size) == 1);
        HOLDS(size == wire_buf_len(&b));
        HOLDS(message_read(payload, size - FRAME_HEADER, sender, state, &again) == 0);
        message_begin(&w, &second, again.type, again.flags, again.serial);
        put_attributes(&w, &again);
        HOLDS(put_records(&w, &again) == records);
        HOLDS(message_end(&w) == 0);
        HOLDS(wire_buf_len(&b) == wire_buf_len(&second));
        HOLDS(memcmp(wire_buf_head(&b), wire_buf_head(&second), wire_buf_len(&b)) == 0);
    }
    wire_buf_done(&second);
    wire_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    /* The lowest bit and the highest: what is in the corpus means what it meant before there were zygotes. */
    enum message_sender sender = (enum message_sender)((data[0] & 1) | (data[0] >> 7 & 1) << 1);
    enum session_state state = (enum session_state)((data[0] >> 1 & 0x3f) % 3);
    const uint8_t *p = data + 1;
    for (size_t n = size - 1, frame; n > 0; p += frame, n -= frame) {
        const uint8_t *payload;
        struct message m;
        if (frame_get(p, n, LIMIT_FRAME, &payload, &frame) <= 0)
            break;
        HOLDS(frame <= n && payload == p + FRAME_HEADER);
        if (message_read(payload, frame - FRAME_HEADER, sender, state, &m) < 0)
            break;
        HOLDS(state != STATE_UNAUTHENTICATED);
        HOLDS(message_fds(&m) <= LIMIT_FDS);
        touch(&m);
        write_again(&m, sender, state);
    }
    return 0;
}
