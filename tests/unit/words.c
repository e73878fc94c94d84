/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of a handshake as bytes: those of an honest peer, and those of every dishonest one that the tests know. Nonces are
 * fixed, so that each word is always the same bytes. */
#include "tests/unit/words.h"

#include "protocol/wire.h"
#include "tests/unit/unit.h"

const uint8_t words_key[32] = "0123456789abcdef0123456789abcdef";
static const uint8_t other_key[32] = "0123456789abcdef0123456789abcdeF";

void put_bytes(struct bytes *b, const void *p, size_t n) {
    ck_assert_uint_le(n, sizeof b->data - b->size);
    memcpy(b->data + b->size, p, n);
    b->size += n;
}

static void put_fill(struct bytes *b, int byte, size_t n) {
    ck_assert_uint_le(n, sizeof b->data - b->size);
    memset(b->data + b->size, byte, n);
    b->size += n;
}

/* What follows #CHALLENGE#: the digest's name and n bytes. */
static void put_offer(struct bytes *b, const char *name, int nonce, size_t n) {
    put_bytes(b, name, strlen(name));
    put_fill(b, nonce, n);
}

void put_challenge(struct bytes *b, const char *name, int nonce, size_t n) {
    put_bytes(b, "#CHALLENGE#", 11);
    put_offer(b, name, nonce, n);
}

void put_answer(struct bytes *b, enum mac_digest digest, const uint8_t *with, const char *name, int nonce, size_t n) {
    struct bytes offer = {0};
    uint8_t mac[MAC_MAX];
    put_offer(&offer, name, nonce, n);
    ck_assert_int_eq(mac_compute(digest, with, 32, offer.data, offer.size, mac), 0);
    put_bytes(b, mac_digest_prefix(digest), 8);
    put_bytes(b, mac, mac_digest_size(digest));
}

/* Words that are whole frames: their payload. */
static void put_payload(struct bytes *b, enum word word) {
    switch ((int)word) {
    case OUR_CHALLENGE:
    case REFLECTED:
        return put_challenge(b, "{sha256}", OUR_NONCE, 40);
    case REFLECTED_384:
        return put_challenge(b, "{sha384}", OUR_NONCE, 40);
    case OUR_ANSWER:
        return put_answer(b, MAC_SHA256, words_key, "{sha256}", PEER_NONCE, 40);
    case OUR_ANSWER_384:
        return put_answer(b, MAC_SHA384, words_key, "{sha384}", PEER_NONCE, 40);
    case OUR_ANSWER_20:
        return put_answer(b, MAC_SHA256, words_key, "{sha256}", PEER_NONCE, 20);
    case PEER_CHALLENGE:
        return put_challenge(b, "{sha256}", PEER_NONCE, 40);
    case PEER_CHALLENGE_384:
        return put_challenge(b, "{sha384}", PEER_NONCE, 40);
    case PEER_CHALLENGE_20:
        return put_challenge(b, "{sha256}", PEER_NONCE, 20);
    case PEER_CHALLENGE_19:
        return put_challenge(b, "{sha256}", PEER_NONCE, 19);
    case PEER_CHALLENGE_EMPTY:
        return put_challenge(b, "{sha256}", PEER_NONCE, 0);
    case PEER_CHALLENGE_MD5:
        return put_challenge(b, "{md5}", PEER_NONCE, 40);
    case PEER_CHALLENGE_SHA1:
        return put_challenge(b, "{sha1}", PEER_NONCE, 40);
    case PEER_CHALLENGE_BARE:
        return put_challenge(b, "", PEER_NONCE, 20);
    case PEER_CHALLENGE_CUT:
        return put_bytes(b, "#CHALLENGE", 10);
    case RIGHT:
        return put_answer(b, MAC_SHA256, words_key, "{sha256}", OUR_NONCE, 40);
    case RIGHT_384:
        return put_answer(b, MAC_SHA384, words_key, "{sha256}", OUR_NONCE, 40);
    case WRONG_KEY:
        return put_answer(b, MAC_SHA256, other_key, "{sha256}", OUR_NONCE, 40);
    case WRONG_LAST_BIT:
        put_payload(b, RIGHT);
        b->data[b->size - 1] ^= 1;
        return;
    case WRONG_SHORT:
        put_payload(b, RIGHT);
        b->size--;
        return;
    case WRONG_LONG:
        put_payload(b, RIGHT);
        return put_bytes(b, "", 1);
    case WRONG_NAME:
        put_payload(b, RIGHT);
        memcpy(b->data + b->size - 40, "{sha384}", 8);
        return;
    case REPLAYED:
        return put_answer(b, MAC_SHA256, words_key, "{sha256}", OLD_NONCE, 40);
    case MD5_NAMED:
        return put_offer(b, "{md5}", 'm', 16);
    case MD5_RAW:
        return put_fill(b, 'm', 16);
    case DIGEST_ALONE:
        return put_bytes(b, "{sha256}", 8);
    case WELCOME:
        return put_bytes(b, "#WELCOME#", 9);
    case WELCOME_LONG:
        return put_bytes(b, "#WELCOME#", 10);
    case FAILURE:
        return put_bytes(b, "#FAILURE#", 9);
    case GARBAGE:
        return put_bytes(b, "\0\1\2garbage\xff", 11);
    case FRAME_257:
        return put_fill(b, '#', 257);
    case FRAME_256:
        return put_fill(b, '#', 256);
    case REQUEST:
        return put_bytes(b, "\0\1\0\0\0\0\0\1", 8);
    default:
        return;
    }
}

void put_word(struct bytes *b, enum word word) {
    uint8_t header[4];
    struct bytes payload = {0};
    if (word == NOTHING)
        return;
    if (word == FRAME_NEGATIVE)
        return put_bytes(b, "\x80\0\0\0", 4);
    if (word == FRAME_64_BIT)
        return put_bytes(b, "\xff\xff\xff\xff\0\0\0\0\0\0\0\x28", 12);
    if (word == HALF_FRAME)
        return put_bytes(b, "\0\0\0\x28{sha2", 9);
    put_payload(&payload, word);
    wire_put_u32(header, (uint32_t)payload.size);
    put_bytes(b, header, sizeof header);
    put_bytes(b, payload.data, payload.size);
}
