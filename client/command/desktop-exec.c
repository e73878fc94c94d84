/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The Exec= of desktop entries. There is no shell: quotes are undone first and codes are expanded then, so that no file's name is
 * ever read for quotes or codes. What the specification calls undefined is an error where it could run something else than was
 * meant, and otherwise what GLib makes of it. */
#include "desktop-exec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void desktop_argv_free(char **argv) {
    for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

void desktop_exec_done(struct desktop_exec *x) {
    desktop_argv_free(x->words);
    *x = (struct desktop_exec){0};
}

static int wrong(struct desktop_trouble *ret_trouble, const char *what, const char *text) {
    desktop_trouble_set(ret_trouble, 0, "its Exec= is broken: %s: %.120s", what, text);
    return -EINVAL;
}

/* ---- words ---- */

/* From the opening quote on; returns where it closes, NULL if it does not. */
static const char *unquote(const char *from, char **to) {
    char quote = *from++;
    for (; *from != quote; from++) {
        if (*from == '\0')
            return NULL;
        if (quote == '"' && *from == '\\' && from[1] != '\0' && strchr("\"`$\\", from[1]) != NULL)
            from++;
        *(*to)++ = *from;
    }
    return from;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

/* One word into `buffer`, which is as long as all of them. Returns where it ends, or NULL after it said what is wrong. */
static const char *take_word(const char *from, char *buffer, struct desktop_trouble *ret_trouble) {
    char *to = buffer;
    const char *start = from;
    for (; *from != '\0' && !is_blank(*from); from++) {
        if (*from == '"' || *from == '\'') {
            from = unquote(from, &to);
            if (from == NULL) {
                wrong(ret_trouble, "a quote is not closed", start);
                return NULL;
            }
            continue;
        }
        if (*from == '\\')
            from++;
        if (*from == '\0') {
            wrong(ret_trouble, "a backslash stands at the end", start);
            return NULL;
        }
        *to++ = *from;
    }
    *to = '\0';
    return from;
}

static int take_words(const char *text, struct desktop_exec *x, char *buffer, struct desktop_trouble *ret_trouble) {
    for (;;) {
        while (is_blank(*text))
            text++;
        if (*text == '\0')
            return 0;
        if (x->n_words == DESKTOP_EXEC_WORDS)
            return wrong(ret_trouble, "it has more than 4096 words", "");
        text = take_word(text, buffer, ret_trouble);
        if (text == NULL)
            return -EINVAL;
        char **more = reallocarray(x->words, x->n_words + 2, sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        x->words = more;
        x->words[x->n_words] = strdup(buffer);
        if (x->words[x->n_words] == NULL)
            return -ENOMEM;
        x->words[++x->n_words] = NULL;
    }
}

/* ---- codes ---- */

static int check_code(struct desktop_exec *x, const char *word, char code, struct desktop_trouble *ret_trouble) {
    if (code == '\0' || strchr("fFuUickdDnNvm%", code) == NULL)
        return wrong(ret_trouble, "there is no such code", word);
    /* These become any number of words. */
    if (strchr("FUi", code) != NULL && strlen(word) != 2)
        return wrong(ret_trouble, "%F, %U and %i must be words of their own", word);
    if (strchr("fFuU", code) == NULL)
        return 0;
    if (x->file_code != 0)
        return wrong(ret_trouble, "more than one of %f, %F, %u and %U", word);
    x->file_code = code;
    return 0;
}

static int check_word(struct desktop_exec *x, const char *word, struct desktop_trouble *ret_trouble) {
    for (const char *c = strchr(word, '%'); c != NULL; c = strchr(c + 2, '%')) {
        int r = check_code(x, word, c[1], ret_trouble);
        if (r < 0)
            return r;
    }
    return 0;
}

int desktop_exec_parse(const char *text, struct desktop_exec *ret_exec, struct desktop_trouble *ret_trouble) {
    struct desktop_exec x = {0};
    char *buffer = malloc(strlen(text) + 1);
    int r = buffer != NULL ? take_words(text, &x, buffer, ret_trouble) : -ENOMEM;
    free(buffer);
    if (r >= 0 && (x.n_words == 0 || x.words[0][0] == '\0'))
        r = wrong(ret_trouble, "it names no program", text);
    if (r >= 0 && strchr(x.words[0], '=') != NULL)
        r = wrong(ret_trouble, "a program's name has no '='; variables are set with env", x.words[0]);
    for (size_t i = 0; i < x.n_words && r >= 0; i++)
        r = check_word(&x, x.words[i], ret_trouble);
    if (r < 0) {
        desktop_exec_done(&x);
        return r;
    }
    *ret_exec = x;
    return 0;
}

struct expansion {
    char **argv; /* owned */
    size_t n, room;
    const struct desktop_context *context;
    const struct desktop_target *targets;
    size_t n_targets;
    struct desktop_trouble *trouble;
};

static int add(struct expansion *e, char *word) {
    if (word == NULL)
        return -ENOMEM;
    if (e->n == e->room) { /* never: the room was counted */
        free(word);
        return -E2BIG;
    }
    e->argv[e->n++] = word;
    e->argv[e->n] = NULL;
    return 0;
}

static int target_as(struct expansion *e, char code, const struct desktop_target *t, const char **ret_text) {
    *ret_text = code == 'f' || code == 'F' ? t->path : t->uri;
    if (*ret_text != NULL)
        return 0;
    desktop_trouble_set(e->trouble, 0, "it opens local files only (%%%c), and this is none: %.120s", code, t->uri);
    return -EINVAL;
}

/* What a code stands for within a word; "" for what was abolished. */
static int value_of(struct expansion *e, char code, const char **ret_text) {
    const char *text = NULL;
    if (code == '%')
        text = "%";
    else if (code == 'c')
        text = e->context->name;
    else if (code == 'k')
        text = e->context->location;
    else if ((code == 'f' || code == 'u') && e->n_targets > 0)
        return target_as(e, code, &e->targets[0], ret_text);
    *ret_text = text != NULL ? text : "";
    return 0;
}

static int expand_within(struct expansion *e, const char *word) {
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    int r = to != NULL ? 0 : -ENOMEM;
    while (r >= 0 && *word != '\0') {
        size_t plain = strcspn(word, "%");
        fwrite(word, 1, plain, to);
        word += plain;
        if (*word == '\0')
            break;
        const char *value;
        r = value_of(e, word[1], &value);
        if (r >= 0)
            fputs(value, to);
        word += 2;
    }
    if (to != NULL && fclose(to) != 0)
        r = -ENOMEM;
    if (r < 0) {
        free(text);
        return r;
    }
    return add(e, text);
}

static int expand_files(struct expansion *e, char code) {
    for (size_t i = 0; i < e->n_targets; i++) {
        const char *text;
        int r = target_as(e, code, &e->targets[i], &text);
        if (r >= 0)
            r = add(e, strdup(text));
        if (r < 0)
            return r;
    }
    return 0;
}

static int expand_icon(struct expansion *e) {
    if (e->context->icon == NULL || e->context->icon[0] == '\0')
        return 0;
    int r = add(e, strdup("--icon"));
    return r < 0 ? r : add(e, strdup(e->context->icon));
}

static int expand_word(struct expansion *e, const char *word) {
    char code = word[0] == '%' && strlen(word) == 2 ? word[1] : 0;
    if (code == 'F' || code == 'U')
        return expand_files(e, code);
    if (code == 'i')
        return expand_icon(e);
    /* A word that is nothing but such a code is no word where that stands for nothing. */
    if (code != 0 && strchr("dDnNvm", code) != NULL)
        return 0;
    if ((code == 'f' || code == 'u') && e->n_targets == 0)
        return 0;
    return expand_within(e, word);
}

int desktop_exec_expand(const struct desktop_exec *x, const struct desktop_context *context, const struct desktop_target *targets,
                        size_t n_targets, char ***ret_argv, struct desktop_trouble *ret_trouble) {
    struct expansion e = {.context = context, .targets = targets, .n_targets = n_targets, .trouble = ret_trouble};
    /* Of the codes that become more than one word, %i can be there many times, and %F or %U once. */
    e.room = 2 * x->n_words + n_targets;
    e.argv = calloc(e.room + 1, sizeof *e.argv);
    int r = e.argv != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < x->n_words && r >= 0; i++)
        r = expand_word(&e, x->words[i]);
    if (r >= 0 && (e.n == 0 || e.argv[0][0] == '\0'))
        r = wrong(ret_trouble, "it names no program", x->words[0]);
    if (r < 0) {
        desktop_argv_free(e.argv);
        return r;
    }
    *ret_argv = e.argv;
    return 0;
}
