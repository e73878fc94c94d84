/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HMAC against the vectors of RFC 4231, the names of digests on the wire, and comparison. */
#include "protocol/mac.h"

#include <errno.h>

#include "tests/unit/unit.h"

static const struct {
    const char *key, *data; /* hexadecimal */
    const char *sha256, *sha384;
} vectors[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
     "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
     "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
     "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
     "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb"},
};

/* Test cases 6 and 7: a key that is longer than a block. */
static const struct {
    const char *data, *sha256, *sha384;
} long_key[] = {
    {"Test Using Larger Than Block-Size Key - Hash Key First", "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
     "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952"},
    {"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before "
     "being used by the HMAC algorithm.",
     "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
     "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e"},
};

static void check_mac(enum mac_digest digest, const uint8_t *key, size_t key_size, const void *data, size_t size,
                      const char *expected) {
    uint8_t want[MAC_MAX], got[MAC_MAX + 1] = {0};
    size_t n = unhex(expected, want, sizeof want);
    ck_assert_uint_eq(n, mac_digest_size(digest));
    got[n] = 0xee;
    ck_assert_int_eq(mac_compute(digest, key, key_size, data, size, got), 0);
    ck_assert_mem_eq(got, want, n);
    ck_assert_uint_eq(got[n], 0xee);
}

START_TEST(rfc_4231) {
    uint8_t key[64], data[256];
    size_t key_size = unhex(vectors[_i].key, key, sizeof key);
    size_t size = unhex(vectors[_i].data, data, sizeof data);
    check_mac(MAC_SHA256, key, key_size, data, size, vectors[_i].sha256);
    check_mac(MAC_SHA384, key, key_size, data, size, vectors[_i].sha384);
}
END_TEST

START_TEST(rfc_4231_long_key) {
    uint8_t key[131];
    memset(key, 0xaa, sizeof key);
    const char *data = long_key[_i].data;
    check_mac(MAC_SHA256, key, sizeof key, data, strlen(data), long_key[_i].sha256);
    check_mac(MAC_SHA384, key, sizeof key, data, strlen(data), long_key[_i].sha384);
}
END_TEST

START_TEST(names) {
    static const struct {
        const char *text;
        int result;
        enum mac_digest digest;
    } cases[] = {
        {"{sha256}", 0, MAC_SHA256},
        {"{sha256}x", 0, MAC_SHA256},
        {"{sha384}", 0, MAC_SHA384},
        {"{md5}0123456789", -ENOTSUP, 0},
        {"{SHA256}", -ENOTSUP, 0},
        {"{sha1}0123", -ENOTSUP, 0},
        {"{sha512}0123", -ENOTSUP, 0},
        {"{sha3_256}0123", -ENOTSUP, 0},
        {"sha256}", -ENOTSUP, 0},
        {" {sha256}", -ENOTSUP, 0},
        {"{sha256 }", -ENOTSUP, 0},
        {"", -ENOTSUP, 0},
        {"{", -ENOTSUP, 0},
        {"{}", -ENOTSUP, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum mac_digest digest = 77;
        size_t prefix = 77;
        const char *text = cases[i].text;
        ck_assert_int_eq(mac_digest_parse((const uint8_t *)text, strlen(text), &digest, &prefix), cases[i].result);
        ck_assert_uint_eq(prefix, cases[i].result < 0 ? 77 : 8);
        ck_assert_uint_eq(digest, cases[i].result < 0 ? 77 : cases[i].digest);
    }
    /* Every shorter piece of a name is none. */
    enum mac_digest digest;
    size_t prefix;
    for (size_t n = 0; n < 8; n++)
        ck_assert_int_eq(mac_digest_parse((const uint8_t *)"{sha256}", n, &digest, &prefix), -ENOTSUP);
    ck_assert_str_eq(mac_digest_prefix(MAC_SHA256), "{sha256}");
    ck_assert_str_eq(mac_digest_prefix(MAC_SHA384), "{sha384}");
}
END_TEST

START_TEST(equal) {
    uint8_t a[MAC_MAX], b[MAC_MAX];
    memset(a, 0x11, sizeof a);
    memcpy(b, a, sizeof b);
    ck_assert(mac_equal(a, b, sizeof a));
    for (size_t i = 0; i < sizeof a * 8; i++) {
        b[i / 8] ^= (uint8_t)(1 << i % 8);
        ck_assert(!mac_equal(a, b, sizeof a));
        b[i / 8] ^= (uint8_t)(1 << i % 8);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("mac");
    TCase *tests = tcase_create("mac");
    tcase_add_loop_test(tests, rfc_4231, 0, (int)(sizeof vectors / sizeof vectors[0]));
    tcase_add_loop_test(tests, rfc_4231_long_key, 0, (int)(sizeof long_key / sizeof long_key[0]));
    tcase_add_test(tests, names);
    tcase_add_test(tests, equal);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
