/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages on standard error: "forksrv run: what is wrong". It decides nothing, and never writes to standard output,
 * which belongs to data and to workers. */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>

static const char *speaker;

void say_as(const char *subcommand) {
    speaker = subcommand;
}

void say(const char *format, ...) {
    /* One write for the line, so that it stays whole beside what a worker writes to the same place. */
    char line[8192];
    int n = snprintf(line, sizeof line, "forksrv%s%s: ", speaker != NULL ? " " : "", speaker != NULL ? speaker : "");
    va_list ap;
    va_start(ap, format);
    int more = vsnprintf(line + n, sizeof line - (size_t)n, format, ap);
    va_end(ap);
    if (more < 0)
        return;
    fprintf(stderr, "%s\n", line);
}

const char *say_clean(const char *text, char *ret_buffer, size_t size) {
    size_t i = 0;
    for (; text[i] != '\0' && i + 1 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        ret_buffer[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    ret_buffer[i] = '\0';
    return ret_buffer;
}
