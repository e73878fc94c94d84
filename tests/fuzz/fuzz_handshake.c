/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handshake in both roles, with a fixed key and fixed random bytes, so that a seed can hold right answers. The first byte of
 * the input chooses the role and how the rest is cut. However a stream is cut, the conversation has to be the same. */
#include <string.h>

#include "protocol/handshake.h"
#include "tests/fuzz/fuzz.h"

struct outcome {
    enum handshake_result result;
    size_t used;
    size_t out_size;
    uint8_t out[HANDSHAKE_OUT];
};

static void converse(enum handshake_role role, const uint8_t *p, size_t n, size_t step, struct outcome *ret) {
    uint8_t key[32], nonce[LIMIT_NONCE];
    memset(key, 'k', sizeof key);
    memset(nonce, role == HANDSHAKE_SERVER ? 's' : 'c', sizeof nonce);
    struct handshake h;
    handshake_init(&h, role, nonce);
    *ret = (struct outcome){0};
    while (ret->used < n && ret->result == HANDSHAKE_MORE) {
        size_t used, most = n - ret->used < step ? n - ret->used : step;
        /* A copy of exactly these bytes: a sanitizer then sees every read behind them. */
        uint8_t *piece = malloc(most);
        memcpy(piece, p + ret->used, most);
        ret->result = handshake_feed(&h, key, sizeof key, piece, most, &used);
        free(piece);
        HOLDS(used <= most);
        HOLDS(used == most || ret->result != HANDSHAKE_MORE);
        ret->used += used;
    }
    HOLDS(h.out_size <= sizeof h.out);
    memcpy(ret->out, h.out, h.out_size);
    ret->out_size = h.out_size;
    handshake_done(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    enum handshake_role role = data[0] & 1 ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER;
    static struct outcome whole, cut;
    converse(role, data + 1, size - 1, size, &whole);
    converse(role, data + 1, size - 1, 1 + data[0] / 2, &cut);
    HOLDS(whole.result == cut.result && whole.used == cut.used && whole.out_size == cut.out_size);
    HOLDS(memcmp(whole.out, cut.out, whole.out_size) == 0);
    return 0;
}
