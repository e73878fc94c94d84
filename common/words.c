/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of words, and a line cut into words. What they mean it does not know. */
#include "common/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool words_add(struct words *w, const char *word, size_t size) {
    char *data = realloc(w->data, w->size + size + 1);
    if (data == NULL)
        return false;
    memcpy(data + w->size, word, size);
    data[w->size + size] = 0;
    w->data = data;
    w->size += size + 1;
    w->count++;
    return true;
}

bool words_have(const struct words *w, const char *word) {
    WORDS_FOREACH(known, w) {
        if (strcmp(known, word) == 0)
            return true;
    }
    return false;
}

void words_done(struct words *w) {
    free(w->data);
    *w = (struct words){0};
}

int words_next(const char **text, char *word, size_t *ret_size) {
    const char *p = *text + strspn(*text, " \t");
    size_t n = 0;
    char quote = 0;
    if (*p == 0)
        return 0;
    for (; *p != 0 && (quote != 0 || (*p != ' ' && *p != '\t')); p++) {
        if (quote == 0 && (*p == '"' || *p == '\''))
            quote = *p;
        else if (*p == quote)
            quote = 0;
        else
            word[n++] = *p;
    }
    *text = p;
    *ret_size = n;
    return quote == 0 ? 1 : -EINVAL;
}
