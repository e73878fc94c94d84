/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `forksrv app` is going to do: which processes, in which units. It starts nothing, so that --dry-run can show it. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "app.h"
#include "command.h"
#include "say.h"

void app_plan_done(struct app_plan *p) {
    for (size_t i = 0; i < p->n_processes; i++)
        desktop_argv_free(p->processes[i].argv);
    free(p->processes);
    free(p->id);
    free(p->description);
    free(p->folder);
    desktop_file_done(&p->file);
    desktop_entry_done(&p->entry);
    *p = (struct app_plan){0};
}

int app_plan_add(struct app_plan *p, char **argv) {
    struct app_process *more = reallocarray(p->processes, p->n_processes + 1, sizeof *more);
    if (more == NULL) {
        desktop_argv_free(argv);
        return -ENOMEM;
    }
    p->processes = more;
    p->processes[p->n_processes++] = (struct app_process){.argv = argv};
    return 0;
}

static char **copy(char **argv) {
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    char **made = calloc(n + 1, sizeof *made);
    for (size_t i = 0; i < n && made != NULL; i++) {
        made[i] = strdup(argv[i]);
        if (made[i] == NULL) {
            desktop_argv_free(made);
            return NULL;
        }
    }
    return made;
}

static int plan_program(const struct app_options *o, struct app_plan *p) {
    const char *name = o->zygote != NULL ? o->zygote : o->words[0], *slash = strrchr(name, '/');
    char **argv = copy(o->words);
    p->id = strdup(slash != NULL && slash[1] != '\0' ? slash + 1 : name);
    p->description = strdup(name);
    if (argv == NULL || p->id == NULL || p->description == NULL) {
        desktop_argv_free(argv);
        say("out of memory");
        return EXIT_RUN_FAILURE;
    }
    if (o->terminal && app_in_terminal(argv, &argv) < 0)
        return EXIT_RUN_FAILURE;
    if (app_plan_add(p, argv) >= 0)
        return 0;
    say("out of memory");
    return EXIT_RUN_FAILURE;
}

/* What the bus takes for a string: UTF-8 without control characters, which in a description are of no use. */
static bool is_text(const char *s) {
    for (const unsigned char *c = (const unsigned char *)s; *c != 0; c++) {
        unsigned more = *c >= 0xf0 ? 3 : *c >= 0xe0 ? 2 : *c >= 0xc0 ? 1 : 0;
        uint32_t code = more == 0 ? *c : *c & (0x3fU >> more);
        if (*c < 0x20 || *c == 0x7f || (*c >= 0x80 && *c < 0xc2) || *c > 0xf4)
            return false;
        for (unsigned i = 0; i < more; i++) {
            if ((c[1] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (*++c & 0x3f);
        }
        if ((more == 2 && code < 0x800) || (more == 3 && code < 0x10000) || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
            return false;
    }
    return true;
}

static int replace(char **text, const char *by) {
    char *made = strdup(by);
    if (made == NULL) {
        say("out of memory");
        return EXIT_RUN_FAILURE;
    }
    free(*text);
    *text = made;
    return 0;
}

static int name_units(const struct app_options *o, struct app_plan *p) {
    uint64_t number;
    char random[17];
    for (size_t i = 0; i < p->n_processes; i++) {
        if (o->unit[0] != '\0') {
            strcpy(p->processes[i].unit, o->unit);
            continue;
        }
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) {
            say("no random numbers: %s", strerror(errno));
            return EXIT_RUN_FAILURE;
        }
        snprintf(random, sizeof random, "%016llx", (unsigned long long)number);
        unit_name_of_app(p->id, random, p->processes[i].unit);
    }
    if (o->unit[0] == '\0' || p->n_processes == 1)
        return 0;
    say("--unit names one unit, and this starts %zu processes: one for each file", p->n_processes);
    return EXIT_RUN_FAILURE;
}

int app_plan_make(const struct app_options *o, struct app_plan *ret_plan) {
    struct app_plan p = {0};
    int code = app_is_entry(o->words[0]) ? app_plan_entry(o, &p) : plan_program(o, &p);
    if (code == 0 && o->name != NULL)
        code = replace(&p.id, o->name);
    if (code == 0 && o->description != NULL)
        code = replace(&p.description, o->description);
    if (code == 0 && !is_text(p.description))
        code = replace(&p.description, is_text(p.id) ? p.id : "application");
    if (code == 0)
        code = name_units(o, &p);
    if (code != 0) {
        app_plan_done(&p);
        return code;
    }
    if (p.source != NULL && !is_text(p.source))
        p.source = NULL;
    *ret_plan = p;
    return 0;
}
