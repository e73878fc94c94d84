/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv zygote`: which zygotes there are and how they do, and what they are told to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "format.h"
#include "json.h"
#include "memory.h"
#include "options.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN };

struct zygote_options {
    struct target target;
    bool json;
};

static const struct option_spec own_options[] = {
    {KEY_JSON, "json", NULL, "list and show: print an array of objects"},
    {0},
};

static const struct usage usage = {
    .name = "zygote",
    .synopsis = "[OPTIONS] list | show NAME... | warm NAME... | stop NAME... | reload NAME...",
    .summary = "Zygotes are processes that have their imports done already, and fork workers for 'forksrv run -z NAME'.\n"
               "Each is declared by a file NAME.conf: see forksrv.zygote(5).\n\n"
               "  list     all of them, a line for each\n"
               "  show     all that is known of one, its last error and its memory among it\n"
               "  warm     start it, and wait until it is ready\n"
               "  stop     have it end; workers that it forked go on\n"
               "  reload   read its file again, warm a new process, and only then let the old one go",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Exit code: 0 done, 1 something failed, 2 wrong use.\n"
            "\n"
            "Example:\n"
            "  forksrv zygote warm numpy && forksrv run -z numpy -- script.py\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct zygote_options *o = data;
    if (key != KEY_JSON)
        return target_set(&o->target, key, argument);
    o->json = true;
    return 0;
}

/* ---- what is known of one ---- */

struct sums {
    struct memory zygote;
    bool zygote_known;
    uint64_t workers_pss;
    unsigned workers_known;
};

static void sum_memory(const struct forksrv_zygote_info *z, const struct forksrv_list *workers, struct sums *ret) {
    struct memory m;
    *ret = (struct sums){0};
    ret->zygote_known = z->pid > 0 && memory_of(z->pid, &ret->zygote);
    for (size_t i = 0; i < forksrv_list_count(workers); i++) {
        const struct forksrv_info *w = forksrv_list_get(workers, i);
        if (w->state != FORKSRV_STATE_RUNNING || strcmp(w->zygote, z->name) != 0 || !memory_of(w->pid, &m))
            continue;
        ret->workers_pss += m.pss;
        ret->workers_known++;
    }
}

static json_t *json_zygote(const struct forksrv_zygote_info *z, const struct sums *s) {
    json_t *o = json_object();
    json_object_set_new(o, "name", json_text(z->name));
    json_object_set_new(o, "state", json_text(z->state));
    json_object_set_new(o, "runtime", json_text(z->runtime));
    json_object_set_new(o, "program", json_text(z->program));
    json_object_set_new(o, "software", z->software[0] != '\0' ? json_text(z->software) : json_null());
    json_object_set_new(o, "pid", z->pid > 0 ? json_integer(z->pid) : json_null());
    json_object_set_new(o, "preload_usec", json_count(z->preload));
    json_object_set_new(o, "warm_usec", json_count(z->warm));
    json_object_set_new(o, "spares", json_count(z->spares));
    json_object_set_new(o, "spares_wanted", json_count(z->spares_wanted));
    json_object_set_new(o, "workers", json_count(z->workers));
    json_object_set_new(o, "waiting", json_count(z->waiting));
    json_object_set_new(o, "workers_max", json_count(z->workers_max));
    json_object_set_new(o, "forks", json_count(z->forks));
    json_object_set_new(o, "starts", json_count(z->starts));
    json_object_set_new(o, "pss_kib", s->zygote_known ? json_count(s->zygote.pss) : json_null());
    json_object_set_new(o, "shared_kib", s->zygote_known ? json_count(s->zygote.shared) : json_null());
    json_object_set_new(o, "workers_pss_kib", json_count(s->workers_pss));
    json_object_set_new(o, "trouble", z->trouble[0] != '\0' ? json_text(z->trouble) : json_null());
    return o;
}

static void add_json(json_t *array, const struct forksrv_zygotes *list, const struct forksrv_list *workers) {
    for (size_t i = 0; i < forksrv_zygotes_count(list); i++) {
        struct sums s;
        sum_memory(forksrv_zygotes_get(list, i), workers, &s);
        json_array_append_new(array, json_zygote(forksrv_zygotes_get(list, i), &s));
    }
}

static const char *memory_text(bool known, uint64_t kib, char *buffer, size_t size) {
    return known ? memory_format(kib, buffer, size) : "-";
}

static void print_table(const struct forksrv_zygotes *list, const struct forksrv_list *workers) {
    printf("%-16s %-8s %7s %9s %7s %7s %6s %7s %7s\n", "NAME", "STATE", "PID", "PRELOAD", "PSS", "SHARED", "SPARES", "WORKERS",
           "FORKS");
    for (size_t i = 0; i < forksrv_zygotes_count(list); i++) {
        const struct forksrv_zygote_info *z = forksrv_zygotes_get(list, i);
        char name[80], state[32], span[32], pss[32], shared[32], pid[16] = "-";
        struct sums s;
        sum_memory(z, workers, &s);
        if (z->pid > 0)
            snprintf(pid, sizeof pid, "%d", (int)z->pid);
        printf("%-16s %-8s %7s %9s %7s %7s %6" PRIu64 " %7" PRIu64 " %7" PRIu64 "\n", say_clean(z->name, name, sizeof name),
               say_clean(z->state, state, sizeof state), pid, z->preload > 0 ? format_span(z->preload, span, sizeof span) : "-",
               memory_text(s.zygote_known, s.zygote.pss, pss, sizeof pss),
               memory_text(s.zygote_known, s.zygote.shared, shared, sizeof shared), z->spares, z->workers, z->forks);
    }
}

static void print_trouble(const char *text) {
    char line[512];
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, "\n");
        char part[512];
        snprintf(part, sizeof part, "%.*s", (int)(n < 500 ? n : 500), at);
        printf("%16s %s\n", at == text ? "trouble" : "", say_clean(part, line, sizeof line));
        at += n + (at[n] == '\n');
    }
}

static void print_one(const struct forksrv_zygote_info *z, const struct sums *s) {
    char text[1024], span[32];
    printf("%16s %s\n", "name", say_clean(z->name, text, sizeof text));
    printf("%16s %s", "state", say_clean(z->state, text, sizeof text));
    if (z->warm > 0)
        printf(", for %s", format_span(z->warm, span, sizeof span));
    printf("\n%16s %s\n", "runtime", say_clean(z->runtime, text, sizeof text));
    printf("%16s %s", "program", say_clean(z->program, text, sizeof text));
    if (z->software[0] != '\0')
        printf(" (%s)", say_clean(z->software, text, sizeof text));
    putchar('\n');
    if (z->pid > 0)
        printf("%16s %d\n", "pid", (int)z->pid);
    if (z->preload > 0)
        printf("%16s %s\n", "preload time", format_span(z->preload, span, sizeof span));
    if (s->zygote_known) {
        printf("%16s %s PSS", "memory", memory_format(s->zygote.pss, text, sizeof text));
        printf(", %s shared", memory_format(s->zygote.shared, text, sizeof text));
        printf(" and %s of its own\n", memory_format(s->zygote.own, text, sizeof text));
    }
    printf("%16s %" PRIu64 " of %" PRIu64 ", %" PRIu64 " waiting", "workers", z->workers, z->workers_max, z->waiting);
    if (s->workers_known > 0)
        printf("; %s PSS together", memory_format(s->workers_pss, text, sizeof text));
    printf("\n%16s %" PRIu64 " of %" PRIu64 "\n", "spares", z->spares, z->spares_wanted);
    printf("%16s %" PRIu64 "\n%16s %" PRIu64 "\n", "forks", z->forks, "starts", z->starts);
    print_trouble(z->trouble);
}

static void print_all(const struct forksrv_zygotes *list, const struct forksrv_list *workers, bool *first) {
    for (size_t i = 0; i < forksrv_zygotes_count(list); i++) {
        struct sums s;
        sum_memory(forksrv_zygotes_get(list, i), workers, &s);
        if (!*first)
            putchar('\n');
        *first = false;
        print_one(forksrv_zygotes_get(list, i), &s);
    }
}

static int failed(const struct forksrv *session) {
    say("%s", forksrv_error(session));
    return EXIT_OWN_FAILURE;
}

/* names NULL: all, as a table. */
static int show(const struct zygote_options *o, struct forksrv *session, char **names) {
    owned_list workers = NULL;
    bool first = true;
    char *all[] = {NULL, NULL};
    int code = 0;
    if (forksrv_list_workers(session, REPLY_TIMEOUT, &workers) < 0)
        return failed(session);
    json_t *array = o->json ? json_array() : NULL;
    for (char **name = names != NULL ? names : all; name == all || *name != NULL; name++) {
        owned_zygotes list = NULL;
        if (forksrv_list_zygotes(session, *name, REPLY_TIMEOUT, &list) < 0)
            code = failed(session);
        else if (o->json)
            add_json(array, list, workers);
        else if (names == NULL)
            print_table(list, workers);
        else
            print_all(list, workers, &first);
        if (name == all)
            break;
    }
    if (o->json && json_print(stdout, array) < 0)
        return EXIT_OWN_FAILURE;
    return code;
}

/* ---- what they are told ---- */

typedef int tell(struct forksrv *session, const char *name, uint64_t timeout);

/* Warming takes as long as it takes: the server has a time limit for it. */
static int tell_each(struct forksrv *session, char **names, tell *tell_it) {
    int code = 0;
    for (; *names != NULL; names++)
        if (tell_it(session, *names, FORKSRV_FOREVER) < 0)
            code = failed(session);
    return code;
}

static const struct {
    const char *name;
    tell *tell_it; /* NULL: show */
} actions[] = {
    {"list", NULL},
    {"show", NULL},
    {"warm", forksrv_warm_zygote},
    {"stop", forksrv_stop_zygote},
    {"reload", forksrv_reload_zygote},
};
enum { ACTIONS = sizeof actions / sizeof actions[0], LIST = 0 };

static int misuse(const char *what, const char *word) {
    char clean[64];
    say("%s%s; see 'forksrv zygote --help'", what, word != NULL ? say_clean(word, clean, sizeof clean) : "");
    return EXIT_MISUSE;
}

int command_zygote(int argc, char **argv) {
    struct zygote_options o = {0};
    owned_session session = NULL;
    int first;
    unsigned a = 0;
    int r = options_parse(&usage, argc, argv, set, &o, &first);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    const char *word = argv[first];
    while (word != NULL && a < ACTIONS && strcmp(actions[a].name, word) != 0)
        a++;
    if (a == ACTIONS)
        return misuse("none of list, show, warm, stop and reload: ", word);
    char **names = word != NULL && argv[first + 1] != NULL ? argv + first + 1 : NULL;
    if ((names == NULL) != (a == LIST))
        return misuse(a == LIST ? "list takes no names: see show" : "which zygote? Its name is missing", NULL);
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    return actions[a].tell_it != NULL ? tell_each(session, names, actions[a].tell_it) : show(&o, session, names);
}
