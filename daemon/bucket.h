/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A token bucket: `burst` things at once, and `rate` of them per second in the long run. Times in microseconds of any clock that
 * is never set. A bucket that was never filled is full. */

struct bucket {
    uint64_t missing; /* millionths of tokens that it is short of being full */
    uint64_t time;    /* up to when that counts */
};

/* Puts in what has come since. rate: at least 1. */
void bucket_refill(struct bucket *b, uint64_t now, uint64_t rate);
/* How many there are, whole ones. */
uint64_t bucket_left(const struct bucket *b, uint64_t burst);
/* Takes one, if there is one. */
bool bucket_take(struct bucket *b, uint64_t burst);
/* Takes all. */
void bucket_empty(struct bucket *b, uint64_t burst);
/* How long until there is one again; 0: there is. */
uint64_t bucket_wait(const struct bucket *b, uint64_t rate, uint64_t burst);
