/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Terminal=true: which terminal, and how it is told what to run. There is no common way, so those that take no -e are known by
 * name. It starts none itself. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app.h"
#include "cleanup.h"
#include "say.h"

enum { TERMINAL_WORDS = 32 };

static bool is_program(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

bool app_can_run(const char *program) {
    char path[PATH_MAX];
    const char *folders = getenv("PATH");
    if (strchr(program, '/') != NULL)
        return is_program(program);
    owned_memory char *copy = strdup(folders != NULL && folders[0] != '\0' ? folders : "/usr/local/bin:/usr/bin:/bin");
    char *rest = copy;
    for (const char *folder; (folder = strsep(&rest, ":")) != NULL;)
        if (snprintf(path, sizeof path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "./", program) < (int)sizeof path &&
            is_program(path))
            return true;
    return false;
}

static const char *separator_of(const char *terminal) {
    static const char *const others[][2] = {
        {"gnome-terminal", "--"},    {"kgx", "--"},           {"ptyxis", "--"},
        {"xfce4-terminal", "-x"},    {"mate-terminal", "-x"}, {"terminator", "-x"},
        {"xdg-terminal-exec", NULL},
    };
    const char *slash = strrchr(terminal, '/');
    const char *name = slash != NULL ? slash + 1 : terminal;
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i][0]) == 0)
            return others[i][1];
    return "-e";
}

/* $TERMINAL is a program, and may have options after it. */
static size_t terminal_words(char *text, const char *ret_words[TERMINAL_WORDS + 2]) {
    size_t n = 0;
    for (char *rest = text, *word; n < TERMINAL_WORDS && (word = strsep(&rest, " \t")) != NULL;)
        if (word[0] != '\0')
            ret_words[n++] = word;
    const char *separator = n > 0 ? separator_of(ret_words[0]) : NULL;
    if (separator != NULL)
        ret_words[n++] = separator;
    return n;
}

static char **joined(const char *const *front, size_t n_front, char **argv) {
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    char **all = calloc(n_front + n + 1, sizeof *all);
    bool whole = all != NULL;
    for (size_t i = 0; i < n_front && whole; i++) {
        all[i] = strdup(front[i]);
        whole = all[i] != NULL;
    }
    if (!whole) {
        desktop_argv_free(all);
        desktop_argv_free(argv);
        return NULL;
    }
    memcpy(all + n_front, argv, n * sizeof *argv);
    free(argv);
    return all;
}

int app_in_terminal(char **argv, char ***ret_argv) {
    const char *words[TERMINAL_WORDS + 2], *named = getenv("TERMINAL");
    char clean[128];
    owned_memory char *text = strdup(named != NULL && named[0] != '\0' ? named : "xdg-terminal-exec");
    size_t n = text != NULL ? terminal_words(text, words) : 0;
    if (n == 0 || !app_can_run(words[0])) {
        if (n > 0 && named != NULL && named[0] != '\0')
            say("it needs a terminal, and $TERMINAL names '%s', which is not there", say_clean(words[0], clean, sizeof clean));
        else
            say("it needs a terminal: set $TERMINAL to the program, or install xdg-terminal-exec");
        desktop_argv_free(argv);
        return -ENOENT;
    }
    char **all = joined(words, n, argv);
    if (all == NULL) {
        say("out of memory");
        return -ENOMEM;
    }
    *ret_argv = all;
    return 0;
}
