/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which names are fine. It looks nothing up, neither users nor files. */
#include "plugin/names.h"

#include <stdio.h>
#include <string.h>

#include "common/unitfile.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

enum { NAME_MOST = 64 };

static bool is_of(const char *name, const char *first, const char *all, size_t most) {
    size_t n = strlen(name);
    return n > 0 && n < most && strchr(first, name[0]) != NULL && strspn(name, all) == n;
}

bool name_is_user(const char *name) {
    return is_of(name, LETTERS "_", LETTERS DIGITS "_.-", NAME_MOST + 1);
}

bool name_is_zygote(const char *name) {
    return is_of(name, LETTERS DIGITS "_-", LETTERS DIGITS "_.-", NAME_MOST + 1);
}

bool name_is_unit(const char *name, const char *type) {
    static const char *const types[] = {".service", ".socket",    ".target", ".slice", ".path", ".timer",
                                        ".mount",   ".automount", ".device", ".swap",  ".scope"};
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || !is_of(name, LETTERS DIGITS ":-_.\\", LETTERS DIGITS ":-_.\\@", NAME_UNIT))
        return false;
    if (type != NULL)
        return strcmp(dot, type) == 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(dot, types[i]) == 0)
            return true;
    return false;
}

bool name_escape(const char *prefix, const char *name, const char *type, char ret_unit[NAME_UNIT]) {
    static const char kept[] = LETTERS DIGITS ":_.-";
    size_t n = (size_t)snprintf(ret_unit, NAME_UNIT, "%s", prefix);
    if (name[0] == 0 || !unitfile_is_text(name))
        return false;
    for (; *name != 0; name++) {
        if (NAME_UNIT - n < sizeof "\\x00" + strlen(type))
            return false;
        n += (size_t)snprintf(ret_unit + n, NAME_UNIT - n, strchr(kept, *name) != NULL ? "%c" : "\\x%02x", (unsigned char)*name);
    }
    return (size_t)snprintf(ret_unit + n, NAME_UNIT - n, "%s", type) < NAME_UNIT - n;
}
