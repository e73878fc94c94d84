/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A terminal on standard input and output as a screen: keys come one by one, and what stood there comes back afterwards,
 * whatever ends the program (but SIGKILL). There is one only. */

enum screen_key {
    /* Others are the characters themselves. */
    SCREEN_ESCAPE = 0x1b,
    SCREEN_NOTHING = 0x100, /* time is up, or the size has changed: draw again */
    SCREEN_UP,
    SCREEN_DOWN,
    SCREEN_PAGE_UP,
    SCREEN_PAGE_DOWN,
    SCREEN_HOME,
    SCREEN_END,
    SCREEN_GONE, /* nobody is there any more */
};

/* Whether there is one that can be made a screen. */
bool screen_usable(void);
/* 0 or a negative errno. */
int screen_enter(void);
/* Does nothing if it was not entered. */
void screen_leave(void);

void screen_size(int *ret_rows, int *ret_columns);
/* The next key; waits for it at most so long. */
int screen_key(uint64_t usec);
/* All of it. 0 or a negative errno. */
int screen_write(const char *bytes, size_t size);
