/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake in both roles, with a fixed key and fixed random bytes, so that a seed can hold right answers. Bit 0 of the first
 * byte chooses the role, the next ones how the rest is cut: however a stream is cut, the conversation has to be the same. With
 * bit 7 both roles talk to each other, and the rest is what somebody between them does. Whatever happened, each of them has said
 * what a second HMAC says that it must, and nothing else. */
#include <string.h>

#include "protocol/frame.h"
#include "protocol/handshake.h"
#include "protocol/mac.h"
#include "tests/fuzz/fuzz.h"

/* protocol/mac-nettle.c under other names: the machines are linked with GnuTLS, and the two have to agree. */
int nettle_mac_compute(enum mac_digest digest, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size,
                       uint8_t *ret_mac);
bool nettle_mac_equal(const uint8_t *a, const uint8_t *b, size_t n);

enum { BETWEEN = 0x80, PREFIX = 8, WORD = 11, FRAMES = 4, STREAM = FRAMES * (FRAME_HEADER + LIMIT_HANDSHAKE_FRAME) };

static const uint8_t key[LIMIT_AUTHKEY] = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

struct side {
    struct handshake h;
    size_t sent; /* bytes of its `out` that are on their way, or were taken away */
    size_t took;
    uint8_t stream[STREAM]; /* all that it took */
};

/* ---- what has to be said ---- */

struct text {
    size_t size;
    uint8_t bytes[HANDSHAKE_OUT];
};

static void put_frame(struct text *t, const void *a, size_t a_size, const void *b, size_t b_size) {
    wire_put_u32(t->bytes + t->size, (uint32_t)(a_size + b_size));
    memcpy(t->bytes + t->size + FRAME_HEADER, a, a_size);
    memcpy(t->bytes + t->size + FRAME_HEADER + a_size, b, b_size);
    t->size += FRAME_HEADER + a_size + b_size;
}

static void put_challenge(struct text *t, const struct handshake *h) {
    put_frame(t, "#CHALLENGE#{sha256}", WORD + PREFIX, h->nonce, LIMIT_NONCE);
}

static void put_answer(struct text *t, enum mac_digest digest, const uint8_t *to, size_t size) {
    uint8_t mac[MAC_MAX];
    HOLDS(nettle_mac_compute(digest, key, sizeof key, to, size, mac) == 0);
    put_frame(t, digest == MAC_SHA384 ? "{sha384}" : "{sha256}", PREFIX, mac, digest == MAC_SHA384 ? 48 : 32);
}

/* The frame of that number among those that it took. */
static bool find_frame(const struct side *s, unsigned number, const uint8_t **ret_payload, size_t *ret_size) {
    const uint8_t *p = s->stream, *payload;
    size_t left = s->took, size;
    while (frame_get(p, left, LIMIT_HANDSHAKE_FRAME, &payload, &size) == 1) {
        if (number-- == 0) {
            *ret_payload = payload;
            *ret_size = size - FRAME_HEADER;
            return true;
        }
        p += size;
        left -= size;
    }
    return false;
}

/* Whether the frame of that number is an answer that only who knows the key can give. */
static bool is_proof(const struct side *s, unsigned number) {
    const uint8_t *payload;
    size_t size;
    uint8_t ours[PREFIX + LIMIT_NONCE] = "{sha256}";
    memcpy(ours + PREFIX, s->h.nonce, LIMIT_NONCE);
    if (!find_frame(s, number, &payload, &size))
        return false;
    for (enum mac_digest digest = MAC_SHA256; digest <= MAC_SHA384; digest++) {
        struct text right = {0};
        put_answer(&right, digest, ours, sizeof ours);
        if (size == right.size - FRAME_HEADER && nettle_mac_equal(payload, right.bytes + FRAME_HEADER, size))
            return true;
    }
    return false;
}

/* The frame of that number was taken for a challenge that can be answered. */
static void put_answer_to(struct text *t, const struct side *s, unsigned number) {
    const uint8_t *p;
    size_t size;
    HOLDS(find_frame(s, number, &p, &size) && size >= WORD + PREFIX + LIMIT_NONCE_MIN);
    HOLDS(memcmp(p, "#CHALLENGE#{sha", WORD + 4) == 0);
    HOLDS(size != WORD + PREFIX + LIMIT_NONCE || memcmp(p + WORD + PREFIX, s->h.nonce, LIMIT_NONCE) != 0);
    put_answer(t, p[WORD + 4] == '3' ? MAC_SHA384 : MAC_SHA256, p + WORD, size - WORD);
}

static void put_all(struct text *t, const struct side *s) {
    if (s->h.role == HANDSHAKE_SERVER) {
        put_challenge(t, &s->h);
        if (s->h.step > 0)
            put_frame(t, "#WELCOME#", 9, "", 0);
        if (s->h.step > 1)
            put_answer_to(t, s, 1);
    } else if (s->h.step > 0) {
        put_answer_to(t, s, 0);
        put_challenge(t, &s->h);
        if (s->h.step > 2)
            put_frame(t, "#WELCOME#", 9, "", 0);
    }
    if (s->h.ended > HANDSHAKE_READY && s->h.ended != HANDSHAKE_REFUSED)
        put_frame(t, "#FAILURE#", 9, "", 0);
}

static void check(const struct side *s) {
    struct text right = {0};
    bool proof = is_proof(s, s->h.role == HANDSHAKE_SERVER ? 0 : 2);
    HOLDS(handshake_peer_proved(&s->h) == proof);
    HOLDS(proof || s->h.ended != HANDSHAKE_READY);
    HOLDS((handshake_result_text(s->h.ended) == NULL) == (s->h.ended <= HANDSHAKE_READY));
    put_all(&right, s);
    HOLDS(s->h.out_size == right.size && memcmp(s->h.out, right.bytes, right.size) == 0);
}

/* ---- talking ---- */

static void begin(struct side *s, enum handshake_role role) {
    uint8_t nonce[LIMIT_NONCE];
    memset(nonce, role == HANDSHAKE_SERVER ? 's' : 'c', sizeof nonce);
    handshake_init(&s->h, role, nonce);
    s->took = s->sent = 0;
}

static void feed(struct side *s, const uint8_t *p, size_t n) {
    size_t used;
    if (n == 0)
        return;
    /* A copy of exactly these bytes: a sanitizer then sees every read behind them. */
    uint8_t *piece = malloc(n);
    HOLDS(piece != NULL);
    memcpy(piece, p, n);
    enum handshake_result r = handshake_feed(&s->h, key, sizeof key, piece, n, &used);
    free(piece);
    HOLDS(used <= n && r == s->h.ended && s->took + used <= STREAM);
    HOLDS(used == n || r != HANDSHAKE_MORE);
    memcpy(s->stream + s->took, p, used);
    s->took += used;
}

static void finish(struct side *s) {
    static const struct handshake nothing;
    size_t used;
    check(s);
    if (s->h.ended != HANDSHAKE_MORE)
        HOLDS(handshake_feed(&s->h, key, sizeof key, key, sizeof key, &used) == s->h.ended && used == 0);
    handshake_done(&s->h);
    /* Every byte of it. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    HOLDS(memcmp(&s->h, &nothing, sizeof nothing) == 0);
}

static void stream(enum handshake_role role, const uint8_t *p, size_t n, size_t step) {
    static struct side whole, cut;
    begin(&whole, role);
    feed(&whole, p, n);
    begin(&cut, role);
    for (size_t at = 0; at < n && cut.h.ended == HANDSHAKE_MORE; at += step)
        feed(&cut, p + at, n - at < step ? n - at : step);
    HOLDS(whole.h.ended == cut.h.ended && whole.took == cut.took && whole.h.out_size == cut.h.out_size);
    HOLDS(memcmp(whole.h.out, cut.h.out, whole.h.out_size) == 0);
    finish(&whole);
    finish(&cut);
}

/* ---- somebody between them ---- */

/* The next n bytes from one to the other; `mask` is what becomes of the first of them. */
static bool hand_on(struct side *from, struct side *to, size_t n, uint8_t mask) {
    uint8_t bytes[HANDSHAKE_OUT];
    size_t left = from->h.out_size - from->sent;
    n = n < left ? n : left;
    if (n == 0)
        return false;
    memcpy(bytes, from->h.out + from->sent, n);
    bytes[0] ^= mask;
    from->sent += n;
    feed(to, bytes, n);
    return true;
}

static void between(const uint8_t *p, size_t n) {
    static struct side server, client;
    bool honest = true;
    begin(&server, HANDSHAKE_SERVER);
    begin(&client, HANDSHAKE_CLIENT);
    for (; n >= 2; p += 2, n -= 2) {
        struct side *from = p[0] & 1 ? &client : &server, *to = p[0] & 1 ? &server : &client;
        size_t left = from->h.out_size - from->sent, more = n - 2 < p[1] ? n - 2 : p[1];
        switch (p[0] >> 1 & 3) {
        case 0: /* on their way, at most so many */
            hand_on(from, to, p[1], 0);
            break;
        case 1: /* one of them another one */
            honest &= !hand_on(from, to, 1, p[1]) || p[1] == 0;
            break;
        case 2: /* gone */
            honest &= left == 0 || p[1] == 0;
            from->sent += left < p[1] ? left : p[1];
            break;
        default: /* more of them */
            honest &= more == 0;
            feed(to, p + 2, more);
            p += more;
            n -= more;
        }
    }
    while (hand_on(&server, &client, SIZE_MAX, 0) || hand_on(&client, &server, SIZE_MAX, 0)) {
    }
    HOLDS(!honest || (server.h.ended == HANDSHAKE_READY && client.h.ended == HANDSHAKE_READY));
    finish(&server);
    finish(&client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    if (data[0] & BETWEEN)
        between(data + 1, size - 1);
    else
        stream(data[0] & 1 ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER, data + 1, size - 1, 1 + data[0] / 2);
    return 0;
}
