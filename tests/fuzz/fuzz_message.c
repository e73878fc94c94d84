/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames and messages. The first byte of the input chooses who sends and in which state; the rest is a stream of frames, or with
 * bit 6 one datagram without a frame. Every value of an accepted message is read through the accessors, and the message is
 * written again: what was accepted once must be accepted again, unchanged. What was refused has left nothing behind. */
#include <errno.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

enum { DATAGRAM = 0x40, STATES = 3, NOWHERE = 0x5a };

static volatile unsigned sink;

/* ---- what was accepted ---- */

static void touch_value(const struct message *m, unsigned i) {
    const struct attribute *a = &m->attributes[i];
    HOLDS(a->data >= m->start + ATTRIBUTE_HEADER && a->data <= m->end && a->size <= (size_t)(m->end - a->data));
    for (uint32_t k = 0; k < a->size; k++)
        sink += a->data[k];
    if (a->size == 4)
        HOLDS(message_u32(m, i, 0) == wire_get_u32(a->data));
    if (a->size == 8)
        HOLDS(message_u64(m, i, 0) == wire_get_u64(a->data));
}

static void touch(const struct message *m) {
    for (unsigned i = 0; i < ATTR_MAX; i++) {
        if (message_has(m, i))
            touch_value(m, i);
        else
            HOLDS(message_u32(m, i, 7) == 7 && message_u64(m, i, 8) == 8 && message_strs_count(m, i) == 0);
    }
    if (message_has(m, ATTR_NAME))
        HOLDS(strlen(message_str(m, ATTR_NAME)) <= LIMIT_NAME);
    if (message_has(m, ATTR_ZYGOTE))
        HOLDS(strlen(message_str(m, ATTR_ZYGOTE)) <= LIMIT_ZYGOTE);
    if (message_has(m, ATTR_PROGRAM))
        HOLDS(strlen(message_str(m, ATTR_PROGRAM)) < LIMIT_PATH);
    if (message_has(m, ATTR_TEXT))
        HOLDS(strlen(message_str(m, ATTR_TEXT)) < LIMIT_TEXT);
    HOLDS(message_strs_count(m, ATTR_ARGV) <= LIMIT_STRINGS);
    HOLDS(message_strs_count(m, ATTR_ENVIRON) <= LIMIT_STRINGS);
    HOLDS(m->attributes[ATTR_FDMAP].size <= 8 * LIMIT_MAPPED_FDS && m->attributes[ATTR_RLIMITS].size <= 24 * LIMIT_RLIMITS);
    if (message_has(m, ATTR_END))
        HOLDS(m->attributes[ATTR_END].size == 16);
    if (message_has(m, ATTR_STAGE))
        HOLDS(stage_name((enum stage)message_u32(m, ATTR_STAGE, 0))[0] != 0);
    if (message_has(m, ATTR_END))
        HOLDS(end_reason_name((enum end_reason)wire_get_u32(m->attributes[ATTR_END].data + 8))[0] != 0);
}

/* ---- and written again ---- */

static void put_attributes(struct message_writer *w, const struct message *m) {
    for (unsigned i = 0; i < ATTR_MAX; i++)
        if (message_has(m, i) && i != ATTR_RECORD)
            message_put_bytes(w, i, m->attributes[i].data, m->attributes[i].size);
}

/* Returns the number of records, or a negative error. */
static int put_records(struct message_writer *w, const struct message *m) {
    struct attribute record = {0};
    struct message one, before;
    int n = 0, r;
    memset(&one, NOWHERE, sizeof one);
    before = one;
    while ((r = message_next_record(m, &record, &one)) > 0) {
        HOLDS(one.start == record.data && one.end == record.data + record.size && one.serial == m->serial);
        HOLDS(!message_has(&one, ATTR_RECORD));
        touch(&one);
        message_open_record(w);
        put_attributes(w, &one);
        message_close_record(w);
        memcpy(&before, &one, sizeof one);
        n++;
    }
    /* Padding and all: it was not touched. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS(memcmp(&one, &before, sizeof one) == 0);
    return r < 0 ? r : n;
}

/* All of it into b, behind what is there. *ret_records: how many, or a negative error. */
static int put_message(struct wire_buf *b, const struct message *m, int *ret_records) {
    struct message_writer w;
    message_begin(&w, b, m->type, m->flags, m->serial);
    put_attributes(&w, m);
    *ret_records = put_records(&w, m);
    return message_end(&w);
}

/* A buffer with room for one byte less is as it was before; with just enough of it, it holds the same. */
static void write_bounded(const struct wire_buf *whole, const struct message *m) {
    static const uint8_t first[] = "before";
    struct wire_buf b;
    int records;
    wire_buf_init(&b, sizeof first + wire_buf_len(whole) - 1);
    wire_put_bytes(&b, first, sizeof first);
    HOLDS(put_message(&b, m, &records) == -ENOMEM && !b.failed);
    HOLDS(wire_buf_len(&b) == sizeof first && memcmp(wire_buf_head(&b), first, sizeof first) == 0);
    wire_buf_consume(&b, 1, SIZE_MAX);
    HOLDS(put_message(&b, m, &records) == 0);
    wire_buf_consume(&b, sizeof first - 1, 0);
    HOLDS(wire_buf_len(&b) == wire_buf_len(whole));
    HOLDS(memcmp(wire_buf_head(&b), wire_buf_head(whole), wire_buf_len(whole)) == 0);
    wire_buf_done(&b);
}

static void write_again(const struct message *m, enum message_sender sender, enum session_state state) {
    struct wire_buf b, second;
    struct message again;
    const uint8_t *payload;
    size_t size;
    int records, same;
    wire_buf_init(&b, 0);
    wire_buf_init(&second, 0);
    HOLDS(put_message(&b, m, &records) == 0);
    if (records >= 0) {
        HOLDS(frame_get(wire_buf_head(&b), wire_buf_len(&b), LIMIT_FRAME, &payload, &size) == 1);
        HOLDS(size == wire_buf_len(&b));
        HOLDS(message_read(payload, size - FRAME_HEADER, sender, state, &again) == 0);
        HOLDS(put_message(&second, &again, &same) == 0 && same == records);
        HOLDS(wire_buf_len(&b) == wire_buf_len(&second));
        HOLDS(memcmp(wire_buf_head(&b), wire_buf_head(&second), wire_buf_len(&b)) == 0);
        write_bounded(&b, m);
    }
    wire_buf_done(&second);
    wire_buf_done(&b);
}

/* ---- one message ---- */

/* Only its sender may say it, nobody before authentication, and what may be said at the end may be said at any time. */
static void check_table(const uint8_t *p, size_t n, enum message_sender sender, enum session_state state) {
    struct message m;
    HOLDS(state != STATE_UNAUTHENTICATED);
    HOLDS(message_read(p, n, sender, STATE_UNAUTHENTICATED, &m) == -EPERM);
    HOLDS(message_read(p, n, sender, STATE_READY, &m) == 0);
    for (enum message_sender other = FROM_CLIENT; other <= TO_ZYGOTE; other++)
        HOLDS(other == sender || message_read(p, n, other, state, &m) == -EBADMSG);
}

/* A copy of exactly these bytes: a sanitizer then sees every read behind them. */
static bool take(const uint8_t *bytes, size_t n, enum message_sender sender, enum session_state state) {
    struct message m, before;
    uint8_t *p = malloc(n);
    HOLDS(p != NULL);
    memcpy(p, bytes, n);
    memset(&m, NOWHERE, sizeof m);
    memcpy(&before, &m, sizeof m);
    int r = message_read(p, n, sender, state, &m);
    HOLDS(r == 0 || r == -EBADMSG || r == -EPERM);
    if (r == 0) {
        check_table(p, n, sender, state);
        HOLDS(message_fds(&m) <= LIMIT_FDS && m.end == p + n && (m.serial != 0 || sender != FROM_CLIENT));
        touch(&m);
        write_again(&m, sender, state);
    } else {
        /* Padding and all: it was not touched. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        HOLDS(memcmp(&m, &before, sizeof m) == 0);
    }
    free(p);
    return r == 0;
}

static void take_frames(const uint8_t *p, size_t n, enum message_sender sender, enum session_state state) {
    int r = 1;
    for (size_t frame; n > 0 && r == 1; p += frame, n -= frame) {
        const uint8_t *payload = &p[n];
        frame = 0;
        r = frame_get(p, n, LIMIT_FRAME, &payload, &frame);
        HOLDS(r == 1 || payload == &p[n]);
        HOLDS(r >= 0 ? frame >= FRAME_HEADER && (frame <= n) == (r == 1) : frame == 0);
        if (r != 1)
            return;
        HOLDS(payload == p + FRAME_HEADER);
        if (!take(payload, frame - FRAME_HEADER, sender, state))
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    /* The lowest bit and the highest: what is in the corpus means what it meant before there were zygotes. */
    enum message_sender sender = (enum message_sender)((data[0] & 1) | (data[0] >> 7 & 1) << 1);
    enum session_state state = (enum session_state)((data[0] >> 1 & 0x1f) % STATES);
    if (data[0] & DATAGRAM)
        take(data + 1, size - 1, sender, state);
    else
        take_frames(data + 1, size - 1, sender, state);
    return 0;
}
