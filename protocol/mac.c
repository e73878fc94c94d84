/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HMAC by GnuTLS, and the names that digests have on the wire. Two digests, no negotiation of weaker ones. */
#include "protocol/mac.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

static const struct {
    const char *prefix;
    gnutls_mac_algorithm_t algorithm;
    size_t size;
} digests[] = {
    [MAC_SHA256] = {"{sha256}", GNUTLS_MAC_SHA256, 32},
    [MAC_SHA384] = {"{sha384}", GNUTLS_MAC_SHA384, 48},
};

int mac_digest_parse(const uint8_t *p, size_t n, enum mac_digest *ret_digest, size_t *ret_prefix) {
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        size_t len = strlen(digests[i].prefix);
        if (n < len || memcmp(p, digests[i].prefix, len) != 0)
            continue;
        *ret_digest = (enum mac_digest)i;
        *ret_prefix = len;
        return 0;
    }
    return -ENOTSUP;
}

const char *mac_digest_prefix(enum mac_digest digest) {
    return digests[digest].prefix;
}

size_t mac_digest_size(enum mac_digest digest) {
    return digests[digest].size;
}

int mac_compute(enum mac_digest digest, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *ret_mac) {
    if (gnutls_hmac_fast(digests[digest].algorithm, key, key_size, data, size, ret_mac) < 0)
        return -EIO;
    return 0;
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    return gnutls_memcmp(a, b, n) == 0;
}
