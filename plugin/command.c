/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A command line by systemd's rules, judged and not changed: what systemd would refuse is told here, with file and line, and what
 * it would read as something else is refused. */
#include "plugin/command.h"

#include <stddef.h>
#include <string.h>

static const char hexadecimal[] = "0123456789abcdefABCDEF", octal[] = "01234567";

static bool has(const char *p, size_t n, const char *digits) {
    return strspn(p, digits) >= n;
}

/* How many bytes the escape has after its '\', or 0 if systemd has none such. "\x00" and the like would end the word. */
static size_t escape(const char *p) {
    static const char zeros[] = "0";
    size_t n = *p == 'x' ? 2 : *p == 'u' ? 4 : *p == 'U' ? 8 : 0;
    if (n > 0)
        return has(p + 1, n, hexadecimal) && strspn(p + 1, zeros) < n ? n + 1 : 0;
    if (*p >= '0' && *p <= '3')
        return has(p, 3, octal) && strspn(p, zeros) < 3 ? 3 : 0;
    return *p != 0 && strchr("abfnrtvs\\\"'", *p) != NULL ? 1 : 0;
}

/* The length of the word at `p`, or 0: a quote is not closed, or an escape not known. */
static size_t word(const char *p, const char **ret_why) {
    size_t i = 0, n;
    char quote = 0;
    for (; p[i] != 0 && (quote != 0 || (p[i] != ' ' && p[i] != '\t')); i++) {
        if (p[i] == '\\') {
            if ((n = escape(p + i + 1)) == 0) {
                *ret_why = " has a '\\' with a meaning that systemd does not know; write '\\\\' for a '\\'";
                return 0;
            }
            i += n;
        } else if (quote == 0 && (p[i] == '"' || p[i] == '\'')) {
            quote = p[i];
        } else if (p[i] == quote) {
            quote = 0;
        }
    }
    if (quote == 0)
        return i;
    *ret_why = " has a quote that is not closed";
    return 0;
}

const char *command_mistake(const char *command, bool forked) {
    const char *why = NULL;
    const char *p = command + strspn(command, " \t");
    if (strchr("@:+!|", *p) != NULL)
        return " begins with a prefix of systemd's, which has no meaning here; take it away";
    if (*p == '-' && !forked)
        return " begins with '-'; write the name of a program, or say Zygote= as well";
    if (strncmp(p, "\"\"", 2) == 0 || strncmp(p, "''", 2) == 0)
        return " begins with an empty word; write the name of a program";
    while (*p != 0) {
        /* Two commands would be two processes, and systemd knows no \; outside of a word of its own. */
        size_t n = strncmp(p, "\\;", 2) == 0 && strchr(" \t", p[2]) != NULL ? 2 : word(p, &why);
        if (n == 0)
            return why;
        if (n == 1 && *p == ';')
            return " has a ';' by itself, which ends a command; write '\\;'";
        p += n;
        p += strspn(p, " \t");
    }
    return NULL;
}
