/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv status`: the counters, limits and texts that the instance tells about itself. Names that this version has never heard
 * of are printed like all others. */
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "cleanup.h"
#include "command.h"
#include "json.h"
#include "options.h"
#include "say.h"
#include "target.h"

enum { KEY_JSON = OPTION_OWN };

struct status_options {
    struct target target;
    bool json;
};

static const struct option_spec own_options[] = {
    {KEY_JSON, "json", NULL, "print an object"},
    {0},
};

static const struct usage usage = {
    .name = "status",
    .synopsis = "[OPTIONS]",
    .summary = "Prints what the instance tells about itself: its version, how many sessions and workers there\n"
               "are, what was refused, and its limits.",
    .groups = {{"Options", own_options}, TARGET_GROUP},
    .more = "Example:\n  forksrv status --json | jq '.\"workers.live\"'\n",
    .misuse = EXIT_MISUSE,
};

static int set(void *data, int key, const char *argument) {
    struct status_options *o = data;
    if (key != KEY_JSON)
        return target_set(&o->target, key, argument);
    o->json = true;
    return 0;
}

static void print_text(const char *address, const struct forksrv_status *status) {
    char clean_name[256], clean_text[1024];
    printf("%-38s %s\n", "address", address);
    for (size_t i = 0; i < forksrv_status_count(status); i++) {
        const char *name, *text;
        uint64_t value;
        if (forksrv_status_get(status, i, &name, &value, &text) < 0)
            continue;
        say_clean(name, clean_name, sizeof clean_name);
        if (text != NULL)
            printf("%-38s %s\n", clean_name, say_clean(text, clean_text, sizeof clean_text));
        else if (value == UINT64_MAX)
            printf("%-38s infinity\n", clean_name);
        else
            printf("%-38s %" PRIu64 "\n", clean_name, value);
    }
}

static int print_json(const char *address, const struct forksrv_status *status) {
    json_t *object = json_object();
    json_object_set_new(object, "address", json_text(address));
    for (size_t i = 0; i < forksrv_status_count(status); i++) {
        const char *name, *text;
        uint64_t value;
        if (forksrv_status_get(status, i, &name, &value, &text) == 0)
            json_object_set_new(object, name, text != NULL ? json_text(text) : json_count(value));
    }
    return json_print(stdout, object);
}

int command_status(int argc, char **argv) {
    struct status_options o = {0};
    owned_session session = NULL;
    owned_status status = NULL;
    int r = options_parse_alone(&usage, argc, argv, set, &o);
    if (r != 0)
        return r < 0 ? EXIT_MISUSE : 0;
    if (target_open(&o.target, &session) < 0)
        return EXIT_OWN_FAILURE;
    r = forksrv_get_status(session, REPLY_TIMEOUT, &status);
    if (r < 0) {
        say("%s", forksrv_error(session));
        return EXIT_OWN_FAILURE;
    }
    if (!o.json)
        print_text(forksrv_address(session), status);
    else if (print_json(forksrv_address(session), status) < 0)
        return EXIT_OWN_FAILURE;
    return 0;
}
