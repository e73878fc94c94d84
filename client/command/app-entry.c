/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a desktop entry and what it shall open to the argument vectors of its processes. It starts nothing. */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app.h"
#include "cleanup.h"
#include "command.h"
#include "say.h"

static const char suffix[] = ".desktop";

/* Where the name of the entry ends: at its end, or at the ':' of an action; NULL: it is no such name. */
static const char *end_of_name(const char *word) {
    const char *at = NULL;
    for (const char *c = word; (c = strstr(c, suffix)) != NULL; c++) {
        const char *end = c + sizeof suffix - 1;
        if (c != word && c[-1] != '/' && (end[0] == '\0' || (end[0] == ':' && strchr(end, '/') == NULL)))
            at = end;
    }
    return at;
}

bool app_is_entry(const char *word) {
    return end_of_name(word) != NULL;
}

/* LC_MESSAGES by the variables, as POSIX orders them. */
static const char *messages_locale(void) {
    static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (unsigned i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return value;
    }
    return "";
}

static int wrong_entry(const struct app_plan *p, const struct desktop_trouble *trouble) {
    char clean[256];
    say_clean(p->file.path, clean, sizeof clean);
    if (trouble->line > 0)
        say("%s:%u: %s", clean, trouble->line, trouble->text);
    else
        say("%s: %s", clean, trouble->text);
    return EXIT_RUN_FAILURE;
}

static int no_memory(void) {
    say("out of memory");
    return EXIT_RUN_FAILURE;
}

/* ---- what it opens ---- */

struct targets {
    struct desktop_target list[APP_TARGETS];
    size_t n;
};

static void targets_free(struct targets **t) {
    for (size_t i = 0; *t != NULL && i < (*t)->n; i++)
        desktop_target_done(&(*t)->list[i]);
    free(*t);
}

static bool has_scheme(const char *text) {
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return size > 0 && text[size] == ':' && strchr("0123456789+.-", text[0]) == NULL;
}

/* A URI; or a path, which becomes absolute, since the program does not work here. A file here may have a ':' in its name. */
static int add_target(struct targets *t, const char *here, const char *word) {
    struct desktop_trouble trouble;
    owned_memory char *whole = NULL;
    const char *text = word;
    if (word[0] == '\0') {
        say("a URI or a file has an empty name");
        return -EINVAL;
    }
    if (word[0] != '/' && (!has_scheme(word) || access(word, F_OK) == 0)) {
        if (asprintf(&whole, "%s/%s", here, strncmp(word, "./", 2) == 0 ? word + 2 : word) < 0) {
            whole = NULL;
            say("out of memory");
            return -ENOMEM;
        }
        text = whole;
    }
    int r = desktop_target_init(&t->list[t->n], text, &trouble);
    if (r < 0)
        say("%s", r == -ENOMEM ? "out of memory" : trouble.text);
    else
        t->n++;
    return r;
}

static int take_targets(char **words, struct targets *t) {
    char here[PATH_MAX];
    if (words[0] != NULL && getcwd(here, sizeof here) == NULL) {
        say("cannot find the working directory: %s", strerror(errno));
        return EXIT_RUN_FAILURE;
    }
    for (; *words != NULL; words++) {
        if (t->n == APP_TARGETS) {
            say("more than %d files", APP_TARGETS);
            return EXIT_RUN_FAILURE;
        }
        if (add_target(t, here, *words) < 0)
            return EXIT_RUN_FAILURE;
    }
    return 0;
}

/* ---- its processes ---- */

static int add_process(struct app_plan *p, const struct desktop_exec *x, const struct desktop_context *context,
                       const struct desktop_target *targets, size_t n, bool in_terminal) {
    struct desktop_trouble trouble;
    char **argv;
    int r = desktop_exec_expand(x, context, targets, n, &argv, &trouble);
    if (r < 0)
        return r == -ENOMEM ? no_memory() : wrong_entry(p, &trouble);
    if (in_terminal && app_in_terminal(argv, &argv) < 0)
        return EXIT_RUN_FAILURE;
    return app_plan_add(p, argv) < 0 ? no_memory() : 0;
}

static int add_processes(const struct app_options *o, struct app_plan *p, const struct desktop_exec *x,
                         const struct desktop_context *context, const struct targets *t) {
    bool in_terminal = o->terminal || p->entry.terminal;
    if (t->n > 0 && x->file_code == 0) {
        struct desktop_trouble trouble;
        desktop_trouble_set(&trouble, 0, "it opens no files or URIs: its Exec= has none of %%f, %%F, %%u and %%U");
        return wrong_entry(p, &trouble);
    }
    if (t->n < 2 || x->file_code == 'F' || x->file_code == 'U')
        return add_process(p, x, context, t->list, t->n, in_terminal);
    int code = 0;
    for (size_t i = 0; i < t->n && code == 0; i++)
        code = add_process(p, x, context, &t->list[i], 1, in_terminal);
    return code;
}

static int plan_processes(const struct app_options *o, struct app_plan *p, const char *action) {
    const struct desktop_entry *e = &p->entry;
    const char *icon = e->action_icon != NULL && action != NULL ? e->action_icon : e->icon;
    const struct desktop_context context = {e->name, icon, p->file.path};
    struct desktop_trouble trouble;
    struct desktop_exec x;
    __attribute__((cleanup(targets_free))) struct targets *t = calloc(1, sizeof *t);
    if (t == NULL)
        return no_memory();
    int code = take_targets(o->words + 1, t);
    if (code != 0)
        return code;
    int r = desktop_exec_parse(action != NULL ? e->action_exec : e->exec, &x, &trouble);
    if (r < 0)
        return r == -ENOMEM ? no_memory() : wrong_entry(p, &trouble);
    code = add_processes(o, p, &x, &context, t);
    desktop_exec_done(&x);
    return code;
}

/* ---- the rest of it ---- */

static const char *home(void) {
    const char *path = getenv("HOME");
    if (path != NULL && path[0] == '/')
        return path;
    const struct passwd *p = getpwuid(getuid());
    return p != NULL && p->pw_dir[0] == '/' ? p->pw_dir : "/";
}

static int plan_texts(struct app_plan *p, const char *action) {
    const struct desktop_entry *e = &p->entry;
    const char *name = e->name != NULL && e->name[0] != '\0' ? e->name : p->file.id;
    const char *folder = e->path != NULL && e->path[0] == '/' ? e->path : home();
    if (e->path != NULL && e->path[0] != '\0' && e->path[0] != '/') {
        struct desktop_trouble trouble;
        desktop_trouble_set(&trouble, 0, "its Path= is not absolute: %.160s", e->path);
        return wrong_entry(p, &trouble);
    }
    p->id = strndup(p->file.id, strlen(p->file.id) - (sizeof suffix - 1));
    p->folder = strdup(folder);
    if (action != NULL && e->action_name != NULL) {
        if (asprintf(&p->description, "%s - %s", name, e->action_name) < 0)
            p->description = NULL;
    } else {
        p->description = strdup(name);
    }
    p->source = p->file.path;
    return p->id != NULL && p->folder != NULL && p->description != NULL ? 0 : no_memory();
}

static int check_entry(const struct app_plan *p, const char *action) {
    struct desktop_trouble trouble;
    int r = desktop_entry_check(&p->entry, action, &trouble);
    if (r < 0) {
        wrong_entry(p, &trouble);
        return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_RUN_FAILURE;
    }
    const char *try_exec = p->entry.try_exec;
    if (try_exec == NULL || try_exec[0] == '\0' || app_can_run(try_exec))
        return 0;
    desktop_trouble_set(&trouble, 0, "it is not installed: TryExec=%.160s is not there", try_exec);
    wrong_entry(p, &trouble);
    return EXIT_NOT_FOUND;
}

int app_plan_entry(const struct app_options *o, struct app_plan *p) {
    struct desktop_trouble trouble;
    const char *end = end_of_name(o->words[0]), *action = end[0] == ':' ? end + 1 : NULL;
    owned_memory char *name = strndup(o->words[0], (size_t)(end - o->words[0]));
    if (name == NULL)
        return no_memory();
    int r = desktop_file_find(name, &p->file);
    if (r < 0)
        return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_RUN_FAILURE;
    r = desktop_entry_parse(p->file.text, p->file.size, messages_locale(), action, &p->entry, &trouble);
    if (r < 0)
        return r == -ENOMEM ? no_memory() : wrong_entry(p, &trouble);
    int code = check_entry(p, action);
    if (code == 0)
        code = plan_texts(p, action);
    return code != 0 ? code : plan_processes(o, p, action);
}
