/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#pragma GCC visibility push(default)
#include "client/forksrv.h"
#pragma GCC visibility pop

#include "common/cleanup.h"
#include "common/fds.h"
#include "protocol/limits.h"
#include "protocol/message.h"
#include "protocol/wire.h"

/* What is inside of a session and of a worker's handle, shared by the files of the library and by nobody else. */

enum {
    ERROR_TEXT = LIMIT_TEXT + 1024, /* what the server says, and more; a search for the key lists every place */
    QUEUE_MAX = LIMIT_FRAME,        /* bytes queued before a submit says -EAGAIN */
    QUEUE_FLUSH = 64 * 1024,        /* bytes queued before a submit sends by itself */
    RECEIVE = 64 * 1024,            /* room for one read */
    BUFFER_KEEP = 256 * 1024,       /* what an empty buffer keeps of its memory */
    AGAIN_USEC = 20 * 1000,         /* until a server that went away is looked for again */
    WATCH_MAX = 4096,               /* events of other sessions' workers kept for a program that does not take them */
};

struct handshake;

enum session_phase {
    PHASE_NEW,
    PHASE_GREETING, /* forksrv_open_start: connected, both sides still have to prove themselves */
    PHASE_OPEN,
    PHASE_LOST,
};

/* An event that waits to be taken. The two of a worker are part of its handle, so that they need no memory of their own. */
struct event {
    TAILQ_ENTRY(event) link;
    bool queued;
    enum forksrv_event_kind kind;
    struct forksrv_worker *worker; /* of STARTED, FAILED and ENDED; borrowed */
};
TAILQ_HEAD(event_list, event);

struct forksrv_worker {
    TAILQ_ENTRY(forksrv_worker) link;
    struct forksrv *session; /* borrowed */
    uint32_t serial;         /* 0 once its last answer has come */
    enum forksrv_state state;
    uint64_t id;
    pid_t pid;
    int pidfd; /* owned, or -1 */
    int failure;
    enum forksrv_stage stage;
    char *text; /* owned, or NULL */
    struct forksrv_end end;
    void *data;
    struct event started;
    struct event ended;
    uint8_t job[LIMIT_JOB]; /* what the server knows it by, if has_job */
    bool has_job;
    bool returning;    /* it was asked for on a new connection */
    bool attaching;    /* by forksrv_attach, which has not been answered: by `asked`, or if that is NULL by `id` */
    const char *asked; /* borrowed, while attaching */
    uint64_t since;    /* monotonic: when it was submitted */
};
TAILQ_HEAD(worker_list, forksrv_worker);

/* A request that somebody waits for. It lives on the waiter's stack. */
struct call {
    enum message_type answer; /* what ends it well */
    bool done;
    int result;
    int (*take)(struct call *call, const struct message *m); /* NULL: the answer itself says nothing */
    void *data;
};

/* What a serial stands for. The serial is the slot's index + 1. */
enum slot_kind {
    SLOT_FREE,
    SLOT_WORKER,
    SLOT_CALL,
    SLOT_DROPPED,  /* nobody is interested in the answers any more */
    SLOT_UNWANTED, /* the same, and the worker is to be killed if it was started */
};
struct slot {
    enum slot_kind kind;
    union {
        struct forksrv_worker *worker; /* borrowed */
        struct call *call;             /* borrowed */
        uint32_t next_free;            /* index + 1, 0 at the end */
    };
};

/* fds that travel with the byte at `offset` of everything that was ever queued. */
struct fd_batch {
    STAILQ_ENTRY(fd_batch) link;
    uint64_t offset;
    unsigned count;
    int fds[]; /* owned */
};
STAILQ_HEAD(fd_batch_list, fd_batch);

struct forksrv {
    enum session_phase phase;
    int fd;       /* owned; kept open when the session is lost, because the program may still poll it */
    int lifeline; /* owned: the private instance ends when it is closed; -1 */

    char *address; /* the settings; owned, NULL where not set */
    char *user;
    char *authkey_file;
    char *daemon;
    uint64_t timeout;
    bool lazy;
    uint64_t return_time; /* 0: a lost connection is not made anew */
    uint8_t job[8];       /* of all jobs of this session */
    uint64_t jobs;        /* how many have been named */
    bool hung_up;         /* the last handshake ended without a word */
    bool watches;         /* has asked for events of others' workers */
    uint8_t *key;         /* a locked page, owned: key.c */
    bool key_given;       /* by forksrv_set_authkey */

    char *peer; /* what it is connected to, owned */

    struct handshake *greeting; /* owned; NULL before and after it */
    uint64_t greet_until;       /* deadline of PHASE_GREETING */

    struct wire_buf in;
    struct fd_queue in_fds;
    struct wire_buf out;
    uint64_t sent; /* bytes of `out` sent since the beginning */
    struct fd_batch_list out_fds;
    bool deaf;  /* the server reads no more: only what it has sent is left to read */
    bool stuck; /* the kernel takes no fds now, and poll does not tell when it does */

    struct slot *slots; /* owned */
    uint32_t n_slots;
    uint32_t free_slot; /* index + 1, 0: none */

    struct worker_list workers;
    struct event_list events;
    struct event opened, closed;
    struct watch_event *taken; /* given out last; owned */
    size_t watch_queued;
    uint64_t watch_lost;

    int lost_error;
    enum forksrv_stage last_stage;
    char lost_text[LIMIT_TEXT];
    char error[ERROR_TEXT];
};

/* session.c */
int session_fail(struct forksrv *s, int r, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The session is over: every worker that still had to end is LOST, and CLOSED is queued. Returns -ENOTCONN. */
int session_lose(struct forksrv *s, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* PHASE_GREETING failed: nothing was sent, so no worker was started. Returns -ENOTCONN. */
int session_refused(struct forksrv *s, int error);
/* 0, or -ENOTCONN and the text why. */
int session_ready(struct forksrv *s);
/* The text of an errno, given as a negative number. */
const char *error_text(int r);

/* The key is not needed before the next connection. */
void key_used(struct forksrv *s);
void session_free_batches(struct forksrv *s);

/* comeback.c */
/* A name for a job, before it is submitted. */
void comeback_name(struct forksrv_worker *w);
/* There are workers to come back to, and the program wants that. */
bool comeback_is_wanted(const struct forksrv *s);
/* A new connection in place of the lost one, on which the workers are asked for. Blocks, at most for the return time. */
int comeback(struct forksrv *s);
/* The server knows nothing of one that was asked for. */
void comeback_tell(struct forksrv_worker *w, int error);
/* Its end, as the kernel tells it by our own pidfd. */
bool comeback_own_end(struct forksrv_worker *w);
/* The same once it has ended. */
bool comeback_wait(struct forksrv_worker *w, uint64_t deadline);

/* slots.c: serials */
int slot_take(struct forksrv *s, enum slot_kind kind, uint32_t *ret_serial);
struct slot *slot_get(struct forksrv *s, uint32_t serial);
void slot_release(struct forksrv *s, uint32_t serial);

/* deadline.c: absolute times of CLOCK_MONOTONIC in microseconds */
uint64_t deadline_after(uint64_t timeout);
uint64_t deadline_left(uint64_t deadline);
/* poll for one fd: 1, or 0 when the time is up. */
int deadline_poll(int fd, short events, uint64_t deadline);

/* key.c */
int key_reserve(struct forksrv *s);
void key_erase(struct forksrv *s);
/* Finds and reads the key. system: the address is that of a system instance. */
int key_load(struct forksrv *s, bool system);

/* find.c: where an instance may be */
struct candidate {
    char path[108]; /* of sockaddr_un */
    bool system;    /* only root can have made it */
};
enum { CANDIDATES = 2 };
int find_candidates(struct forksrv *s, struct candidate ret[CANDIDATES], unsigned *ret_count);

/* connect.c */
/* A connected socket to `path`. -errno, no text. */
int connect_path(const char *path, uint64_t deadline, int *ret_fd);
/* Whether that failed because the server went away just then, so that it may go well now. */
bool connect_may_pass(const struct forksrv *s, int r);
/* Connected to where the session's settings lead, and both sides have proved themselves. The handshake's last word is what s->out
 * has. */
int connect_greet(struct forksrv *s, uint64_t deadline);
/* As before that. The program's own key stays for another time, one that was found is found again. */
void connect_undo(struct forksrv *s, bool key_given);

/* greet.c */
/* The handshake on s->fd, as the client. Its last word is queued as the first bytes of s->out; whatever is queued after it is
 * sent once the server has proved itself. */
int greet_start(struct forksrv *s);
/* What can be done of it without waiting. 1: both have proved themselves; 0: wait for greet_events(); or an error. After 1 or an
 * error there is no handshake any more. */
int greet_step(struct forksrv *s);
short greet_events(const struct forksrv *s);
void greet_done(struct forksrv *s);
/* All of it. */
int greet(struct forksrv *s, uint64_t deadline);

/* encode.c */
/* patience: the server keeps it no longer than that for a slot. */
int encode_spawn(struct forksrv_worker *w, const struct forksrv_spec *spec, uint64_t patience);

/* pump.c */
/* PHASE_GREETING: as far as it goes without waiting. 0, or -ENOTCONN. */
int pump_greet(struct forksrv *s);
void pump_send(struct forksrv *s);
int pump_receive(struct forksrv *s);
/* Until done(arg), whatever comes in meanwhile. 0, -ETIMEDOUT or -ENOTCONN. */
int pump_until(struct forksrv *s, bool (*done)(const void *), const void *arg, uint64_t deadline);
/* The frame that was written last is to be sent: `size` bytes of it, with these fds, which are borrowed. */
int pump_queue(struct forksrv *s, size_t size, const int *fds, unsigned n_fds);
/* Until less than QUEUE_MAX is queued. */
int pump_room(struct forksrv *s, uint64_t deadline);

/* dispatch.c */
/* Every whole frame that was received. 0, or -ENOTCONN. */
int dispatch(struct forksrv *s);

/* record.c: what the server tells of workers */
void record_end(const struct message *m, struct forksrv_end *ret_end);
/* ret_strings: owned by the caller; the info points into it. */
int record_info(const struct message *m, struct forksrv_info *ret_info, char **ret_strings);

/* request.c */
/* Begins a frame of a new request; request_send completes it. */
int request_begin(struct forksrv *s, enum slot_kind kind, enum message_type type, struct message_writer *ret_writer,
                  uint32_t *ret_serial);
int request_send(struct forksrv *s, struct message_writer *w, uint32_t serial);
/* Sends a request of kind SLOT_CALL and waits for its answer. */
int request_finish(struct forksrv *s, struct message_writer *w, uint32_t serial, struct call *call, uint64_t timeout);
/* Waits for the answer of one that was sent. */
int request_wait(struct forksrv *s, struct call *call, uint32_t serial, uint64_t deadline);

/* worker.c */
int worker_new(struct forksrv *s, struct forksrv_worker **ret_worker);
/* Asks the server for it: by its job, or, if it has none, by what the program attaches to. */
int worker_ask(struct forksrv_worker *w);

/* event.c */
void event_queue(struct forksrv *s, struct event *e, enum forksrv_event_kind kind, struct forksrv_worker *worker);
void event_drop(struct forksrv *s, struct event *e);
int event_watch(struct forksrv *s, const struct message *m);
void event_done(struct forksrv *s);
