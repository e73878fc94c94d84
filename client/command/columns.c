/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text by the columns that it takes on a terminal. Names of workers may have anything in them: what is no character, what is not
 * printable, and what turns the direction of writing never gets through. */
#include "columns.h"

#include <stdbool.h>
#include <string.h>
#include <wchar.h>

/* They have no width and change how all that follows is shown. */
static bool turns_direction(wchar_t c) {
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The bytes of the first character of the text, and its width; -1 is to become '?'. */
static size_t first_character(const char *text, int *ret_width) {
    mbstate_t state = {0};
    wchar_t c;
    size_t n = mbrtowc(&c, text, strlen(text), &state);
    if (n == (size_t)-1 || n == (size_t)-2) {
        *ret_width = -1;
        return 1;
    }
    *ret_width = turns_direction(c) ? -1 : wcwidth(c);
    return n;
}

int columns_clip(const char *text, int columns, char *ret_buffer, size_t size) {
    size_t used = 0;
    int taken = 0;
    while (*text != '\0') {
        int width;
        size_t n = first_character(text, &width);
        size_t written = width < 0 ? 1 : n;
        int wide = width < 0 ? 1 : width;
        if (used + written >= size || (columns >= 0 && taken + wide > columns))
            break;
        memcpy(ret_buffer + used, width < 0 ? "?" : text, written);
        used += written;
        taken += wide;
        text += n;
    }
    ret_buffer[used] = '\0';
    return taken;
}

const char *columns_fill(const char *text, int columns, char *ret_buffer, size_t size) {
    int taken = columns_clip(text, columns, ret_buffer, size);
    size_t used = strlen(ret_buffer);
    for (; taken < columns && used + 1 < size; taken++)
        ret_buffer[used++] = ' ';
    ret_buffer[used] = '\0';
    return ret_buffer;
}
