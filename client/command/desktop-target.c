/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a program is asked to open: a URI, a local file, or both, since a local file is both. It looks at no file. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "desktop-exec.h"

void desktop_target_done(struct desktop_target *t) {
    free(t->path);
    free(t->uri);
    *t = (struct desktop_target){0};
}

static bool stays(unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("/-._~!$&'()*+,;=:@", c) != NULL);
}

static char *uri_of_path(const char *path) {
    static const char digits[] = "0123456789ABCDEF", scheme[] = "file://";
    char *uri = malloc(sizeof scheme + 3 * strlen(path));
    if (uri == NULL)
        return NULL;
    memcpy(uri, scheme, sizeof scheme);
    char *to = uri + sizeof scheme - 1;
    for (; *path != '\0'; path++) {
        unsigned char c = (unsigned char)*path;
        if (stays(c)) {
            *to++ = *path;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    *to = '\0';
    return uri;
}

static int digit(char c) {
    static const char digits[] = "0123456789abcdef";
    char lower = c >= 'A' && c <= 'F' ? (char)(c - 'A' + 'a') : c;
    const char *at = lower != '\0' ? strchr(digits, lower) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* "/a%20b" to "/a b"; false: a '%' without digits, or a NUL, which no path has. */
static bool undo_percents(const char *from, char *to) {
    for (; *from != '\0'; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = digit(from[1]), low = high < 0 ? -1 : digit(from[2]);
        if (low < 0 || (high == 0 && low == 0))
            return false;
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    *to = '\0';
    return true;
}

/* file:/a, file:///a, file://localhost/a. Another host's file is none of ours. */
static const char *path_in(const char *rest) {
    if (strncmp(rest, "//", 2) != 0)
        return rest[0] == '/' ? rest : NULL;
    rest += 2;
    if (strncasecmp(rest, "localhost/", 10) == 0)
        rest += 9;
    return rest[0] == '/' ? rest : NULL;
}

static int init_uri(struct desktop_target *t, const char *text, struct desktop_trouble *ret_trouble) {
    const char *from = strncasecmp(text, "file:", 5) == 0 ? path_in(text + 5) : NULL;
    t->uri = strdup(text);
    if (t->uri == NULL)
        return -ENOMEM;
    if (from == NULL)
        return 0;
    t->path = malloc(strlen(from) + 1);
    if (t->path == NULL)
        return -ENOMEM;
    if (undo_percents(from, t->path))
        return 0;
    desktop_trouble_set(ret_trouble, 0, "this URI names no file: %.160s", text);
    return -EINVAL;
}

int desktop_target_init(struct desktop_target *t, const char *text, struct desktop_trouble *ret_trouble) {
    struct desktop_target made = {0};
    int r = 0;
    if (text[0] != '/') {
        r = init_uri(&made, text, ret_trouble);
    } else {
        made.path = strdup(text);
        made.uri = uri_of_path(text);
        r = made.path != NULL && made.uri != NULL ? 0 : -ENOMEM;
    }
    if (r < 0) {
        desktop_target_done(&made);
        return r;
    }
    *t = made;
    return 0;
}
