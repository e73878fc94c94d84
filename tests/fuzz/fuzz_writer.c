/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing messages. The input is a list of calls: each has a byte for which one, one for the attribute, one for the length, and
 * bytes for its value. A second writer, which knows nothing but docs/PROTOCOL.md, does the same in an array, and the buffer has
 * to be the same after each call, whether it is bounded, compacted, cut back or given back. The first byte of the input bounds
 * it. */
#include <errno.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "tests/fuzz/fuzz.h"

enum { MODEL = 64 * 1024, CALLS = 128, KEEP = 1024, STR_MOST = 40 };
enum call { BEGIN, END, U32, U64, STR, STR_CUT, BYTES, SPACE, OPEN, CLOSE, CONSUME, FRAME, TOO_LONG, KINDS };

struct model {
    uint8_t bytes[MODEL];
    size_t size;
    size_t frame, record; /* where the open ones start */
    bool writing, in_record, full, too_long;
};

static struct model model;
static struct wire_buf buf;
static struct message_writer writer;

/* ---- the second writer ---- */

/* What is not there is no part of a buffer that failed either, until its message ends. */
static void m_put(const void *p, size_t n) {
    if (model.full || (buf.max != 0 && model.size + n > buf.max)) {
        model.full = true;
        return;
    }
    HOLDS(model.size + n <= MODEL);
    memcpy(model.bytes + model.size, p, n);
    model.size += n;
}

static void m_number(size_t at, uint64_t v, unsigned width) {
    for (unsigned i = 0; i < width; i++)
        model.bytes[at + i] = (uint8_t)(v >> 8 * (width - 1 - i));
}

static void m_attribute(unsigned attr, const void *p, size_t n) {
    uint8_t one[ATTRIBUTE_HEADER + 256 + 4] = {(uint8_t)(attr >> 8), (uint8_t)attr, 0, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n};
    HOLDS(n <= 256);
    memcpy(one + ATTRIBUTE_HEADER, p, n);
    m_put(one, ATTRIBUTE_HEADER + (n + 3) / 4 * 4);
}

static void m_begin(unsigned type, uint16_t flags, uint32_t serial) {
    uint8_t header[FRAME_HEADER + MESSAGE_HEADER] = {0};
    model.frame = model.size;
    model.writing = true;
    model.in_record = model.too_long = false;
    m_put(header, sizeof header);
    if (model.full)
        return;
    m_number(model.frame + 4, type, 2);
    m_number(model.frame + 6, flags, 2);
    m_number(model.frame + 8, serial, 4);
}

static int m_end(void) {
    bool full = model.full, good = !full && !model.too_long;
    model.writing = model.full = false;
    if (good)
        m_number(model.frame, model.size - model.frame - FRAME_HEADER, 4);
    else
        model.size = model.frame;
    return good ? 0 : full ? -ENOMEM : -EMSGSIZE;
}

/* ---- calls ---- */

static void put_strings(enum call call, unsigned attr, const uint8_t *p, size_t n, size_t most) {
    char text[257];
    memcpy(text, p, n);
    text[n] = 0;
    size_t size = strlen(text);
    if (call == STR) {
        message_put_str(&writer, attr, text);
    } else {
        message_put_str_cut(&writer, attr, text, most);
        text[size < most ? size : most] = 0;
    }
    m_attribute(attr, text, strlen(text) + 1);
}

static void put_value(enum call call, unsigned attr, const uint8_t *p, size_t n) {
    uint8_t number[8] = {0};
    memcpy(number, p, n < 8 ? n : 8);
    if (call == U32) {
        message_put_u32(&writer, attr, wire_get_u32(number));
        m_attribute(attr, number, 4);
    } else if (call == U64) {
        message_put_u64(&writer, attr, wire_get_u64(number));
        m_attribute(attr, number, 8);
    } else if (call == BYTES) {
        message_put_bytes(&writer, attr, p, n);
        m_attribute(attr, p, n);
    } else if (call == SPACE) {
        uint8_t *to = message_put_space(&writer, attr, n);
        m_attribute(attr, p, n);
        HOLDS((to == NULL) == model.full);
        if (to != NULL)
            memcpy(to, p, n);
    } else {
        HOLDS(message_put_space(&writer, attr, (size_t)LIMIT_FRAME + 1 + n) == NULL);
        model.too_long = true;
    }
}

static void records(enum call call) {
    if (call == OPEN && !model.in_record) {
        model.record = model.size;
        model.in_record = true;
        message_open_record(&writer);
        m_attribute(ATTR_RECORD, "", 0);
    } else if (call == CLOSE && model.in_record) {
        model.in_record = false;
        message_close_record(&writer);
        if (!model.full)
            m_number(model.record + 4, model.size - model.record - ATTRIBUTE_HEADER, 4);
    }
}

static void inside(enum call call, unsigned attr, const uint8_t *p, size_t n) {
    if (call == END && !model.in_record)
        HOLDS(message_end(&writer) == m_end());
    else if (call == STR || call == STR_CUT)
        put_strings(call, attr, p, n, attr % STR_MOST);
    else if (call == U32 || call == U64 || call == BYTES || call == SPACE || call == TOO_LONG)
        put_value(call, attr, p, n);
    else
        records(call);
}

/* Between messages: what was sent already goes, from the front. */
static void outside(enum call call, unsigned attr, const uint8_t *p, size_t n) {
    if (call == BEGIN) {
        unsigned type = (attr & 3) << 8 | attr >> 2;
        uint32_t serial = n >= 4 ? wire_get_u32(p) : 0;
        uint16_t flags = n >= 6 ? wire_get_u16(p + 4) : 0;
        message_begin(&writer, &buf, (enum message_type)type, flags, serial);
        m_begin(type, flags, serial);
    } else if (call == CONSUME) {
        size_t gone = n < model.size ? n * (1 + attr % 32) : model.size;
        gone = gone < model.size ? gone : model.size;
        wire_buf_consume(&buf, gone, KEEP);
        memmove(model.bytes, model.bytes + gone, model.size - gone);
        model.size -= gone;
        HOLDS(model.size > 0 || buf.size <= KEEP);
    } else if (call == FRAME && n > 0 && (buf.max == 0 || model.size + FRAME_HEADER + n <= buf.max)) {
        uint8_t header[FRAME_HEADER] = {0, 0, (uint8_t)(n >> 8), (uint8_t)n};
        frame_put(&buf, p, n);
        m_put(header, sizeof header);
        m_put(p, n);
    }
}

static void compare(void) {
    HOLDS(buf.failed == model.full);
    HOLDS(buf.start <= buf.end && buf.end <= buf.size && (buf.max == 0 || buf.size <= buf.max));
    HOLDS(wire_buf_len(&buf) == model.size);
    HOLDS(model.size == 0 || memcmp(wire_buf_head(&buf), model.bytes, model.size) == 0);
}

/* Everything that was finished is a sequence of whole frames. */
static void read_all(void) {
    const uint8_t *p = wire_buf_head(&buf), *payload;
    for (size_t left = wire_buf_len(&buf), size; left > 0; p += size, left -= size) {
        struct message m;
        HOLDS(frame_get(p, left, LIMIT_FRAME, &payload, &size) == 1 && payload == p + FRAME_HEADER);
        for (enum message_sender sender = FROM_CLIENT; sender <= TO_ZYGOTE; sender++)
            if (message_read(payload, size - FRAME_HEADER, sender, STATE_READY, &m) == 0)
                HOLDS(m.end == payload + size - FRAME_HEADER && wire_get_u32(payload + 4) == m.serial);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    bool consumed = false;
    wire_buf_init(&buf, data[0] & 1 ? 64 * (size_t)data[0] : 0);
    model.size = 0;
    model.writing = model.in_record = model.full = model.too_long = false;
    data++, size--;
    for (unsigned k = 0; k < CALLS && size >= 3; k++) {
        enum call call = (enum call)(data[0] % KINDS);
        size_t n = data[2] < size - 3 ? data[2] : size - 3;
        consumed |= call == CONSUME;
        (model.writing ? inside : outside)(call, data[1], data + 3, n);
        compare();
        data += 3 + n, size -= 3 + n;
    }
    if (model.writing)
        HOLDS(message_end(&writer) == m_end());
    compare();
    if (!consumed)
        read_all();
    wire_buf_done(&buf);
    HOLDS(buf.data == NULL && wire_buf_len(&buf) == 0);
    return 0;
}
