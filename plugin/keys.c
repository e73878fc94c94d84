/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From assignments to a struct, by a table, and from assignments to lines of a unit. It knows neither instances nor helpers. */
#include "plugin/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/unitfile.h"
#include "plugin/names.h"

static void *field(void *target, const struct key *k) {
    return (char *)target + k->offset;
}

bool key_is_value(const char *value) {
    static const char some[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.%:-";
    return strspn(value, some) == strlen(value);
}

bool key_is_slice(const char *value) {
    return name_is_unit(value, ".slice");
}

/* ---- one line ---- */

static void is_no(struct declared *d, const struct line *l, const struct key *k, const char *value) {
    declared_complain(d, l, "%s=: \"%.128s\" is no %s", k->name, value, k->kind);
}

static void take_text(struct declared *d, const struct line *l, const struct key *k, void *target) {
    const char **text = field(target, k);
    if (l->value[0] == 0)
        *text = NULL;
    else if (k->fine != NULL && !k->fine(l->value))
        is_no(d, l, k, l->value);
    else
        *text = l->value;
}

static void take_bool(struct declared *d, const struct line *l, const struct key *k, void *target) {
    static const char *const known[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], l->value) == 0) {
            *(bool *)field(target, k) = i & 1;
            return;
        }
    is_no(d, l, k, l->value);
}

enum { KEYS_WORDS = 256 };

static void take_list(struct declared *d, const struct line *l, const struct key *k, void *target) {
    struct key_list *list = field(target, k);
    auto_free char *word = malloc(strlen(l->value) + 1);
    const char *rest = l->value;
    size_t size;
    int r = word == NULL ? -ENOMEM : 1;
    if (!list->said || l->value[0] == 0)
        words_done(&list->words);
    list->said = true;
    while (r > 0 && (r = words_next(&rest, word, &size)) > 0) {
        word[size] = 0;
        if (k->fine != NULL && !k->fine(word))
            is_no(d, l, k, word);
        else if (list->words.count >= KEYS_WORDS)
            r = -E2BIG;
        else if (!words_have(&list->words, word) && !words_add(&list->words, word, size))
            r = -ENOMEM;
    }
    if (r == -EINVAL)
        declared_complain(d, l, "a quote is not closed in %s=", k->name);
    else if (r == -E2BIG)
        declared_complain(d, l, "%s= has more than %d words", k->name, KEYS_WORDS);
    else if (r < 0)
        d->wrong++;
}

static void take(struct declared *d, const struct line *l, const struct key *k, void *target) {
    switch (k->type) {
    case KEY_TEXT:
        take_text(d, l, k, target);
        return;
    case KEY_BOOL:
        take_bool(d, l, k, target);
        return;
    case KEY_LIST:
        take_list(d, l, k, target);
        return;
    case KEY_PASS:
        if (k->fine != NULL && !k->fine(l->value))
            is_no(d, l, k, l->value);
        return;
    }
}

/* ---- all lines ---- */

static bool is_passed(const struct keys *k, const char *section) {
    for (size_t i = 0; k->passed[i] != NULL; i++)
        if (strcmp(k->passed[i], section) == 0)
            return true;
    return false;
}

static const struct key *find(const struct keys *k, const struct line *l, bool *ret_section_known) {
    *ret_section_known = false;
    for (size_t i = 0; i < k->count; i++) {
        if (strcmp(k->table[i].section, l->section) != 0)
            continue;
        *ret_section_known = true;
        if (strcmp(k->table[i].name, l->name) == 0)
            return &k->table[i];
    }
    return NULL;
}

/* For others, as systemd has it. */
static bool is_foreign(const struct line *l) {
    return strncmp(l->section, "X-", 2) == 0 || strncmp(l->name, "X-", 2) == 0;
}

void keys_read(const struct keys *k, struct declared *d, void *target) {
    for (size_t i = 0; i < d->n_lines; i++) {
        const struct line *l = &d->lines[i];
        bool section_known;
        const struct key *key = find(k, l, &section_known);
        if (key != NULL)
            take(d, l, key, target);
        else if (is_foreign(l) || is_passed(k, l->section))
            continue;
        else if (section_known)
            declared_complain(d, l, "%.64s= is not known in [%s]; if it is systemd's, write it in [Service]", l->name,
                              l->section);
        else
            declared_complain(d, l, "there is no section [%s] in files of this kind", l->section);
    }
}

static void write_line(FILE *out, const struct line *l) {
    fprintf(out, "%s=%s\n", l->name, l->value);
}

unsigned keys_pass(FILE *out, const struct declared *d, const char *section, bool header) {
    unsigned n = 0;
    for (size_t i = 0; i < d->n_lines; i++)
        if (strcmp(d->lines[i].section, section) == 0) {
            if (header && n == 0)
                fprintf(out, "\n[%s]\n", section);
            write_line(out, &d->lines[i]);
            n++;
        }
    return n;
}

void keys_pass_own(FILE *out, const struct keys *k, const struct declared *d) {
    for (size_t i = 0; i < d->n_lines; i++) {
        bool section_known;
        const struct key *key = find(k, &d->lines[i], &section_known);
        if (key != NULL && key->type == KEY_PASS)
            write_line(out, &d->lines[i]);
    }
}

/* ---- whence it is ---- */

void keys_write_plain(FILE *out, const char *text) {
    for (; *text != 0; text++) {
        if (*text == '%')
            fputc('%', out);
        fputc(*text, out);
    }
}

void keys_write_head(FILE *out, const char *path) {
    fprintf(out, "# Made by forksrv-generator from %s\n", unitfile_is_text(path) ? path : "a file with a strange name");
}

void keys_write_source(FILE *out, const char *path) {
    if (!unitfile_is_text(path))
        return;
    fputs("SourcePath=", out);
    keys_write_plain(out, path);
    fputc('\n', out);
}
