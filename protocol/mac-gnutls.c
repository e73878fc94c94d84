/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HMAC by GnuTLS: for the daemon, which loads it once. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "protocol/mac.h"

int mac_compute(enum mac_digest digest, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *ret_mac) {
    gnutls_mac_algorithm_t algorithm = digest == MAC_SHA384 ? GNUTLS_MAC_SHA384 : GNUTLS_MAC_SHA256;
    return gnutls_hmac_fast(algorithm, key, key_size, data, size, ret_mac) < 0 ? -EIO : 0;
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n) {
    return gnutls_memcmp(a, b, n) == 0;
}
