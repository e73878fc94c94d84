/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HMAC by nettle, the library that GnuTLS itself computes with: for libforksrv, whose short-lived programs would spend more time
 * on loading GnuTLS and what it brings than on all the rest of a request. */
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#include "protocol/mac.h"

int mac_compute(enum mac_digest digest, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *ret_mac) {
    union {
        struct hmac_sha256_ctx sha256;
        struct hmac_sha384_ctx sha384;
    } c;
    if (digest == MAC_SHA384) {
        hmac_sha384_set_key(&c.sha384, key_size, key);
        hmac_sha384_update(&c.sha384, size, data);
        hmac_sha384_digest(&c.sha384, SHA384_DIGEST_SIZE, ret_mac);
    } else {
        hmac_sha256_set_key(&c.sha256, key_size, key);
        hmac_sha256_update(&c.sha256, size, data);
        hmac_sha256_digest(&c.sha256, SHA256_DIGEST_SIZE, ret_mac);
    }
    explicit_bzero(&c, sizeof c);
    return 0;
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    return memeql_sec(a, b, n);
}
