/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversations, as a table: who we are, what comes in, what must go out, how it ends. Each is fed three ways (at once, frame by
 * frame, byte by byte), since a stream may cut anywhere. One real exchange of CPython 3.14 is replayed in both roles. */
#include "protocol/handshake.h"

#include <stdio.h>

#include "protocol/wire.h"
#include "tests/unit/unit.h"
#include "tests/unit/words.h"

#define PARTS 6

static const struct conversation {
    const char *name;
    enum handshake_role role;
    enum word in[PARTS], out[PARTS];
    enum handshake_result result;
} conversations[] = {
    {"server: as libforksrv and CPython speak",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, WELCOME},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER},
     HANDSHAKE_READY},
    {"server: sha384 both ways",
     HANDSHAKE_SERVER,
     {RIGHT_384, PEER_CHALLENGE_384, WELCOME},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER_384},
     HANDSHAKE_READY},
    {"server: shortest challenge",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_20, WELCOME},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER_20},
     HANDSHAKE_READY},
    {"server: what follows is left alone",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, WELCOME, REQUEST},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER},
     HANDSHAKE_READY},
    {"server: nothing comes", HANDSHAKE_SERVER, {NOTHING}, {OUR_CHALLENGE}, HANDSHAKE_MORE},
    {"server: half a frame", HANDSHAKE_SERVER, {HALF_FRAME}, {OUR_CHALLENGE}, HANDSHAKE_MORE},
    {"server: no welcome yet", HANDSHAKE_SERVER, {RIGHT, PEER_CHALLENGE}, {OUR_CHALLENGE, WELCOME, OUR_ANSWER}, HANDSHAKE_MORE},
    {"server: wrong key", HANDSHAKE_SERVER, {WRONG_KEY}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: wrong key and a challenge in one write",
     HANDSHAKE_SERVER,
     {WRONG_KEY, PEER_CHALLENGE, WELCOME},
     {OUR_CHALLENGE, FAILURE},
     HANDSHAKE_WRONG_MAC},
    {"server: one bit wrong", HANDSHAKE_SERVER, {WRONG_LAST_BIT}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: answer too short", HANDSHAKE_SERVER, {WRONG_SHORT}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: answer too long", HANDSHAKE_SERVER, {WRONG_LONG}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: wrong name of the digest", HANDSHAKE_SERVER, {WRONG_NAME}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: digest alone", HANDSHAKE_SERVER, {DIGEST_ALONE}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: replayed answer", HANDSHAKE_SERVER, {REPLAYED}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WRONG_MAC},
    {"server: {md5}", HANDSHAKE_SERVER, {MD5_NAMED}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: raw MD5", HANDSHAKE_SERVER, {MD5_RAW}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: garbage", HANDSHAKE_SERVER, {GARBAGE}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: welcome before an answer", HANDSHAKE_SERVER, {WELCOME}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: challenge before an answer", HANDSHAKE_SERVER, {PEER_CHALLENGE}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: a request before an answer", HANDSHAKE_SERVER, {REQUEST}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: own challenge as an answer", HANDSHAKE_SERVER, {REFLECTED}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: answered twice", HANDSHAKE_SERVER, {RIGHT, RIGHT}, {OUR_CHALLENGE, WELCOME, FAILURE}, HANDSHAKE_BAD_CHALLENGE},
    {"server: reflected challenge", HANDSHAKE_SERVER, {RIGHT, REFLECTED}, {OUR_CHALLENGE, WELCOME, FAILURE}, HANDSHAKE_REFLECTED},
    {"server: reflected under another digest",
     HANDSHAKE_SERVER,
     {RIGHT, REFLECTED_384},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_REFLECTED},
    {"server: challenge of 19 bytes",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_19},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_BAD_CHALLENGE},
    {"server: empty challenge",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_EMPTY},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_BAD_CHALLENGE},
    {"server: cut challenge",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_CUT},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_BAD_CHALLENGE},
    {"server: MD5 challenge",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_MD5},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_WEAK_DIGEST},
    {"server: SHA-1 challenge",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_SHA1},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_WEAK_DIGEST},
    {"server: challenge of CPython 3.11",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE_BARE},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_WEAK_DIGEST},
    {"server: garbage for a challenge",
     HANDSHAKE_SERVER,
     {RIGHT, GARBAGE},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_BAD_CHALLENGE},
    {"server: garbage for a welcome",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, GARBAGE},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER, FAILURE},
     HANDSHAKE_NOT_WELCOME},
    {"server: more than a welcome",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, WELCOME_LONG},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER, FAILURE},
     HANDSHAKE_NOT_WELCOME},
    {"server: a request for a welcome",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, REQUEST},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER, FAILURE},
     HANDSHAKE_NOT_WELCOME},
    {"server: refused at once", HANDSHAKE_SERVER, {FAILURE}, {OUR_CHALLENGE}, HANDSHAKE_REFUSED},
    {"server: refused for a challenge", HANDSHAKE_SERVER, {RIGHT, FAILURE}, {OUR_CHALLENGE, WELCOME}, HANDSHAKE_REFUSED},
    {"server: refused for a welcome",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, FAILURE},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER},
     HANDSHAKE_REFUSED},
    {"server: 257 bytes", HANDSHAKE_SERVER, {FRAME_257}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_TOO_LONG},
    {"server: 256 bytes", HANDSHAKE_SERVER, {FRAME_256}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"server: empty frame", HANDSHAKE_SERVER, {FRAME_EMPTY}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_TOO_LONG},
    {"server: negative length", HANDSHAKE_SERVER, {FRAME_NEGATIVE}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_TOO_LONG},
    {"server: 64-bit length", HANDSHAKE_SERVER, {FRAME_64_BIT}, {OUR_CHALLENGE, FAILURE}, HANDSHAKE_TOO_LONG},
    {"server: 257 bytes for a challenge",
     HANDSHAKE_SERVER,
     {RIGHT, FRAME_257},
     {OUR_CHALLENGE, WELCOME, FAILURE},
     HANDSHAKE_TOO_LONG},
    {"server: 257 bytes for a welcome",
     HANDSHAKE_SERVER,
     {RIGHT, PEER_CHALLENGE, FRAME_257},
     {OUR_CHALLENGE, WELCOME, OUR_ANSWER, FAILURE},
     HANDSHAKE_TOO_LONG},

    {"client: as forksrvd and CPython speak",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, RIGHT},
     {OUR_ANSWER, OUR_CHALLENGE, WELCOME},
     HANDSHAKE_READY},
    {"client: sha384 both ways",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE_384, WELCOME, RIGHT_384},
     {OUR_ANSWER_384, OUR_CHALLENGE, WELCOME},
     HANDSHAKE_READY},
    {"client: what follows is left alone",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, RIGHT, REQUEST},
     {OUR_ANSWER, OUR_CHALLENGE, WELCOME},
     HANDSHAKE_READY},
    {"client: nothing comes", HANDSHAKE_CLIENT, {NOTHING}, {NOTHING}, HANDSHAKE_MORE},
    {"client: no answer yet", HANDSHAKE_CLIENT, {PEER_CHALLENGE, WELCOME}, {OUR_ANSWER, OUR_CHALLENGE}, HANDSHAKE_MORE},
    {"client: MD5 challenge", HANDSHAKE_CLIENT, {PEER_CHALLENGE_MD5}, {FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"client: SHA-1 challenge", HANDSHAKE_CLIENT, {PEER_CHALLENGE_SHA1}, {FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"client: challenge of CPython 3.11", HANDSHAKE_CLIENT, {PEER_CHALLENGE_BARE}, {FAILURE}, HANDSHAKE_WEAK_DIGEST},
    {"client: challenge of 19 bytes", HANDSHAKE_CLIENT, {PEER_CHALLENGE_19}, {FAILURE}, HANDSHAKE_BAD_CHALLENGE},
    {"client: cut challenge", HANDSHAKE_CLIENT, {PEER_CHALLENGE_CUT}, {FAILURE}, HANDSHAKE_BAD_CHALLENGE},
    {"client: its own challenge", HANDSHAKE_CLIENT, {REFLECTED}, {FAILURE}, HANDSHAKE_REFLECTED},
    {"client: garbage", HANDSHAKE_CLIENT, {GARBAGE}, {FAILURE}, HANDSHAKE_BAD_CHALLENGE},
    {"client: an answer for a challenge", HANDSHAKE_CLIENT, {RIGHT}, {FAILURE}, HANDSHAKE_BAD_CHALLENGE},
    {"client: refused before a challenge", HANDSHAKE_CLIENT, {FAILURE}, {NOTHING}, HANDSHAKE_REFUSED},
    {"client: refused (wrong key)", HANDSHAKE_CLIENT, {PEER_CHALLENGE, FAILURE}, {OUR_ANSWER, OUR_CHALLENGE}, HANDSHAKE_REFUSED},
    {"client: refused for an answer",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, FAILURE},
     {OUR_ANSWER, OUR_CHALLENGE},
     HANDSHAKE_REFUSED},
    {"client: answer before a welcome",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, RIGHT},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_NOT_WELCOME},
    {"client: a second challenge",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, PEER_CHALLENGE},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_NOT_WELCOME},
    {"client: false server",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, WRONG_KEY},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_WRONG_MAC},
    {"client: false server replays",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, REPLAYED},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_WRONG_MAC},
    {"client: false server sends our answer back",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, OUR_ANSWER},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_WRONG_MAC},
    {"client: raw MD5",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, WELCOME, MD5_RAW},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_WEAK_DIGEST},
    {"client: 257 bytes", HANDSHAKE_CLIENT, {FRAME_257}, {FAILURE}, HANDSHAKE_TOO_LONG},
    {"client: negative length", HANDSHAKE_CLIENT, {FRAME_NEGATIVE}, {FAILURE}, HANDSHAKE_TOO_LONG},
    {"client: 64-bit length", HANDSHAKE_CLIENT, {FRAME_64_BIT}, {FAILURE}, HANDSHAKE_TOO_LONG},
    {"client: empty frame",
     HANDSHAKE_CLIENT,
     {PEER_CHALLENGE, FRAME_EMPTY},
     {OUR_ANSWER, OUR_CHALLENGE, FAILURE},
     HANDSHAKE_TOO_LONG},
};
enum { CONVERSATIONS = sizeof conversations / sizeof conversations[0] };

static struct bytes put_words(const enum word *words) {
    struct bytes b = {0};
    for (size_t i = 0; i < PARTS; i++)
        put_word(&b, words[i]);
    return b;
}

/* ---- the conversations ---- */

static void collect_out(struct handshake *h, struct bytes *out) {
    put_bytes(out, h->out, h->out_size);
    h->out_size = 0;
}

/* Feeds pieces of at most `step` bytes until it ends. Returns how many bytes were taken. */
static size_t feed(struct handshake *h, const struct bytes *in, size_t step, struct bytes *out) {
    size_t at = 0;
    collect_out(h, out);
    while (at < in->size) {
        size_t n = in->size - at < step ? in->size - at : step, used = 9999;
        enum handshake_result r = handshake_feed(h, words_key, sizeof words_key, in->data + at, n, &used);
        collect_out(h, out);
        ck_assert_uint_eq(r, h->ended);
        ck_assert_uint_le(used, n);
        at += used;
        if (r != HANDSHAKE_MORE)
            break;
        ck_assert_uint_eq(used, n);
    }
    return at;
}

/* The bytes that belong to the handshake when it succeeds. */
static size_t bytes_of_handshake(const struct conversation *c) {
    struct bytes b = {0};
    for (size_t i = 0; i < 3; i++)
        put_word(&b, c->in[i]);
    return b.size;
}

static void converse(const struct conversation *c, size_t step) {
    uint8_t nonce[LIMIT_NONCE];
    memset(nonce, OUR_NONCE, sizeof nonce);
    struct handshake h;
    handshake_init(&h, c->role, nonce);
    struct bytes in = put_words(c->in), want = put_words(c->out), out = {0};
    size_t taken = feed(&h, &in, step, &out);
    ck_assert_msg(h.ended == c->result, "%s, by %zu: ended with %d instead of %d", c->name, step, (int)h.ended, (int)c->result);
    ck_assert_msg(out.size == want.size && memcmp(out.data, want.data, out.size) == 0, "%s, by %zu: said something else", c->name,
                  step);
    if (c->result == HANDSHAKE_READY)
        ck_assert_uint_eq(taken, bytes_of_handshake(c));
    /* Once it has ended it takes nothing, says nothing and does not change its mind. */
    if (c->result != HANDSHAKE_MORE) {
        size_t used = 9999;
        ck_assert_uint_eq(handshake_feed(&h, words_key, sizeof words_key, in.data, in.size, &used), c->result);
        ck_assert_uint_eq(used, 0);
        ck_assert_uint_eq(h.out_size, 0);
    }
    ck_assert_int_eq(handshake_result_text(c->result) != NULL, c->result > HANDSHAKE_READY);
    handshake_done(&h);
    for (size_t i = 0; i < sizeof h; i++)
        ck_assert_uint_eq(((const uint8_t *)&h)[i], 0);
}

START_TEST(at_once) {
    converse(&conversations[_i], SIZE_MAX);
}
END_TEST

START_TEST(byte_by_byte) {
    converse(&conversations[_i], 1);
}
END_TEST

START_TEST(in_pieces) {
    for (size_t step = 2; step < 130; step++)
        converse(&conversations[_i], step);
}
END_TEST

START_TEST(longest_challenge) {
    uint8_t nonce[LIMIT_NONCE];
    memset(nonce, OUR_NONCE, sizeof nonce);
    struct handshake h;
    handshake_init(&h, HANDSHAKE_CLIENT, nonce);
    struct bytes in = {0}, out = {0}, want = {0};
    put_bytes(&in, "\0\0\1\0", 4);
    put_challenge(&in, "{sha384}", PEER_NONCE, 256 - 11 - 8);
    feed(&h, &in, SIZE_MAX, &out);
    put_bytes(&want, "\0\0\0\x38", 4);
    put_answer(&want, MAC_SHA384, words_key, "{sha384}", PEER_NONCE, 256 - 11 - 8);
    put_word(&want, OUR_CHALLENGE);
    ck_assert_uint_eq(h.ended, HANDSHAKE_MORE);
    ck_assert_uint_eq(out.size, want.size);
    ck_assert_mem_eq(out.data, want.data, want.size);
}
END_TEST

/* A peer may send everything before the driver has sent a byte: nothing that is to go out is overwritten. */
START_TEST(out_is_not_drained) {
    uint8_t nonce[LIMIT_NONCE];
    memset(nonce, OUR_NONCE, sizeof nonce);
    struct handshake h;
    handshake_init(&h, HANDSHAKE_SERVER, nonce);
    static const enum word in_words[PARTS] = {RIGHT_384, PEER_CHALLENGE_384, GARBAGE};
    static const enum word out_words[PARTS] = {OUR_CHALLENGE, WELCOME, OUR_ANSWER_384, FAILURE};
    struct bytes in = put_words(in_words), want = put_words(out_words);
    size_t used;
    ck_assert_uint_eq(handshake_feed(&h, words_key, sizeof words_key, in.data, in.size, &used), HANDSHAKE_NOT_WELCOME);
    ck_assert_uint_eq(h.out_size, want.size);
    ck_assert_mem_eq(h.out, want.data, want.size);
}
END_TEST

/* ---- one real exchange of CPython 3.14.8 ---- */

static const char real_key[] = "e17428cc18694f71358c9dc16bf09d2a2fd16a97ae0a13dad9252aae006ededd";
static const char real_server_nonce[] = "eeed844d9493e52b0fe61ab24b5dfa17e057bc2bf5032f4e91a1bfed0dd32c43fb7eeb7176a377c2";
static const char real_client_nonce[] = "b284758cc13a4f6ffc7c98ee2f0555b52edf05ef613c78aa6075d855734400618fbe79ffe5ac08dc";
static const char real_from_server[] =
    "0000003b 234348414c4c454e474523 7b7368613235367d"
    "eeed844d9493e52b0fe61ab24b5dfa17e057bc2bf5032f4e91a1bfed0dd32c43fb7eeb7176a377c2"
    "00000009 2357454c434f4d4523"
    "00000028 7b7368613235367d f1fa2e511725332d996b8d75490e98cc35980b1cf1b501fa366ea1083e3e44a7";
static const char real_from_client[] =
    "00000028 7b7368613235367d 652b6e4932c08adf9c292bca959d61073a96f64cf0d30d6b8efa76bfd5daf09a"
    "0000003b 234348414c4c454e474523 7b7368613235367d"
    "b284758cc13a4f6ffc7c98ee2f0555b52edf05ef613c78aa6075d855734400618fbe79ffe5ac08dc"
    "00000009 2357454c434f4d4523";

static void replay(enum handshake_role role, const char *nonce_text, const char *in_text, const char *out_text, size_t step) {
    uint8_t real[32], nonce[LIMIT_NONCE];
    unhex(real_key, real, sizeof real);
    unhex(nonce_text, nonce, sizeof nonce);
    struct bytes in = {0}, want = {0}, out = {0};
    in.size = unhex(in_text, in.data, sizeof in.data);
    want.size = unhex(out_text, want.data, sizeof want.data);
    struct handshake h;
    handshake_init(&h, role, nonce);
    collect_out(&h, &out);
    for (size_t at = 0, used; at < in.size; at += used) {
        ck_assert_uint_eq(h.ended, HANDSHAKE_MORE);
        handshake_feed(&h, real, sizeof real, in.data + at, in.size - at < step ? in.size - at : step, &used);
        collect_out(&h, &out);
    }
    ck_assert_uint_eq(h.ended, HANDSHAKE_READY);
    ck_assert_uint_eq(out.size, want.size);
    ck_assert_mem_eq(out.data, want.data, want.size);
}

START_TEST(real_exchange) {
    for (size_t step = 1; step < 250; step++) {
        replay(HANDSHAKE_SERVER, real_server_nonce, real_from_client, real_from_server, step);
        replay(HANDSHAKE_CLIENT, real_client_nonce, real_from_server, real_from_client, step);
    }
}
END_TEST

START_TEST(texts) {
    for (int r = HANDSHAKE_READY + 1; r <= HANDSHAKE_BROKEN; r++)
        ck_assert_ptr_nonnull(handshake_result_text((enum handshake_result)r));
    ck_assert_str_eq(handshake_result_text((enum handshake_result)(HANDSHAKE_BROKEN + 1)), "unknown");
    ck_assert_ptr_null(handshake_result_text(HANDSHAKE_MORE));
    ck_assert_ptr_null(handshake_result_text(HANDSHAKE_READY));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("handshake");
    TCase *tests = tcase_create("handshake");
    tcase_add_loop_test(tests, at_once, 0, CONVERSATIONS);
    tcase_add_loop_test(tests, byte_by_byte, 0, CONVERSATIONS);
    tcase_add_loop_test(tests, in_pieces, 0, CONVERSATIONS);
    tcase_add_test(tests, longest_challenge);
    tcase_add_test(tests, out_is_not_drained);
    tcase_add_test(tests, real_exchange);
    tcase_add_test(tests, texts);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
