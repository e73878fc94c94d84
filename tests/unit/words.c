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

static const struct {
    enum word word;
    const char *name;
    int nonce;
    size_t size;
} challenges[] = {
    {OUR_CHALLENGE, "{sha256}", OUR_NONCE, 40},       {REFLECTED, "{sha256}", OUR_NONCE, 40},
    {REFLECTED_384, "{sha384}", OUR_NONCE, 40},       {PEER_CHALLENGE, "{sha256}", PEER_NONCE, 40},
    {PEER_CHALLENGE_384, "{sha384}", PEER_NONCE, 40}, {PEER_CHALLENGE_20, "{sha256}", PEER_NONCE, 20},
    {PEER_CHALLENGE_19, "{sha256}", PEER_NONCE, 19},  {PEER_CHALLENGE_EMPTY, "{sha256}", PEER_NONCE, 0},
    {PEER_CHALLENGE_MD5, "{md5}", PEER_NONCE, 40},    {PEER_CHALLENGE_SHA1, "{sha1}", PEER_NONCE, 40},
    {PEER_CHALLENGE_BARE, "", PEER_NONCE, 20},
};

/* An answer covers the digest's name of the challenge, and names its own. */
static const struct {
    enum word word;
    enum mac_digest digest;
    const uint8_t *with;
    const char *name;
    int nonce;
    size_t size;
} answers[] = {
    {OUR_ANSWER, MAC_SHA256, words_key, "{sha256}", PEER_NONCE, 40},
    {OUR_ANSWER_384, MAC_SHA384, words_key, "{sha384}", PEER_NONCE, 40},
    {OUR_ANSWER_20, MAC_SHA256, words_key, "{sha256}", PEER_NONCE, 20},
    {RIGHT, MAC_SHA256, words_key, "{sha256}", OUR_NONCE, 40},
    {RIGHT_384, MAC_SHA384, words_key, "{sha256}", OUR_NONCE, 40},
    {WRONG_KEY, MAC_SHA256, other_key, "{sha256}", OUR_NONCE, 40},
    {REPLAYED, MAC_SHA256, words_key, "{sha256}", OLD_NONCE, 40},
};

#define LITERAL(word, bytes)                                                                                                     \
    { word, bytes, sizeof bytes - 1 }
static const struct {
    enum word word;
    const char *bytes;
    size_t size;
} literals[] = {
    LITERAL(PEER_CHALLENGE_CUT, "#CHALLENGE"),
    LITERAL(MD5_NAMED, "{md5}mmmmmmmmmmmmmmmm"),
    LITERAL(MD5_RAW, "mmmmmmmmmmmmmmmm"),
    LITERAL(DIGEST_ALONE, "{sha256}"),
    LITERAL(WELCOME, "#WELCOME#"),
    LITERAL(WELCOME_LONG, "#WELCOME#\0"),
    LITERAL(FAILURE, "#FAILURE#"),
    LITERAL(GARBAGE, "\0\1\2garbage\xff"),
    LITERAL(REQUEST, "\0\1\0\0\0\0\0\1"),
    LITERAL(FRAME_EMPTY, ""),
};

/* The right answer with something wrong in it. */
static void put_spoilt(struct bytes *b, enum word word) {
    put_answer(b, MAC_SHA256, words_key, "{sha256}", OUR_NONCE, 40);
    if (word == WRONG_LAST_BIT)
        b->data[b->size - 1] ^= 1;
    else if (word == WRONG_SHORT)
        b->size--;
    else if (word == WRONG_LONG)
        put_bytes(b, "", 1);
    else if (word == WRONG_NAME)
        memcpy(b->data + b->size - 40, "{sha384}", 8);
    else
        ck_abort_msg("word %d has no bytes", (int)word);
}

/* Words that are whole frames: their payload. */
static void put_payload(struct bytes *b, enum word word) {
    for (size_t i = 0; i < sizeof challenges / sizeof challenges[0]; i++)
        if (challenges[i].word == word)
            return put_challenge(b, challenges[i].name, challenges[i].nonce, challenges[i].size);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (answers[i].word == word)
            return put_answer(b, answers[i].digest, answers[i].with, answers[i].name, answers[i].nonce, answers[i].size);
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++)
        if (literals[i].word == word)
            return put_bytes(b, literals[i].bytes, literals[i].size);
    if (word == FRAME_256 || word == FRAME_257)
        return put_fill(b, '#', word == FRAME_257 ? 257 : 256);
    put_spoilt(b, word);
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
