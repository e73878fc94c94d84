/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/fds.h"
#include "protocol/message.h"
#include "protocol/wire.h"

/* A server for tests of the client: it speaks the protocol properly, and does on a session what the test's script says. */

struct fake {
    char folder[64];
    char address[80];
    uint8_t key[LIMIT_AUTHKEY];
    pid_t pid;
    int session; /* in the script: the authenticated connection */
    struct wire_buf in;
    struct fd_queue fds;
    size_t frame; /* size of the frame that the last message points into */
};

typedef void fake_script(struct fake *f);

/* Listens, and runs the script in a process of its own for the first connection, after the handshake. */
void fake_start(struct fake *f, fake_script *script);
/* The same with a key that starts with this byte. */
void fake_start_with(struct fake *f, fake_script *script, uint8_t first);
/* The same without a handshake: the script has the bare connection. */
void fake_start_raw(struct fake *f, fake_script *script);
/* The same with a listener made by another user. Only for root. */
void fake_start_as(struct fake *f, fake_script *script, uid_t uid);
/* Ends the server and removes its socket. The script must have ended well. */
void fake_stop(struct fake *f);

/* ---- in the script; every failure ends it with a message ---- */

/* The next message; valid until the next call. False at the end of the stream. */
bool fake_read(struct fake *f, struct message *ret_message);
/* The same, and it must be this one. */
void fake_expect(struct fake *f, enum message_type type, struct message *ret_message);
/* Sends what is in the buffer, with fds, and empties it. */
void fake_write(struct fake *f, struct wire_buf *out, const int *fds, unsigned n_fds);
/* Single messages. */
void fake_started(struct fake *f, uint32_t serial, uint64_t worker, pid_t pid, int pidfd);
void fake_exited(struct fake *f, uint32_t serial, uint64_t worker, uint32_t code);
void fake_failed(struct fake *f, uint32_t serial, uint32_t stage, uint32_t error, const char *text);
void fake_error(struct fake *f, uint32_t serial, uint32_t error, const char *text);
void fake_done(struct fake *f, uint32_t serial);

#define fake_check(condition) fake_check_(condition, #condition, __FILE__, __LINE__)
void fake_check_(bool condition, const char *text, const char *file, int line);
