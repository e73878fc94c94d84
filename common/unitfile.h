/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Text in the syntax of systemd's unit files, where a value is everything after the '=': no comments at its end, and a '\' at the
 * end of a line goes on in the next one. */

struct unitfile_handler {
    void *data;
    /* An assignment. Section and name are words, the value is UTF-8 without control characters (but tabs), without blanks around
     * it, and whatever is written behind `name=` is one line to systemd again. */
    void (*take)(void *data, unsigned line, const char *section, const char *name, const char *value);
    /* A line that is none, and has no effect. */
    void (*complain)(void *data, unsigned line, const char *why);
};

/* 0 or -ENOMEM. */
int unitfile_parse(const char *text, size_t size, const struct unitfile_handler *h);

/* Is all of it UTF-8, without control characters but tabs? */
bool unitfile_is_text(const char *text);
