/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages as bytes. Two tables say everything that may be said: which attribute has which kind of value in which messages, and
 * which message may come from whom in which state. What is meant by a message is not decided here. */
#include "protocol/message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/frame.h"

enum kind {
    NONE = 0,
    U32,
    U64,
    STR,   /* bytes, one NUL, at the end */
    STRS,  /* zero or more of these */
    ARRAY, /* zero or more elements of `size` bytes */
    TUPLE, /* `size` bytes */
    TREE,  /* attributes */
};

/* Sets of messages: one bit each, in the order of the table of messages. */
enum index {
    I_HELLO,
    I_SPAWN,
    I_SIGNAL,
    I_LIST,
    I_STATUS,
    I_WATCH,
    I_BYE,
    I_WAIT,
    I_HELLO_REPLY,
    I_STARTED,
    I_FAILED,
    I_EXITED,
    I_LISTED,
    I_STATUS_REPLY,
    I_EVENT,
    I_ERROR,
    I_DONE,
    I_ZYGOTE,
    I_ZYGOTES,
    I_READY,
    I_UNREADY,
    I_FORKED,
    I_UNFORKED,
    I_ENDED,
    I_REAPED,
    I_BORN,
    I_SPARES,
    I_FORK,
    I_COUNT,
    I_RECORD, /* inside a RECORD */
};
#define IN(m) (1u << I_##m)
#define ONE_WORKER (IN(RECORD) | IN(EVENT))
/* What a worker shall be: from a client, and on its way to a zygote. */
#define SPEC (IN(SPAWN) | IN(FORK))
#define AN_END (IN(EXITED) | ONE_WORKER)

enum { UNAUTHENTICATED = 1 << STATE_UNAUTHENTICATED, READY = 1 << STATE_READY, CLOSING = 1 << STATE_CLOSING };

static const struct {
    uint16_t type;
    enum message_sender sender;
    unsigned states;
    uint16_t flags; /* permitted ones */
} messages[I_COUNT] = {
    [I_HELLO] = {MSG_HELLO, FROM_CLIENT, READY, 0},
    [I_SPAWN] = {MSG_SPAWN, FROM_CLIENT, READY, MESSAGE_FDS},
    [I_SIGNAL] = {MSG_SIGNAL, FROM_CLIENT, READY | CLOSING, 0},
    [I_LIST] = {MSG_LIST, FROM_CLIENT, READY | CLOSING, 0},
    [I_STATUS] = {MSG_STATUS, FROM_CLIENT, READY | CLOSING, 0},
    [I_WATCH] = {MSG_WATCH, FROM_CLIENT, READY | CLOSING, 0},
    [I_BYE] = {MSG_BYE, FROM_CLIENT, READY | CLOSING, 0},
    [I_WAIT] = {MSG_WAIT, FROM_CLIENT, READY | CLOSING, 0},
    [I_HELLO_REPLY] = {MSG_HELLO_REPLY, FROM_SERVER, READY | CLOSING, 0},
    [I_STARTED] = {MSG_STARTED, FROM_SERVER, READY | CLOSING, MESSAGE_FDS},
    [I_FAILED] = {MSG_FAILED, FROM_SERVER, READY | CLOSING, 0},
    [I_EXITED] = {MSG_EXITED, FROM_SERVER, READY | CLOSING, 0},
    [I_LISTED] = {MSG_LISTED, FROM_SERVER, READY | CLOSING, MESSAGE_MORE},
    [I_STATUS_REPLY] = {MSG_STATUS_REPLY, FROM_SERVER, READY | CLOSING, 0},
    [I_EVENT] = {MSG_EVENT, FROM_SERVER, READY | CLOSING, 0},
    [I_ERROR] = {MSG_ERROR, FROM_SERVER, READY | CLOSING, 0},
    [I_DONE] = {MSG_DONE, FROM_SERVER, READY | CLOSING, 0},
    [I_ZYGOTE] = {MSG_ZYGOTE, FROM_CLIENT, READY, 0},
    [I_ZYGOTES] = {MSG_ZYGOTES, FROM_SERVER, READY | CLOSING, MESSAGE_MORE},
    [I_READY] = {MSG_READY, FROM_ZYGOTE, READY, 0},
    [I_UNREADY] = {MSG_UNREADY, FROM_ZYGOTE, READY, 0},
    [I_FORKED] = {MSG_FORKED, FROM_ZYGOTE, READY, MESSAGE_FDS},
    [I_UNFORKED] = {MSG_UNFORKED, FROM_ZYGOTE, READY, 0},
    [I_ENDED] = {MSG_ENDED, FROM_ZYGOTE, READY, 0},
    [I_REAPED] = {MSG_REAPED, FROM_ZYGOTE, READY, 0},
    [I_BORN] = {MSG_BORN, FROM_ZYGOTE, READY, MESSAGE_FDS},
    [I_SPARES] = {MSG_SPARES, FROM_ZYGOTE, READY, 0},
    [I_FORK] = {MSG_FORK, TO_ZYGOTE, READY, MESSAGE_FDS},
};
_Static_assert(I_RECORD < 32, "a set of messages is 32 bits");

static const struct {
    enum kind kind;
    uint32_t size; /* STR: most bytes with the NUL; ARRAY: of one element; TUPLE: of all */
    uint32_t most; /* STRS: most strings; ARRAY: most elements */
    unsigned where;
} attributes[ATTR_MAX] = {
    [ATTR_VERSION] = {U32, 0, 0, IN(HELLO) | IN(HELLO_REPLY) | IN(READY)},
    [ATTR_SOFTWARE] = {STR, 128, 0, IN(HELLO) | IN(HELLO_REPLY) | IN(READY)},
    [ATTR_FEATURES] = {U64, 0, 0, IN(HELLO) | IN(HELLO_REPLY)},
    [ATTR_WORKER] = {U64, 0, 0, IN(SIGNAL) | IN(WAIT) | IN(STARTED) | IN(FAILED) | IN(EXITED) | ONE_WORKER},
    [ATTR_PID] = {U32, 0, 0, IN(STARTED) | ONE_WORKER | IN(FORKED) | IN(ENDED) | IN(REAPED) | IN(BORN)},
    [ATTR_NAME] = {STR, LIMIT_NAME + 1, 0, SPEC | IN(WAIT) | ONE_WORKER | IN(BORN)},
    [ATTR_ERRNO] = {U32, 0, 0, IN(FAILED) | IN(ERROR) | IN(EVENT) | IN(UNREADY) | IN(UNFORKED)},
    [ATTR_STAGE] = {U32, 0, 0, IN(FAILED) | IN(EVENT) | IN(UNFORKED)},
    [ATTR_TEXT] = {STR, LIMIT_TEXT, 0, IN(FAILED) | IN(ERROR) | IN(EVENT) | IN(RECORD) | IN(READY) | IN(UNREADY) | IN(UNFORKED)},
    [ATTR_RECORD] = {TREE, 0, 0, IN(LISTED) | IN(STATUS_REPLY) | IN(ZYGOTES)},
    [ATTR_KEY] = {STR, 64, 0, IN(RECORD)},
    [ATTR_VALUE] = {U64, 0, 0, IN(RECORD) | IN(EVENT) | IN(SPARES)},
    [ATTR_EVENT] = {U32, 0, 0, IN(EVENT)},
    [ATTR_PROGRAM] = {STR, LIMIT_PATH, 0, SPEC | ONE_WORKER},
    [ATTR_ARGV] = {STRS, 0, LIMIT_STRINGS, SPEC},
    [ATTR_ENVIRON] = {STRS, 0, LIMIT_STRINGS, SPEC},
    [ATTR_CWD] = {STR, LIMIT_PATH, 0, SPEC},
    [ATTR_FDMAP] = {ARRAY, 8, LIMIT_MAPPED_FDS, SPEC},
    [ATTR_UMASK] = {U32, 0, 0, SPEC},
    [ATTR_RLIMITS] = {ARRAY, 24, LIMIT_RLIMITS, SPEC},
    [ATTR_NICE] = {U32, 0, 0, SPEC},
    [ATTR_OOM_SCORE_ADJ] = {U32, 0, 0, SPEC},
    [ATTR_SPAWN_FLAGS] = {U32, 0, 0, SPEC | ONE_WORKER},
    [ATTR_BLOCKED] = {U64, 0, 0, SPEC},
    [ATTR_IGNORED] = {U64, 0, 0, SPEC},
    [ATTR_TIME_LIMIT] = {U64, 0, 0, SPEC},
    [ATTR_GRACE] = {U64, 0, 0, SPEC},
    [ATTR_MEMORY_MAX] = {U64, 0, 0, SPEC},
    [ATTR_TASKS_MAX] = {U64, 0, 0, SPEC},
    [ATTR_CPU_WEIGHT] = {U64, 0, 0, SPEC},
    [ATTR_SIGNO] = {U32, 0, 0, IN(SIGNAL)},
    [ATTR_SIGNAL_FLAGS] = {U32, 0, 0, IN(SIGNAL)},
    [ATTR_END] = {TUPLE, 16, 0, AN_END | IN(ENDED)},
    [ATTR_RUSAGE] = {ARRAY, 8, 32, AN_END | IN(ENDED) | IN(REAPED)},
    [ATTR_WALL] = {U64, 0, 0, AN_END},
    [ATTR_STARTED_AT] = {U64, 0, 0, ONE_WORKER},
    [ATTR_SESSION] = {U64, 0, 0, ONE_WORKER},
    [ATTR_ENABLE] = {U32, 0, 0, IN(WATCH)},
    [ATTR_ZYGOTE] = {STR, LIMIT_ZYGOTE + 1, 0, SPEC | IN(ZYGOTE) | IN(RECORD) | IN(EVENT)},
    [ATTR_ACTION] = {U32, 0, 0, IN(ZYGOTE)},
    [ATTR_SPARES] = {U32, 0, 0, IN(SPARES) | IN(FORKED)},
    [ATTR_KIND] = {U32, 0, 0, IN(FORK)},
    [ATTR_LARGE] = {U32, 0, 0, IN(FORK)},
    [ATTR_CGROUP] = {U32, 0, 0, IN(FORK)},
    [ATTR_CHANNEL] = {U32, 0, 0, IN(FORK)},
    [ATTR_INTO_CGROUP] = {U32, 0, 0, SPEC},
    [ATTR_GATE] = {U32, 0, 0, SPEC},
    [ATTR_SLOT_WAIT] = {U64, 0, 0, SPEC},
    [ATTR_JOB] = {TUPLE, LIMIT_JOB, 0, SPEC | IN(WAIT)},
    [ATTR_AGAIN] = {U64, 0, 0, SPEC | IN(WAIT)},
};

const char *stage_name(enum stage stage) {
    static const char *const names[STAGE_COUNT] = {
        "none", "request", "limit", "cgroup",        "clone",      "signals", "session", "fds",
        "cwd",  "rlimit",  "nice",  "oom-score-adj", "privileges", "exec",    "zygote",
    };
    return (unsigned)stage < STAGE_COUNT ? names[stage] : "unknown";
}

const char *end_reason_name(enum end_reason reason) {
    static const char *const names[REASON_COUNT] = {
        "unknown", "exited", "signalled", "time-limit", "session-ended", "stopped", "handed-over",
    };
    return (unsigned)reason < REASON_COUNT ? names[reason] : "unknown";
}

/* ---- reading ---- */

static bool strs_fit(const uint8_t *p, size_t n, size_t most) {
    size_t count = 0;
    for (const uint8_t *end = p + n; p < end; count++) {
        const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
        if (nul == NULL)
            return false;
        p = nul + 1;
    }
    return count <= most;
}

static bool value_fits(unsigned attr, const uint8_t *p, size_t n) {
    switch (attributes[attr].kind) {
    case U32:
        return n == 4;
    case U64:
        return n == 8;
    case STR:
        return n > 0 && n <= attributes[attr].size && memchr(p, 0, n) == p + n - 1;
    case STRS:
        return strs_fit(p, n, attributes[attr].most);
    case ARRAY:
        return n % attributes[attr].size == 0 && n / attributes[attr].size <= attributes[attr].most;
    case TUPLE:
        return n == attributes[attr].size;
    case TREE:
        return true;
    case NONE:
        break;
    }
    return false;
}

/* One attribute at p: its number, value, and where the next one starts. */
static int read_header(const uint8_t *p, const uint8_t *end, unsigned *ret_number, struct attribute *ret_value,
                       const uint8_t **ret_next) {
    size_t left = (size_t)(end - p);
    if (left < ATTRIBUTE_HEADER || wire_get_u16(p + 2) != 0)
        return -EBADMSG;
    uint32_t size = wire_get_u32(p + 4);
    left -= ATTRIBUTE_HEADER;
    if (size > left)
        return -EBADMSG;
    size_t padded = ((size_t)size + 3) & ~(size_t)3;
    if (padded > left)
        return -EBADMSG;
    for (size_t i = size; i < padded; i++)
        if (p[ATTRIBUTE_HEADER + i] != 0)
            return -EBADMSG;
    *ret_number = wire_get_u16(p);
    *ret_value = (struct attribute){p + ATTRIBUTE_HEADER, size};
    *ret_next = p + ATTRIBUTE_HEADER + padded;
    return 0;
}

static int read_attributes(const uint8_t *p, const uint8_t *end, unsigned where, struct message *m) {
    for (unsigned count = 0; p < end; count++) {
        unsigned number;
        struct attribute value;
        if (count == LIMIT_ATTRIBUTES || read_header(p, end, &number, &value, &p) < 0)
            return -EBADMSG;
        bool required = number & ATTR_REQUIRED;
        number &= ~(unsigned)ATTR_REQUIRED;
        if (number >= ATTR_MAX || attributes[number].kind == NONE) {
            m->unsupported |= required;
            continue;
        }
        if (!(attributes[number].where & (1u << where)) || !value_fits(number, value.data, value.size))
            return -EBADMSG;
        if (m->attributes[number].data == NULL)
            m->attributes[number] = value;
        else if (number != ATTR_RECORD)
            return -EBADMSG;
    }
    return 0;
}

int message_read(const uint8_t *p, size_t n, enum message_sender sender, enum session_state state, struct message *ret_message) {
    if (n < MESSAGE_HEADER)
        return -EBADMSG;
    uint16_t type = wire_get_u16(p);
    unsigned i = 0;
    while (i < I_COUNT && messages[i].type != type)
        i++;
    if (i == I_COUNT || messages[i].sender != sender)
        return -EBADMSG;
    if (!(messages[i].states & (1u << state)))
        return -EPERM;
    struct message m = {
        .type = (enum message_type)type,
        .flags = wire_get_u16(p + 2),
        .serial = wire_get_u32(p + 4),
        .start = p + MESSAGE_HEADER,
        .end = p + n,
    };
    if ((m.flags & ~messages[i].flags) || message_fds(&m) > LIMIT_FDS)
        return -EBADMSG;
    /* Serial 0 names the session itself, and so no request. */
    if (sender == FROM_CLIENT && m.serial == 0)
        return -EBADMSG;
    int r = read_attributes(p + MESSAGE_HEADER, m.end, i, &m);
    if (r < 0)
        return r;
    *ret_message = m;
    return 0;
}

uint32_t message_u32(const struct message *m, unsigned attr, uint32_t otherwise) {
    return message_has(m, attr) ? wire_get_u32(m->attributes[attr].data) : otherwise;
}

uint64_t message_u64(const struct message *m, unsigned attr, uint64_t otherwise) {
    return message_has(m, attr) ? wire_get_u64(m->attributes[attr].data) : otherwise;
}

const char *message_str(const struct message *m, unsigned attr) {
    return (const char *)m->attributes[attr].data;
}

size_t message_strs_count(const struct message *m, unsigned attr) {
    size_t count = 0;
    const struct attribute *a = &m->attributes[attr];
    for (uint32_t i = 0; i < a->size; i++)
        count += a->data[i] == 0;
    return count;
}

int message_next_record(const struct message *m, struct attribute *record, struct message *ret_record) {
    const uint8_t *p = record->data;
    if (p == NULL) {
        *record = m->attributes[ATTR_RECORD];
    } else {
        /* Other attributes may stand between records. */
        p += (record->size + 3) & ~(uint32_t)3;
        *record = (struct attribute){0};
        while (p < m->end && record->data == NULL) {
            unsigned number;
            struct attribute value;
            if (read_header(p, m->end, &number, &value, &p) < 0)
                return -EBADMSG;
            if ((number & ~(unsigned)ATTR_REQUIRED) == ATTR_RECORD)
                *record = value;
        }
    }
    if (record->data == NULL)
        return 0;
    struct message one = {.type = m->type, .serial = m->serial, .start = record->data, .end = record->data + record->size};
    int r = read_attributes(record->data, one.end, I_RECORD, &one);
    if (r < 0)
        return r;
    *ret_record = one;
    return 1;
}

/* ---- writing ---- */

static const uint8_t zeros[8];

void message_begin(struct message_writer *w, struct wire_buf *buf, enum message_type type, uint16_t flags, uint32_t serial) {
    *w = (struct message_writer){.buf = buf, .frame = wire_buf_len(buf)};
    uint8_t header[FRAME_HEADER + MESSAGE_HEADER] = {0};
    wire_put_u16(header + FRAME_HEADER, (uint16_t)type);
    wire_put_u16(header + FRAME_HEADER + 2, flags);
    wire_put_u32(header + FRAME_HEADER + 4, serial);
    wire_put_bytes(buf, header, sizeof header);
}

uint8_t *message_put_space(struct message_writer *w, unsigned attr, size_t n) {
    if (n > LIMIT_FRAME) {
        w->too_long = true;
        return NULL;
    }
    size_t padded = (n + 3) & ~(size_t)3;
    uint8_t *p = wire_buf_reserve(w->buf, ATTRIBUTE_HEADER + padded);
    if (p == NULL)
        return NULL;
    wire_put_u16(p, (uint16_t)attr);
    wire_put_u16(p + 2, 0);
    wire_put_u32(p + 4, (uint32_t)n);
    memcpy(p + ATTRIBUTE_HEADER + n, zeros, padded - n);
    wire_buf_commit(w->buf, ATTRIBUTE_HEADER + padded);
    return p + ATTRIBUTE_HEADER;
}

void message_put_bytes(struct message_writer *w, unsigned attr, const void *data, size_t n) {
    uint8_t *p = message_put_space(w, attr, n);
    if (p != NULL && n > 0)
        memcpy(p, data, n);
}

void message_put_u32(struct message_writer *w, unsigned attr, uint32_t v) {
    uint8_t *p = message_put_space(w, attr, 4);
    if (p != NULL)
        wire_put_u32(p, v);
}

void message_put_u64(struct message_writer *w, unsigned attr, uint64_t v) {
    uint8_t *p = message_put_space(w, attr, 8);
    if (p != NULL)
        wire_put_u64(p, v);
}

void message_put_str(struct message_writer *w, unsigned attr, const char *s) {
    message_put_bytes(w, attr, s, strlen(s) + 1);
}

void message_put_str_cut(struct message_writer *w, unsigned attr, const char *s, size_t max) {
    size_t n = strnlen(s, max);
    uint8_t *p = message_put_space(w, attr, n + 1);
    if (p == NULL)
        return;
    memcpy(p, s, n);
    p[n] = 0;
}

void message_open_record(struct message_writer *w) {
    w->record = wire_buf_len(w->buf);
    message_put_space(w, ATTR_RECORD, 0);
}

void message_close_record(struct message_writer *w) {
    if (w->buf->failed)
        return;
    uint8_t *p = w->buf->data + w->buf->start + w->record;
    /* What is inside is padded already. */
    wire_put_u32(p + 4, (uint32_t)(wire_buf_len(w->buf) - w->record - ATTRIBUTE_HEADER));
}

int message_end(struct message_writer *w) {
    struct wire_buf *b = w->buf;
    size_t size = wire_buf_len(b) - w->frame;
    bool failed = b->failed;
    if (failed || w->too_long || size - FRAME_HEADER > LIMIT_FRAME) {
        wire_buf_truncate(b, b->start + w->frame);
        b->failed = false;
        return failed ? -ENOMEM : -EMSGSIZE;
    }
    wire_put_u32(b->data + b->start + w->frame, (uint32_t)(size - FRAME_HEADER));
    return 0;
}
