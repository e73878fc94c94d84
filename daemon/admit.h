/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

struct daemon;
struct session;

/* Whether one more worker may be started, and how much requests may hold that have to wait. Every limit is refused with its name
 * and with when to try again. */

enum { REFUSAL_WHAT = 224, REFUSAL_TEXT = REFUSAL_WHAT + 64 };

struct refusal {
    int error;               /* -EAGAIN or -ESHUTDOWN; 0: none */
    char what[REFUSAL_WHAT]; /* "MaxWorkers=5 is reached" */
    uint64_t again;          /* microseconds until it is worth another try; 0: when a worker has ended */
    bool for_all;            /* nobody else can have one now either */
    bool final;              /* no waiting helps: what waits is too much already */
};

/* What is wrong, and when to try again, for people. Returns `text`. */
const char *refusal_text(const struct refusal *r, char text[REFUSAL_TEXT]);
/* Whether it makes sense to wait. */
bool refusal_may_pass(const struct refusal *r);
/* Fills one in, with -EAGAIN. Returns that. */
int refusal_set(struct refusal *r, const char *what, ...) __attribute__((format(printf, 2, 3)));

/* Whether one more worker may be started for this session; or the refusal's error. */
int admit(const struct session *s, struct refusal *ret_refusal);
/* The same without MaxStartsPerSec=, for one that is there already. */
int admit_place(const struct session *s, struct refusal *ret_refusal);
/* One is: it counts for MaxStartsPerSec=. */
void admit_started(struct daemon *d);
/* How many could be started at once, as far as MaxStartsPerSec= goes. UINT64_MAX: it is not set. */
uint64_t admit_starts_left(struct daemon *d);
/* Once for each request that was refused for good because of a limit: counts and logs it. */
void admit_refused(const struct session *s, const char *text);

/* ---- what requests hold that wait: for their zygote, or for a slot ---- */

/* All that is kept for a request beside its message and its fds. */
enum { LOAD_REQUEST = 4096 };

struct load {
    unsigned requests;
    unsigned fds;
    uint64_t bytes;
};

/* Whether that much more may be held for the session (NULL: for none). -EAGAIN. */
int load_may_add(const struct daemon *d, const struct session *s, const struct load *l, struct refusal *ret_refusal);
void load_add(struct daemon *d, struct session *s, const struct load *l);
void load_remove(struct daemon *d, struct session *s, const struct load *l);
