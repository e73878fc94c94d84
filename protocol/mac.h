/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The digests that a peer may name, and HMAC with them. MD5 is not among them and never will be. */

enum mac_digest { MAC_SHA256, MAC_SHA384 };

enum { MAC_MAX = 48 };

/* "{sha256}..." → which digest, and how long the prefix is. -ENOTSUP: none of ours. */
int mac_digest_parse(const uint8_t *p, size_t n, enum mac_digest *ret_digest, size_t *ret_prefix);
const char *mac_digest_prefix(enum mac_digest digest); /* "{sha256}" */
size_t mac_digest_size(enum mac_digest digest);

/* ret_mac has room for MAC_MAX bytes. -EIO: the library that computes it failed. Two files have it, for those who link one of
 * them. */
int mac_compute(enum mac_digest digest, const uint8_t *key, size_t key_size, const uint8_t *data, size_t size, uint8_t *ret_mac);

/* In constant time. */
bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n);
