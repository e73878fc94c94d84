/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A list of words, as one block: one string after the other, each with its NUL. */
struct words {
    char *data; /* owned, or NULL */
    size_t size, count;
};

/* For each word of a list; `word` is declared by it. */
#define WORDS_FOREACH(word, w)                                                                                                   \
    for (const char *word = (w)->data; word != NULL && word < (w)->data + (w)->size; word += strlen(word) + 1)

/* Adds one word. False: no memory. */
bool words_add(struct words *w, const char *word, size_t size);
bool words_have(const struct words *w, const char *word);
void words_done(struct words *w);

/* The next word in `*text`, without its quotes, at the start of `word`, which has room for all of the text. 1, 0 at the end,
 * -EINVAL: a quote is not closed. */
int words_next(const char **text, char *word, size_t *ret_size);
