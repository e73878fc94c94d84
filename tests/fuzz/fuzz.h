/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The entry of every target, as libFuzzer calls it. With gcc, replay.c calls it for each file of the target's corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A statement about our own code that has to hold for every input, in builds without assert() too. */
#define HOLDS(statement)                                                                                                         \
    do {                                                                                                                         \
        if (!(statement))                                                                                                        \
            abort();                                                                                                             \
    } while (0)
