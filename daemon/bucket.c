/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token bucket: numbers only. It has no clock, and does not know what its tokens are for. */
#include "daemon/bucket.h"

enum { TOKEN = 1000000 };

void bucket_refill(struct bucket *b, uint64_t now, uint64_t rate) {
    uint64_t passed = now > b->time ? now - b->time : 0;
    b->time = now;
    /* As a quotient first: a product of years and a high rate is more than 64 bits have. */
    b->missing = passed > b->missing / rate ? 0 : b->missing - passed * rate;
}

/* The burst may have been more when the tokens were taken. */
static uint64_t left(const struct bucket *b, uint64_t burst) {
    return b->missing < burst * TOKEN ? burst * TOKEN - b->missing : 0;
}

uint64_t bucket_left(const struct bucket *b, uint64_t burst) {
    return left(b, burst) / TOKEN;
}

bool bucket_take(struct bucket *b, uint64_t burst) {
    if (left(b, burst) < TOKEN)
        return false;
    b->missing += TOKEN;
    return true;
}

void bucket_empty(struct bucket *b, uint64_t burst) {
    b->missing = burst * TOKEN;
}

uint64_t bucket_wait(const struct bucket *b, uint64_t rate, uint64_t burst) {
    uint64_t most = (burst - 1) * TOKEN;
    return b->missing <= most ? 0 : (b->missing - most + rate - 1) / rate;
}
