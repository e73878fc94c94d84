/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the units of applications. It knows what systemd takes for a name, and asks no systemd. */
#include "unit-name.h"

#include <stdio.h>
#include <string.h>

static const char plain[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:_.";

/* One byte, escaped. Returns how long it is. */
static size_t escape(unsigned char c, bool first, char ret[5]) {
    if (c == '/')
        return (size_t)snprintf(ret, 5, "-");
    if (strchr(plain, c) != NULL && !(first && c == '.'))
        return (size_t)snprintf(ret, 5, "%c", c);
    return (size_t)snprintf(ret, 5, "\\x%02x", c);
}

void unit_name_of_app(const char *id, const char *random, char ret_name[UNIT_NAME_MAX + 1]) {
    static const char prefix[] = "app-forksrv-";
    char tail[64], one[5];
    size_t n = sizeof prefix - 1, end = UNIT_NAME_MAX - (size_t)snprintf(tail, sizeof tail, "-%.40s.scope", random);
    memcpy(ret_name, prefix, sizeof prefix);
    for (const char *c = id; *c != '\0'; c++) {
        size_t size = escape((unsigned char)*c, c == id, one);
        if (n + size > end)
            break;
        memcpy(ret_name + n, one, size);
        n += size;
    }
    strcpy(ret_name + n, tail);
}

bool unit_name_is(const char *name, const char *suffix) {
    size_t size = strlen(name), end = strlen(suffix);
    if (size <= end || size > UNIT_NAME_MAX || strcmp(name + size - end, suffix) != 0)
        return false;
    for (const char *c = name; *c != '\0'; c++)
        if (strchr(plain, *c) == NULL && strchr("-\\", *c) == NULL)
            return false;
    return true;
}
