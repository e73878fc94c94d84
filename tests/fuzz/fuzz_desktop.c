/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A desktop entry of any content: a locale, an action and a target in the first three lines, the entry in the rest. What comes
 * out of it names a program, has as many arguments as its codes allow, and is the same each time. */
#include <stdio.h>
#include <string.h>

#include "client/command/desktop-exec.h"
#include "client/command/unit-name.h"
#include "tests/fuzz/fuzz.h"

static size_t count(char **argv) {
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    return n;
}

static void same(char **a, char **b) {
    size_t n = count(a);
    HOLDS(count(b) == n);
    for (size_t i = 0; i < n; i++)
        HOLDS(strcmp(a[i], b[i]) == 0);
}

static void expand(const struct desktop_exec *x, const struct desktop_context *context, const struct desktop_target *targets,
                   size_t n) {
    struct desktop_trouble trouble;
    char **argv, **again;
    if (desktop_exec_expand(x, context, targets, n, &argv, &trouble) < 0) {
        HOLDS(trouble.text[0] != '\0' && strlen(trouble.text) < sizeof trouble.text);
        return;
    }
    HOLDS(argv[0] != NULL && argv[0][0] != '\0');
    HOLDS(count(argv) <= 2 * x->n_words + n);
    HOLDS(desktop_exec_expand(x, context, targets, n, &again, &trouble) == 0);
    same(argv, again);
    desktop_argv_free(argv);
    desktop_argv_free(again);
}

static void check_exec(const struct desktop_entry *e, const char *exec, const char *target) {
    const struct desktop_context context = {e->name, e->icon, "/x.desktop"};
    struct desktop_trouble trouble;
    struct desktop_target targets[2] = {{NULL, NULL}, {NULL, NULL}};
    struct desktop_exec x;
    size_t n = 0;
    if (desktop_exec_parse(exec, &x, &trouble) < 0)
        return;
    HOLDS(x.n_words > 0 && x.n_words <= DESKTOP_EXEC_WORDS && x.words[x.n_words] == NULL);
    expand(&x, &context, NULL, 0);
    while (n < 2 && desktop_target_init(&targets[n], target, &trouble) >= 0) {
        HOLDS(targets[n].uri != NULL && (targets[n].path == NULL || targets[n].path[0] == '/'));
        n++;
    }
    expand(&x, &context, targets, n);
    for (size_t i = 0; i < n; i++)
        desktop_target_done(&targets[i]);
    desktop_exec_done(&x);
}

static void check_entry(const char *text, size_t size, const char *locale, const char *action, const char *target) {
    struct desktop_trouble trouble;
    struct desktop_entry e;
    if (desktop_entry_parse(text, size, locale, action, &e, &trouble) < 0) {
        HOLDS(trouble.text[0] != '\0' && strlen(trouble.text) < sizeof trouble.text);
        return;
    }
    if (desktop_entry_check(&e, action, &trouble) >= 0)
        check_exec(&e, action != NULL ? e.action_exec : e.exec, target);
    desktop_entry_done(&e);
}

static void check_name(const char *id) {
    char name[UNIT_NAME_MAX + 1];
    unit_name_of_app(id, "0123456789abcdef", name);
    HOLDS(unit_name_is(name, ".scope"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char words[3][128];
    const char *text = (const char *)data;
    for (unsigned i = 0; i < 3; i++) {
        const char *end = size > 0 ? memchr(text, '\n', size) : NULL;
        if (end == NULL)
            return 0;
        snprintf(words[i], sizeof words[i], "%.*s", (int)(end - text), text);
        size -= (size_t)(end - text) + 1;
        text = end + 1;
    }
    check_name(words[1]);
    check_entry(text, size, words[0], words[1][0] != '\0' ? words[1] : NULL, words[2]);
    return 0;
}
