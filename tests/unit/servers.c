/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Scripts for fake.c that more than one file of tests uses: a server that only says hello, and servers that are none. */
#include "tests/unit/servers.h"

#include <unistd.h>

#include "protocol/frame.h"

/* Until the client goes. */
void answer_hello(struct fake *f) {
    struct message m;
    while (fake_read(f, &m)) {
        fake_check(m.type == MSG_HELLO);
        struct wire_buf out;
        struct message_writer w;
        wire_buf_init(&out, 0);
        message_begin(&w, &out, MSG_HELLO_REPLY, 0, m.serial);
        message_put_u32(&w, ATTR_VERSION, PROTOCOL_VERSION);
        fake_check(message_end(&w) == 0);
        fake_write(f, &out, NULL, 0);
    }
}

void wait_for_the_end(struct fake *f) {
    struct message m;
    fake_check(!fake_read(f, &m));
}

/* ---- servers that are none ---- */

static void say(struct fake *f, const void *p, size_t n) {
    struct wire_buf out;
    wire_buf_init(&out, 0);
    frame_put(&out, p, n);
    fake_write(f, &out, NULL, 0);
}

static void raw_end(struct fake *f) {
    char buffer[1024];
    while (read(f->session, buffer, sizeof buffer) > 0)
        ;
}

void says_failure(struct fake *f) {
    say(f, "#FAILURE#", 9);
    raw_end(f);
}

void says_http(struct fake *f) {
    struct wire_buf out;
    wire_buf_init(&out, 0);
    wire_put_bytes(&out, "HTTP/1.0 400 Bad Request\r\n", 26);
    fake_write(f, &out, NULL, 0);
    raw_end(f);
}

void says_md5(struct fake *f) {
    say(f, "#CHALLENGE#{md5}0123456789012345678901234567890123456789", 56);
    raw_end(f);
}

void says_nothing(struct fake *f) {
    raw_end(f);
}

void goes(struct fake *f) {
    (void)f;
}

/* Welcomes everybody, as a server without the key would. */
void welcomes_blindly(struct fake *f) {
    say(f, "#CHALLENGE#{sha256}0123456789012345678901234567890123456789", 59);
    say(f, "#WELCOME#", 9);
    say(f, "{sha256}01234567890123456789012345678901", 40);
    raw_end(f);
}

void says_too_much(struct fake *f) {
    struct wire_buf out;
    wire_buf_init(&out, 0);
    uint8_t big[400] = {0};
    frame_put(&out, big, sizeof big);
    fake_write(f, &out, NULL, 0);
    raw_end(f);
}
