/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"
#include "protocol/wire.h"

/* Messages: u16 type, u16 flags, u32 serial, then attributes: u16 type, u16 zero, u32 length, value, padding to 4.
 * Two tables rule them (message.c): of attributes (what kind of value, in which messages), and of messages
 * (who may send them, in which state). docs/PROTOCOL.md is the description for others. */

enum { PROTOCOL_VERSION = 1, PROTOCOL_OF_ZYGOTES = 1 };
enum { MESSAGE_HEADER = 8, ATTRIBUTE_HEADER = 8 };

enum message_type {
    /* client → server */
    MSG_HELLO = 0x0001,
    MSG_SPAWN = 0x0002,
    MSG_SIGNAL = 0x0003,
    MSG_LIST = 0x0004,
    MSG_STATUS = 0x0005,
    MSG_WATCH = 0x0006,
    MSG_ZYGOTE = 0x0007,
    MSG_BYE = 0x0008,
    MSG_WAIT = 0x0009,
    /* server → client */
    MSG_HELLO_REPLY = 0x0101,
    MSG_STARTED = 0x0102,
    MSG_FAILED = 0x0103,
    MSG_EXITED = 0x0104,
    MSG_LISTED = 0x0105,
    MSG_STATUS_REPLY = 0x0106,
    MSG_EVENT = 0x0107,
    MSG_ERROR = 0x0108,
    MSG_DONE = 0x0109,
    MSG_ZYGOTES = 0x010a,
    /* zygote → server */
    MSG_READY = 0x0201,
    MSG_UNREADY = 0x0202,
    MSG_FORKED = 0x0203,
    MSG_UNFORKED = 0x0204,
    MSG_ENDED = 0x0205,
    MSG_REAPED = 0x0206,
    MSG_BORN = 0x0207,
    MSG_SPARES = 0x0208,
    /* server → zygote */
    MSG_FORK = 0x0301,
};

/* Flags of a message. The low byte is the number of fds that belong to it. */
enum {
    MESSAGE_FDS = 0x00ff,
    MESSAGE_MORE = 0x0100, /* LISTED, ZYGOTES: another part follows */
};

/* Numbers of the wire. The high bit, ATTR_REQUIRED, may be set by the sender on any of them: who does not know the attribute then
 * fails the request instead of skipping it. */
enum {
    ATTR_VERSION = 0x01,       /* u32 */
    ATTR_SOFTWARE = 0x02,      /* str */
    ATTR_FEATURES = 0x03,      /* u64, FEATURE_* */
    ATTR_WORKER = 0x05,        /* u64 */
    ATTR_PID = 0x06,           /* u32 */
    ATTR_NAME = 0x07,          /* str */
    ATTR_ERRNO = 0x08,         /* u32, positive */
    ATTR_STAGE = 0x09,         /* u32, enum stage */
    ATTR_TEXT = 0x0a,          /* str */
    ATTR_RECORD = 0x0b,        /* attributes; may repeat */
    ATTR_KEY = 0x0c,           /* str: name of a counter */
    ATTR_VALUE = 0x0d,         /* u64 */
    ATTR_EVENT = 0x0e,         /* u32, enum event_kind */
    ATTR_PROGRAM = 0x10,       /* str */
    ATTR_ARGV = 0x11,          /* strs */
    ATTR_ENVIRON = 0x12,       /* strs */
    ATTR_CWD = 0x13,           /* str */
    ATTR_FDMAP = 0x14,         /* array of u32 index, u32 target */
    ATTR_UMASK = 0x15,         /* u32 */
    ATTR_RLIMITS = 0x16,       /* array of u32 resource, u32 zero, u64 soft, u64 hard */
    ATTR_NICE = 0x17,          /* u32, two's complement */
    ATTR_OOM_SCORE_ADJ = 0x18, /* u32, two's complement */
    ATTR_SPAWN_FLAGS = 0x19,   /* u32, SPAWN_* */
    ATTR_BLOCKED = 0x1a,       /* u64, bit n-1 for signal n */
    ATTR_IGNORED = 0x1b,       /* u64 */
    ATTR_TIME_LIMIT = 0x1c,    /* u64, microseconds */
    ATTR_GRACE = 0x1d,         /* u64, microseconds */
    ATTR_MEMORY_MAX = 0x1e,    /* u64, bytes */
    ATTR_TASKS_MAX = 0x1f,     /* u64 */
    ATTR_CPU_WEIGHT = 0x20,    /* u64, 1 to 10000 */
    ATTR_SIGNO = 0x22,         /* u32 */
    ATTR_SIGNAL_FLAGS = 0x23,  /* u32, SIGNAL_* */
    ATTR_END = 0x24,           /* u32 enum end_kind, u32 code or signal, u32 enum end_reason, u32 zero */
    ATTR_RUSAGE = 0x25,        /* u64 each: enum rusage_field */
    ATTR_WALL = 0x26,          /* u64, microseconds */
    ATTR_STARTED_AT = 0x27,    /* u64, microseconds since 1970 */
    ATTR_SESSION = 0x28,       /* u64 */
    ATTR_ENABLE = 0x29,        /* u32, 0 or 1 */
    ATTR_ZYGOTE = 0x2a,        /* str */
    ATTR_ACTION = 0x2b,        /* u32, enum zygote_action */
    ATTR_SPARES = 0x2c,        /* u32: how many wait; in FORKED: whether it was one */
    ATTR_KIND = 0x2d,          /* u32, enum fork_kind */
    ATTR_LARGE = 0x2e,         /* u32: index of the fd that has the whole message */
    ATTR_CGROUP = 0x2f,        /* u32: index of the fd of a cgroup.procs to enter */
    ATTR_CHANNEL = 0x30,       /* u32: index of the fd that is a derived zygote's socket to the server */
    ATTR_INTO_CGROUP = 0x31,   /* u32: index of the fd of a cgroup to begin in */
    ATTR_GATE = 0x32,          /* u32: index of the fd from which the worker reads a byte before it begins */
    ATTR_SLOT_WAIT = 0x33,     /* u64, microseconds */
    ATTR_JOB = 0x34,           /* LIMIT_JOB bytes: what its client calls this start */
    ATTR_AGAIN = 0x35,         /* u64, microseconds of CLOCK_MONOTONIC: when it was sent first */
    ATTR_REQUIRED = 0x8000,
};
/* Room for every number above; also the highest one that an attribute of this version may have. */
enum { ATTR_MAX = 0x38 };

enum {
    FEATURE_EXEC = 1 << 0,    /* the exec engine */
    FEATURE_CGROUPS = 1 << 1, /* workers can have a cgroup of their own */
    FEATURE_MEMORY = 1 << 2,  /* ... with a limit of memory, */
    FEATURE_TASKS = 1 << 3,   /* ... of tasks, */
    FEATURE_CPU = 1 << 4,     /* ... with a cpu weight */
    FEATURE_ZYGOTES = 1 << 5, /* workers can be forked by zygotes */
};

enum {
    SPAWN_DETACHED = 1 << 0,
    SPAWN_PROCESS_GROUP = 1 << 1,
    SPAWN_NO_NEW_PRIVS = 1 << 2,
    SPAWN_OWN_CGROUP = 1 << 3,
    SPAWN_DERIVED = 1 << 4,              /* the worker becomes a zygote itself, on top of the one it comes from */
    SPAWN_CONTROLLING_TERMINAL = 1 << 5, /* fd 0 becomes that of the worker's session */
    SPAWN_HAND_OVER = 1 << 6,            /* to the service manager, whose child the worker is then */
    SPAWN_REPORT_STARTED = 1 << 8,       /* STARTED once the process exists */
    SPAWN_REPORT_EXECED = 1 << 9,        /* STARTED once the program runs */
    SPAWN_PIDFD = 1 << 10,               /* STARTED carries a pidfd */
    SPAWN_ALL = 0x077f,
};

enum zygote_action { ZYGOTE_LIST = 1, ZYGOTE_WARM, ZYGOTE_STOP, ZYGOTE_RELOAD, ZYGOTE_ACTIONS };

/* What a zygote's child is to do. */
enum fork_kind {
    FORK_PROGRAM = 0, /* what ARGV says, as the zygote's runtime understands it */
    FORK_DERIVED = 1, /* become a zygote */
    FORK_CPYTHON = 2, /* a fork request of CPython's multiprocessing: the message has its fds and nothing else */
};

enum { SIGNAL_GROUP = 1 << 0, SIGNAL_ALL = 1 << 1 };

enum stage {
    STAGE_NONE,
    STAGE_REQUEST,
    STAGE_LIMIT,
    STAGE_CGROUP,
    STAGE_CLONE,
    STAGE_SIGNALS,
    STAGE_SESSION,
    STAGE_FDS,
    STAGE_CWD,
    STAGE_RLIMIT,
    STAGE_NICE,
    STAGE_OOM_SCORE,
    STAGE_PRIVILEGES,
    STAGE_EXEC,
    STAGE_ZYGOTE, /* the zygote is not there, cannot be warmed, or ended before it forked */
    STAGE_COUNT,
};
const char *stage_name(enum stage stage);

enum end_kind { END_UNKNOWN = 0, END_EXITED = 1, END_KILLED = 2, END_DUMPED = 3 };
enum end_reason {
    REASON_EXITED = 1,
    REASON_SIGNALLED,
    REASON_TIME_LIMIT,
    REASON_SESSION_ENDED,
    REASON_STOPPED,
    REASON_HANDED_OVER,
    REASON_COUNT
};
const char *end_reason_name(enum end_reason reason);

enum rusage_field {
    RUSAGE_USER, /* microseconds */
    RUSAGE_SYSTEM,
    RUSAGE_MAXRSS, /* KiB */
    RUSAGE_MINFLT,
    RUSAGE_MAJFLT,
    RUSAGE_INBLOCK,
    RUSAGE_OUBLOCK,
    RUSAGE_NVCSW,
    RUSAGE_NIVCSW,
    RUSAGE_FIELDS,
};

enum event_kind { EVENT_STARTED = 1, EVENT_FAILED, EVENT_ENDED, EVENT_LOST };

/* ---- reading ---- */

struct attribute {
    const uint8_t *data; /* into the message; NULL if it is not there */
    uint32_t size;
};

struct message {
    enum message_type type;
    uint16_t flags;
    uint32_t serial;
    bool unsupported;                      /* an unknown attribute was marked as required */
    struct attribute attributes[ATTR_MAX]; /* RECORD: the first one */
    const uint8_t *start, *end;            /* all attributes, as they came */
};

enum message_sender { FROM_CLIENT, FROM_SERVER, FROM_ZYGOTE, TO_ZYGOTE };

/* What a session is ready for. One table says which message is permitted when. */
enum session_state {
    STATE_UNAUTHENTICATED, /* nothing but the handshake */
    STATE_READY,
    STATE_CLOSING, /* BYE was said, or the instance stops: nothing new is started */
};

/* A whole message: known type from the right sender, attributes that the tables allow in it, each of the right
 * size. -EBADMSG: malformed; -EPERM: not permitted in this state. Both end the session.
 * The message points into the bytes. */
int message_read(const uint8_t *p, size_t n, enum message_sender sender, enum session_state state, struct message *ret_message);

static inline bool message_has(const struct message *m, unsigned attr) {
    return m->attributes[attr].data != NULL;
}
static inline unsigned message_fds(const struct message *m) {
    return m->flags & MESSAGE_FDS;
}
/* `otherwise` if the attribute is not there. */
uint32_t message_u32(const struct message *m, unsigned attr, uint32_t otherwise);
uint64_t message_u64(const struct message *m, unsigned attr, uint64_t otherwise);
/* A string with its NUL, or NULL. */
const char *message_str(const struct message *m, unsigned attr);
/* Number of strings of a `strs` attribute. */
size_t message_strs_count(const struct message *m, unsigned attr);
/* Walks a RECORD list: *record starts as {0}. Returns 1 and the record's attributes, 0 at the end, -EBADMSG. */
int message_next_record(const struct message *m, struct attribute *record, struct message *ret_record);

/* ---- writing: always a whole frame; of one for a zygote, the length in front is left out by who sends it ---- */

struct message_writer {
    struct wire_buf *buf;
    size_t frame;  /* where the frame starts, as an offset from the buffer's head */
    size_t record; /* where an open record's header is */
    bool too_long; /* a value was longer than any frame */
};

void message_begin(struct message_writer *w, struct wire_buf *buf, enum message_type type, uint16_t flags, uint32_t serial);
void message_put_u32(struct message_writer *w, unsigned attr, uint32_t v);
void message_put_u64(struct message_writer *w, unsigned attr, uint64_t v);
void message_put_str(struct message_writer *w, unsigned attr, const char *s);
/* At most `max` bytes of it. */
void message_put_str_cut(struct message_writer *w, unsigned attr, const char *s, size_t max);
void message_put_bytes(struct message_writer *w, unsigned attr, const void *p, size_t n);
/* Room for n bytes of a value, to be filled in at once; NULL if there is no memory, or if no frame
 * has room for it. */
uint8_t *message_put_space(struct message_writer *w, unsigned attr, size_t n);
void message_open_record(struct message_writer *w);
void message_close_record(struct message_writer *w);
/* Completes the frame. -EMSGSIZE (over LIMIT_FRAME) or -ENOMEM (no memory, or over the bound of the buffer): the buffer is as it
 * was before message_begin. */
int message_end(struct message_writer *w);
