/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>
#include <sys/types.h>

/* A program that the benchmark talks to in lines. */
struct pipes {
    pid_t pid;
    FILE *to; /* both owned */
    FILE *from;
};

/* 0, or a negative errno after it said what is wrong. */
int pipes_start(struct pipes *pipes, const char *const *argv);
/* Its exit status as waitpid has it. */
int pipes_stop(struct pipes *pipes);
