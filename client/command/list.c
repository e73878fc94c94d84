/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv list`: the workers of the instance, those that run and those whose end is still kept, as a table of 80 columns or as
 * JSON. */
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cleanup.h"
#include "columns.h"
#include "command.h"
#include "format.h"
#include "json.h"
#include "options.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN, KEY_RUNNING };

struct list_options {
    struct target target;
    bool json;
    bool running;
};

static const struct option_spec own_options[] = {
    {KEY_RUNNING, "running", NULL, "leave out those that ended"},
    {KEY_JSON, "json", NULL, "print an array of objects"},
    {0},
};

static const struct usage usage = {
    .name = "list",
    .synopsis = "[OPTIONS]",
    .summary = "Prints the workers of the instance: those that run, and those that ended while their end is\n"
               "kept. Lines are cut to the width of the terminal. A '+' after the id: it is detached.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Example:\n  forksrv list --json | jq '.[] | select(.state == \"running\") | .pid'\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct list_options *o = data;
    if (key == KEY_JSON)
        o->json = true;
    else if (key == KEY_RUNNING)
        o->running = true;
    else
        return target_set(&o->target, key, argument);
    return 0;
}

/* What is not a terminal gets whole lines. */
static int line_width(void) {
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return -1;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

static void print_row(const struct forksrv_info *info, int width) {
    char state[80] = "running", span[32], name[128], line[1024], cut[1024];
    if (info->state == FORKSRV_STATE_ENDED)
        format_end(&info->end, state, sizeof state);
    /* A name that is longer than its column is shown to its end, which columns_fill does not do. */
    int wide = columns_clip(*info->name != '\0' ? info->name : "-", -1, name, sizeof name);
    snprintf(line, sizeof line, "%6" PRIu64 "%c %7d  %-16s %11s  %s%*s  %s", info->id, info->flags & FORKSRV_DETACHED ? '+' : ' ',
             (int)info->pid, state, format_span(info->end.wall, span, sizeof span), name, wide < 12 ? 12 - wide : 0, "",
             info->program);
    columns_clip(line, width, cut, sizeof cut);
    puts(cut);
}

static void print_table(const struct forksrv_list *list, bool only_running) {
    int width = line_width();
    /* How wide the characters of names are. */
    setlocale(LC_CTYPE, "");
    printf("%6s  %7s  %-16s %11s  %-12s  %s\n", "ID", "PID", "STATE", "TIME", "NAME", "PROGRAM");
    for (size_t i = 0; i < forksrv_list_count(list); i++) {
        const struct forksrv_info *info = forksrv_list_get(list, i);
        if (!only_running || info->state == FORKSRV_STATE_RUNNING)
            print_row(info, width);
    }
}

static int print_json(const struct forksrv_list *list, bool only_running) {
    json_t *array = json_array();
    for (size_t i = 0; i < forksrv_list_count(list); i++) {
        const struct forksrv_info *info = forksrv_list_get(list, i);
        if (!only_running || info->state == FORKSRV_STATE_RUNNING)
            json_array_append_new(array, json_info(info));
    }
    return json_print(stdout, array);
}

int command_list(int argc, char **argv) {
    struct list_options o = {0};
    owned_session session = NULL;
    owned_list list = NULL;
    int r = options_parse_alone(&usage, argc, argv, set, &o);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    r = forksrv_list_workers(session, REPLY_TIMEOUT, &list);
    if (r < 0) {
        say("%s", forksrv_error(session));
        return EXIT_OWN_FAILURE;
    }
    if (!o.json)
        print_table(list, o.running);
    else if (print_json(list, o.running) < 0)
        return EXIT_OWN_FAILURE;
    return 0;
}
