/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/mac.h"

/* Everything that can be said in a handshake, right or wrong, by name. */

extern const uint8_t words_key[32];

enum { OUR_NONCE = 'o', PEER_NONCE = 'p', OLD_NONCE = 'x' };

/* What a peer, or we, can say. */
enum word {
    NOTHING,
    OUR_CHALLENGE,
    OUR_ANSWER,     /* to PEER_CHALLENGE */
    OUR_ANSWER_384, /* to PEER_CHALLENGE_384 */
    OUR_ANSWER_20,  /* to PEER_CHALLENGE_20 */
    PEER_CHALLENGE,
    PEER_CHALLENGE_384,
    PEER_CHALLENGE_20,    /* the shortest that is answered */
    PEER_CHALLENGE_19,    /* one byte less */
    PEER_CHALLENGE_EMPTY, /* a digest and no random bytes */
    PEER_CHALLENGE_MD5,
    PEER_CHALLENGE_SHA1,
    PEER_CHALLENGE_BARE, /* CPython 3.11: 20 random bytes, no digest */
    PEER_CHALLENGE_CUT,  /* less than the word */
    REFLECTED,           /* our own challenge */
    REFLECTED_384,       /* our own random bytes under another digest */
    RIGHT,               /* the right answer to our challenge */
    RIGHT_384,           /* the same with another digest */
    WRONG_KEY,           /* an answer with another key */
    WRONG_LAST_BIT,      /* the right answer but for one bit */
    WRONG_SHORT,         /* the right answer without its last byte */
    WRONG_LONG,          /* the right answer and one byte more */
    WRONG_NAME,          /* a SHA-256 under the name of SHA-384 */
    REPLAYED,            /* a right answer to another challenge */
    MD5_NAMED,           /* {md5} and 16 bytes */
    MD5_RAW,             /* 16 bytes: what CPython 3.11 sends */
    DIGEST_ALONE,        /* {sha256} and nothing */
    WELCOME,
    WELCOME_LONG, /* and one byte */
    FAILURE,
    GARBAGE,
    FRAME_EMPTY,
    FRAME_257,
    FRAME_256, /* garbage, of a permitted length */
    FRAME_NEGATIVE,
    FRAME_64_BIT,
    HALF_FRAME,
    REQUEST, /* what may come after the handshake */
};

struct bytes {
    size_t size;
    uint8_t data[2048];
};

void put_bytes(struct bytes *b, const void *p, size_t n);
void put_challenge(struct bytes *b, const char *name, int nonce, size_t n);
void put_answer(struct bytes *b, enum mac_digest digest, const uint8_t *with, const char *name, int nonce, size_t n);
/* A whole frame, except for those that are none. */
void put_word(struct bytes *b, enum word word);
