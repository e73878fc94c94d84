/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#pragma GCC visibility push(default)
#include "zygote/forksrv-zygote.h"
#pragma GCC visibility pop

#include "common/cleanup.h"
#include "common/fds.h"
#include "protocol/limits.h"
#include "protocol/message.h"

/* What is inside of a zygote, shared by the files of the library and by nobody else. */

enum { ZYGOTE_SOCKET = 3, ZYGOTE_SPARES = 256 };

struct forksrv_zygote {
    int sock;                      /* owned */
    int signals;                   /* owned: signalfd of SIGCHLD; -1 */
    int taken[2];                  /* owned: a pipe in which a spare says its pid once it has work */
    char *name, *module, *preload; /* owned; preload: words, each ends with a newline turned into NUL */
    size_t preload_size;
    bool tolerant; /* OnPreloadError=warn */
    char *trouble; /* owned, or NULL */
    unsigned spares;
    uint64_t refill; /* microseconds */
    uint64_t refill_at;
    uint64_t taken_count; /* spares that got work */
    unsigned n_waiting;
    pid_t waiting[ZYGOTE_SPARES]; /* spares without work */
    uint64_t old_mask;
};

/* One request, in the child. The message points into `bytes`. */
struct work {
    struct message message;
    uint8_t *bytes; /* owned */
    size_t size;
    struct fd_queue fds;
    bool was_spare;
};

/* speak.c: whole messages. 0, or a negative errno. */
int speak_ready(const struct forksrv_zygote *z, const char *software);
int speak_unready(const struct forksrv_zygote *z, const char *text);
int speak_forked(int sock, const struct work *w, int pidfd);
void speak_unforked(int sock, uint32_t serial, enum stage stage, int error, const char *text);
int speak_ended(const struct forksrv_zygote *z, pid_t pid, enum end_kind kind, int value, const uint64_t usage[RUSAGE_FIELDS]);
int speak_spares(const struct forksrv_zygote *z);

/* hear.c */
/* The next request: blocks. 1; 0: the server is done with us; or a negative errno. */
int hear(int sock, bool wait, struct work *ret_work);
/* The rest of one that did not fit, in the child. */
int hear_large(struct work *w);
void work_done(struct work *w);

/* apply.c: in the child: becomes what the request asks for, and says so. Does not return on failure. ret_argv: owned by nobody.
 */
void apply(struct forksrv_zygote *z, struct work *w, int *ret_argc, char ***ret_argv);

/* check.c: what makes a fork unsafe, in words; "" if nothing. */
void check_fork_safety(char *ret_text, size_t size);
