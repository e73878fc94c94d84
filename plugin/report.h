/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* What is told to people: one line for each mistake, `FILE:LINE: what is wrong, what to do`. */

enum { REPORT_EACH = 20 /* lines of one file: the rest would only hide those of others */ };

struct report {
    FILE *to;        /* borrowed; NULL: mistakes are only counted */
    bool to_journal; /* and in systemd's log */
    unsigned wrong;  /* mistakes so far */
    unsigned told;   /* of the present file */
};

/* line 0: the file as a whole. */
void report_mistake(struct report *r, const char *path, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The mistakes after this are those of another file. */
void report_next(struct report *r);
