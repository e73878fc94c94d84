/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mutual HMAC challenge-response, byte-compatible with multiprocessing.connection. Each role is a list of steps: what the next
 * frame must be, and what follows from it. It has no fds, no clock and no random numbers of its own. */
#include "protocol/handshake.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/mac.h"

static const char challenge_word[] = "#CHALLENGE#";
static const char welcome_word[] = "#WELCOME#";
static const char failure_word[] = "#FAILURE#";
enum { CHALLENGE_WORD = sizeof challenge_word - 1 };

/* Our own offer: what follows #CHALLENGE#, and what the MAC covers. */
enum { OFFER_PREFIX = 8, OFFER = OFFER_PREFIX + LIMIT_NONCE };

typedef enum handshake_result handshake_step(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p,
                                             size_t n);

const char *handshake_result_text(enum handshake_result r) {
    switch (r) {
    case HANDSHAKE_MORE:
    case HANDSHAKE_READY:
        return NULL;
    case HANDSHAKE_TOO_LONG:
        return "a frame of the handshake is empty or too long";
    case HANDSHAKE_BAD_CHALLENGE:
        return "the challenge is malformed or too short";
    case HANDSHAKE_WEAK_DIGEST:
        return "the digest is missing, MD5 or unknown (sha256 and sha384 are accepted)";
    case HANDSHAKE_WRONG_MAC:
        return "wrong authkey";
    case HANDSHAKE_REFLECTED:
        return "our own challenge was sent back";
    case HANDSHAKE_REFUSED:
        return "the peer refused: it has another authkey, or no room for us now";
    case HANDSHAKE_NOT_WELCOME:
        return "the peer answered neither welcome nor failure";
    case HANDSHAKE_BROKEN:
        return "the HMAC could not be computed";
    }
    return "unknown";
}

static bool is_word(const uint8_t *p, size_t n, const char *word) {
    return n == strlen(word) && memcmp(p, word, n) == 0;
}

static void say(struct handshake *h, const void *a, size_t a_size, const void *b, size_t b_size) {
    size_t size = FRAME_HEADER + a_size + b_size;
    assert(size <= sizeof h->out - h->out_size);
    uint8_t *to = h->out + h->out_size;
    wire_put_u32(to, (uint32_t)(a_size + b_size));
    memcpy(to + FRAME_HEADER, a, a_size);
    if (b_size > 0)
        memcpy(to + FRAME_HEADER + a_size, b, b_size);
    h->out_size += size;
}

static void say_word(struct handshake *h, const char *word) {
    say(h, word, strlen(word), NULL, 0);
}

static void offer(const struct handshake *h, uint8_t ret_offer[OFFER]) {
    memcpy(ret_offer, mac_digest_prefix(MAC_SHA256), OFFER_PREFIX);
    memcpy(ret_offer + OFFER_PREFIX, h->nonce, sizeof h->nonce);
}

static void say_challenge(struct handshake *h) {
    uint8_t ours[OFFER];
    offer(h, ours);
    say(h, challenge_word, CHALLENGE_WORD, ours, sizeof ours);
}

/* The peer's challenge: answered with the digest that it names. */
static enum handshake_result step_challenge(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p,
                                            size_t n) {
    /* A server that has no room, or no time left, says so instead of a challenge. */
    if (is_word(p, n, failure_word))
        return HANDSHAKE_REFUSED;
    if (n < CHALLENGE_WORD || memcmp(p, challenge_word, CHALLENGE_WORD) != 0)
        return HANDSHAKE_BAD_CHALLENGE;
    p += CHALLENGE_WORD;
    n -= CHALLENGE_WORD;
    enum mac_digest digest;
    size_t prefix;
    if (mac_digest_parse(p, n, &digest, &prefix) < 0)
        return HANDSHAKE_WEAK_DIGEST;
    if (n - prefix < LIMIT_NONCE_MIN)
        return HANDSHAKE_BAD_CHALLENGE;
    /* Whatever the prefix: answering our own random bytes would make us our own proof. */
    if (n - prefix == sizeof h->nonce && memcmp(p + prefix, h->nonce, sizeof h->nonce) == 0)
        return HANDSHAKE_REFLECTED;
    uint8_t mac[MAC_MAX];
    if (mac_compute(digest, key, key_size, p, n, mac) < 0)
        return HANDSHAKE_BROKEN;
    say(h, mac_digest_prefix(digest), prefix, mac, mac_digest_size(digest));
    explicit_bzero(mac, sizeof mac);
    /* A client sends its own challenge together with its answer: one round trip less. */
    if (h->role == HANDSHAKE_CLIENT)
        say_challenge(h);
    return HANDSHAKE_MORE;
}

/* The peer's answer to our challenge. */
static enum handshake_result step_answer(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p, size_t n) {
    enum mac_digest digest;
    size_t prefix;
    if (is_word(p, n, failure_word))
        return HANDSHAKE_REFUSED;
    if (mac_digest_parse(p, n, &digest, &prefix) < 0)
        return HANDSHAKE_WEAK_DIGEST;
    size_t size = mac_digest_size(digest);
    uint8_t ours[OFFER], mac[MAC_MAX];
    offer(h, ours);
    if (mac_compute(digest, key, key_size, ours, sizeof ours, mac) < 0)
        return HANDSHAKE_BROKEN;
    bool right = n - prefix == size && mac_equal(p + prefix, mac, size);
    explicit_bzero(mac, sizeof mac);
    if (!right)
        return HANDSHAKE_WRONG_MAC;
    say_word(h, welcome_word);
    return HANDSHAKE_MORE;
}

/* The peer's word on our answer. */
static enum handshake_result step_word(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p, size_t n) {
    (void)h, (void)key, (void)key_size;
    if (is_word(p, n, welcome_word))
        return HANDSHAKE_MORE;
    if (is_word(p, n, failure_word))
        return HANDSHAKE_REFUSED;
    return HANDSHAKE_NOT_WELCOME;
}

enum { STEPS = 3 };
static handshake_step *const steps[][STEPS] = {
    [HANDSHAKE_SERVER] = {step_answer, step_challenge, step_word},
    [HANDSHAKE_CLIENT] = {step_challenge, step_word, step_answer},
};

void handshake_init(struct handshake *h, enum handshake_role role, const uint8_t nonce[LIMIT_NONCE]) {
    h->role = role;
    h->step = 0;
    h->ended = HANDSHAKE_MORE;
    h->in_size = 0;
    h->out_size = 0;
    memcpy(h->nonce, nonce, LIMIT_NONCE);
    if (role == HANDSHAKE_SERVER)
        say_challenge(h);
}

static enum handshake_result end(struct handshake *h, enum handshake_result r) {
    /* A refusal is the peer's own word: it knows. All else it is to hear from us. */
    if (r != HANDSHAKE_READY && r != HANDSHAKE_REFUSED)
        say_word(h, failure_word);
    h->ended = r;
    return r;
}

/* One whole frame in h->in. */
static enum handshake_result take_frame(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *payload,
                                        size_t size) {
    enum handshake_result r = steps[h->role][h->step](h, key, key_size, payload, size);
    h->in_size = 0;
    if (r != HANDSHAKE_MORE)
        return end(h, r);
    if (++h->step == STEPS)
        return end(h, HANDSHAKE_READY);
    return HANDSHAKE_MORE;
}

enum handshake_result handshake_feed(struct handshake *h, const uint8_t *key, size_t key_size, const uint8_t *p, size_t n,
                                     size_t *ret_used) {
    size_t used = 0;
    while (h->ended == HANDSHAKE_MORE && used < n) {
        const uint8_t *payload;
        size_t want;
        int k = frame_get(h->in, h->in_size, LIMIT_HANDSHAKE_FRAME, &payload, &want);
        assert(k == 0);
        size_t take = want - h->in_size < n - used ? want - h->in_size : n - used;
        memcpy(h->in + h->in_size, p + used, take);
        h->in_size += take;
        used += take;
        k = frame_get(h->in, h->in_size, LIMIT_HANDSHAKE_FRAME, &payload, &want);
        if (k < 0)
            end(h, HANDSHAKE_TOO_LONG);
        else if (k > 0)
            take_frame(h, key, key_size, payload, want - FRAME_HEADER);
    }
    *ret_used = used;
    return h->ended;
}

bool handshake_peer_proved(const struct handshake *h) {
    return h->role == HANDSHAKE_SERVER ? h->step > 0 : h->ended == HANDSHAKE_READY;
}

void handshake_done(struct handshake *h) {
    explicit_bzero(h, sizeof *h);
}
