/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

/* A terminal for a worker, and what moves between it and the caller's standard files. */
struct pty;

/* owner: whose it shall be, or NULL: the caller's. 0, or a negative errno after it said what is wrong. */
int pty_new(const char *owner, struct pty **ret_pty);
/* Its other end, which the worker gets. Borrowed. */
int pty_slave(const struct pty *p);
/* Hangs it up, if somebody still has it. NULL is fine. The caller's terminal is as it was. */
void pty_free(struct pty *p);
static inline void drop_pty(struct pty **p) {
    pty_free(*p);
}
#define owned_pty __attribute__((cleanup(drop_pty))) struct pty *

/* What to wait for: fills the list and returns poll's timeout. worker: its pid once it runs, otherwise 0: until then the caller's
 * terminal is left alone. */
enum { PTY_POLLED = 3 };
int pty_prepare(struct pty *p, pid_t worker, struct pollfd ret_polled[PTY_POLLED]);
/* Moves what can be moved. */
void pty_move(struct pty *p, const struct pollfd polled[PTY_POLLED]);

/* The caller's terminal has another size, maybe. */
void pty_resize(struct pty *p);
/* Whether the key that suspends was typed and nothing in the worker's session can do it, or has done it to itself. True once. */
bool pty_wants_stop(struct pty *p);
/* This process goes on after it was stopped. */
void pty_resume(struct pty *p);
/* Stops this process, its whole process group if `group`, with the caller's terminal as it was. Returns when it goes on. */
void pty_stop(struct pty *p, bool group);

/* After the worker's end: takes what it has left and gives it away. True once all of that is done; false: to be called
 * again when pty_output_fd() is writable. */
bool pty_finish(struct pty *p);
int pty_output_fd(const struct pty *p);
/* Why output was lost, a negative errno; -EPIPE: its reader was gone. 0: it was not. */
int pty_error(const struct pty *p);
