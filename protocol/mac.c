/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names that digests have on the wire. Two digests, no negotiation of weaker ones. The HMAC itself is in mac-gnutls.c and
 * mac-nettle.c. */
#include "protocol/mac.h"

#include <errno.h>
#include <string.h>

static const struct {
    const char *prefix;
    size_t size;
} digests[] = {
    [MAC_SHA256] = {"{sha256}", 32},
    [MAC_SHA384] = {"{sha384}", 48},
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
