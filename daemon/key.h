/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* The authkey, in one page of its own: locked in memory, left out of core dumps, zero in every forked child. Others borrow a
 * const pointer for one call. */
struct key {
    uint8_t *page; /* owned: mmap */
};

/* Reads the credential: from the fd (taken over; -1: none), or from $CREDENTIALS_DIRECTORY/forksrv.authkey. On failure logs what
 * is wrong and returns -errno. */
int key_load(struct key *key, int fd);
const uint8_t *key_bytes(const struct key *key);
void key_done(struct key *key);
