/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The syntax of systemd's unit files, from bytes to assignments. It opens nothing, and knows no setting. It is no work for inih,
 * which cuts values at " ;" and after 199 bytes: here lines are passed on to systemd, which does not. */
#include "common/unitfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"

#define BLANKS " \t"

static const char words[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";

struct parsing {
    const struct unitfile_handler *h;
    char section[64]; /* empty: none yet */
    bool lost;        /* in a section whose header was wrong */
    char *joined;     /* owned: the line with those that continue it */
    size_t size;
    unsigned line; /* where it begins */
};

/* The size of the character at `p`, or 0 if it is none. */
static size_t character(const unsigned char *p) {
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] >= 0x90))
        return 0;
    /* C1 controls are some, too. */
    return (n == 1 && ((p[0] < 0x20 && p[0] != '\t') || p[0] == 0x7f)) || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) ? 0 : n;
}

bool unitfile_is_text(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    while (*p != 0) {
        size_t n = character(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

/* Does it end in a '\' that has none before it? */
static bool goes_on(const char *text, size_t size) {
    bool escaped = false;
    for (size_t i = 0; i < size; i++)
        escaped = !escaped && text[i] == '\\';
    return escaped;
}

static char *strip(char *text) {
    text += strspn(text, BLANKS);
    size_t n = strlen(text);
    while (n > 0 && strchr(BLANKS, text[n - 1]) != NULL)
        n--;
    text[n] = 0;
    return text;
}

static void complain(const struct parsing *p, const char *why) {
    p->h->complain(p->h->data, p->line, why);
}

static void take_header(struct parsing *p, char *text) {
    size_t n = strspn(text + 1, words);
    p->lost = n == 0 || n >= sizeof p->section || strcmp(text + 1 + n, "]") != 0;
    if (p->lost) {
        complain(p, "this is no [Section]; it and the lines below it are ignored");
        return;
    }
    memcpy(p->section, text + 1, n);
    p->section[n] = 0;
}

static void take_assignment(struct parsing *p, char *text) {
    char *equals = strchr(text, '=');
    if (equals == NULL) {
        complain(p, "this is neither [Section] nor Name=value; is the '=' missing?");
        return;
    }
    *equals = 0;
    char *name = strip(text), *value = strip(equals + 1);
    if (name[0] == 0 || strspn(name, words) != strlen(name))
        complain(p, "there is no name before the '=': letters, digits and '-'");
    else if (p->section[0] == 0)
        complain(p, "this line stands before any [Section]; write the section above it");
    else if (goes_on(value, strlen(value)))
        complain(p, "a '\\' with blanks behind it ends the line; take one or the other away");
    else
        p->h->take(p->h->data, p->line, p->section, name, value);
}

static void take_line(struct parsing *p) {
    p->joined[p->size] = 0;
    char *text = strip(p->joined);
    if (text[0] == 0)
        return;
    if (!unitfile_is_text(text))
        complain(p, "this line has control characters, or is not UTF-8");
    else if (text[0] == '[')
        take_header(p, text);
    else if (!p->lost)
        take_assignment(p, text);
}

int unitfile_parse(const char *text, size_t size, const struct unitfile_handler *h) {
    const char *end = text + size;
    struct parsing p = {.h = h};
    auto_free char *joined = malloc(size + 1);
    unsigned line = 0;
    bool open = false;
    if (joined == NULL)
        return -ENOMEM;
    p.joined = joined;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    if (memchr(text, 0, (size_t)(end - text)) != NULL) {
        h->complain(h->data, 0, "there is a NUL byte in it: this is no text");
        return 0;
    }
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *from = text;
        size_t n = (size_t)((newline != NULL ? newline : end) - text);
        text = newline != NULL ? newline + 1 : end;
        line++;
        if (n > 0 && from[n - 1] == '\r')
            n--;
        while (n > 0 && strchr(BLANKS, *from) != NULL)
            from++, n--;
        /* A comment does not end what goes on, either. */
        if (n > 0 && (*from == '#' || *from == ';'))
            continue;
        if (!open) {
            p.line = line;
            p.size = 0;
        }
        memcpy(joined + p.size, from, n);
        p.size += n;
        open = goes_on(joined + p.size - n, n);
        if (open)
            joined[p.size - 1] = ' ';
        else
            take_line(&p);
    }
    if (open)
        take_line(&p);
    return 0;
}
