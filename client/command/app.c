/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv app`: an application of the desktop in a unit of its own. Here are its steps, and what --dry-run shows of them. */
#include "app.h"

#include <stdio.h>

#include "command.h"

/* One line for each, whatever is in it. */
static void print(const char *name, const char *text) {
    printf("%s=", name);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '\\')
            fputs("\\\\", stdout);
        else if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
    putchar('\n');
}

static void show(const struct app_options *o, const struct app_plan *p, const struct app_process *process) {
    /* As systemctl takes them: their backslashes are part of the names. */
    printf("Unit=%s\nSlice=%s\n", process->unit, o->slice);
    print("Description", p->description);
    if (p->source != NULL)
        print("SourcePath", p->source);
    if (p->folder != NULL)
        print("WorkingDirectory", p->folder);
    if (o->zygote != NULL)
        print("Zygote", o->zygote);
    for (char **word = process->argv; *word != NULL; word++)
        print("Argument", *word);
}

int command_app(int argc, char **argv) {
    struct app_options o;
    struct app_plan p;
    int r = app_options_parse(&o, argc, argv);
    if (r != 0)
        return r == OPTIONS_HELPED ? 0 : EXIT_RUN_FAILURE;
    int code = app_plan_make(&o, &p);
    if (code != 0)
        return code;
    for (size_t i = 0; i < p.n_processes && o.dry_run; i++) {
        if (i > 0)
            putchar('\n');
        show(&o, &p, &p.processes[i]);
    }
    if (!o.dry_run)
        code = app_start(&o, &p);
    app_plan_done(&p);
    return code;
}
