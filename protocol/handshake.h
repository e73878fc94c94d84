/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/limits.h"

/* The mutual challenge-response of CPython's multiprocessing (3.12 and later), both roles, as a machine without I/O: bytes in,
 * bytes out. The server speaks first. Whoever drives it sends what is in `out` whenever out_size is not 0, and sets it to 0.
 *
 * The server answers no challenge before the peer's own answer was verified: otherwise a stranger could have the
 * challenge of one connection answered on a second one. */

enum handshake_role { HANDSHAKE_SERVER, HANDSHAKE_CLIENT };

enum handshake_result {
    HANDSHAKE_MORE = 0, /* go on: send out, read more */
    HANDSHAKE_READY,    /* both sides have proved themselves */

    /* The rest are failures. The machine has put #FAILURE# in `out` wherever the peer is to hear of it. */
    HANDSHAKE_TOO_LONG,      /* a frame over 256 bytes, an empty one, or a negative length */
    HANDSHAKE_BAD_CHALLENGE, /* not a challenge, or too short a one */
    HANDSHAKE_WEAK_DIGEST,   /* MD5, the form without a prefix, or a digest that we do not know */
    HANDSHAKE_WRONG_MAC,     /* the peer does not know the key */
    HANDSHAKE_REFLECTED,     /* our own challenge came back */
    HANDSHAKE_REFUSED,       /* the peer says #FAILURE#: it does not accept our answer, or nobody at all now */
    HANDSHAKE_NOT_WELCOME,   /* neither #WELCOME# nor #FAILURE# where one of them was due */
    HANDSHAKE_BROKEN,        /* the MAC could not be computed */
};

/* For people, in a few words; NULL for MORE and READY. Tells nothing secret. */
const char *handshake_result_text(enum handshake_result r);

enum { HANDSHAKE_OUT = 4 * (4 + LIMIT_HANDSHAKE_FRAME) };

struct handshake {
    enum handshake_role role;
    unsigned step;               /* index into the role's list of what comes next */
    enum handshake_result ended; /* MORE until it ended */
    uint8_t nonce[LIMIT_NONCE];  /* ours; serves once */
    size_t in_size;
    size_t out_size;
    uint8_t in[4 + LIMIT_HANDSHAKE_FRAME];
    uint8_t out[HANDSHAKE_OUT];
};

/* nonce: 40 fresh random bytes. A server has its challenge in `out` after this. */
void handshake_init(struct handshake *h, enum handshake_role role, const uint8_t nonce[LIMIT_NONCE]);

/* Takes bytes until the machine has ended, and tells how many it took: what comes after them is not its own. */
enum handshake_result handshake_feed(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p, size_t n,
                                     size_t *ret_used);

/* For a server: whether the peer has proved that it knows the key. What it sends from then on is an authenticated peer's. */
bool handshake_peer_proved(const struct handshake *h);

/* Erases what it held. */
void handshake_done(struct handshake *h);
