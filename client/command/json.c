/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --json prints: workers and their ends as objects. Times are microseconds and sizes KiB, as in forksrv.h, and their names
 * say so. jansson costs a start of the command about 40 us of 550 (measured, median of 2000), so it is linked like any library.
 */
#include "json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "format.h"

json_t *json_text(const char *text) {
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    owned_memory char *ascii = strdup(text);
    if (ascii == NULL)
        return NULL;
    for (char *p = ascii; *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(ascii);
}

json_t *json_count(uint64_t value) {
    return value > INT64_MAX ? json_string("infinity") : json_integer((json_int_t)value);
}

static void add_usage(json_t *object, const struct forksrv_end *end) {
    json_object_set_new(object, "wall_usec", json_count(end->wall));
    json_object_set_new(object, "user_usec", json_count(end->user_time));
    json_object_set_new(object, "system_usec", json_count(end->system_time));
    json_object_set_new(object, "max_rss_kib", json_count(end->max_rss));
    json_object_set_new(object, "minor_faults", json_count(end->minor_faults));
    json_object_set_new(object, "major_faults", json_count(end->major_faults));
    json_object_set_new(object, "blocks_in", json_count(end->blocks_in));
    json_object_set_new(object, "blocks_out", json_count(end->blocks_out));
    json_object_set_new(object, "voluntary_switches", json_count(end->voluntary_switches));
    json_object_set_new(object, "involuntary_switches", json_count(end->involuntary_switches));
}

json_t *json_end(const struct forksrv_end *end) {
    char name[32];
    json_t *object = json_object();
    json_object_set_new(object, "code", end->code >= 0 ? json_integer(end->code) : json_null());
    json_object_set_new(object, "signal",
                        end->signo != 0 ? json_string(format_signal(end->signo, name, sizeof name)) : json_null());
    json_object_set_new(object, "core_dumped", json_boolean(end->core_dumped));
    json_object_set_new(object, "reason", json_text(forksrv_reason_name(end->reason)));
    add_usage(object, end);
    return object;
}

json_t *json_info(const struct forksrv_info *info) {
    bool ended = info->state == FORKSRV_STATE_ENDED;
    json_t *object = json_object();
    json_object_set_new(object, "id", json_count(info->id));
    json_object_set_new(object, "pid", json_integer(info->pid));
    json_object_set_new(object, "state", json_string(ended ? "ended" : "running"));
    json_object_set_new(object, "detached", json_boolean(info->flags & FORKSRV_DETACHED));
    json_object_set_new(object, "name", *info->name != '\0' ? json_text(info->name) : json_null());
    json_object_set_new(object, "zygote", info->zygote[0] != '\0' ? json_text(info->zygote) : json_null());
    json_object_set_new(object, "program", json_text(info->program));
    json_object_set_new(object, "session", info->session != 0 ? json_count(info->session) : json_null());
    json_object_set_new(object, "started_at_usec", json_count(info->started_at));
    json_object_set_new(object, "wall_usec", json_count(info->end.wall));
    json_object_set_new(object, "end", ended ? json_end(&info->end) : json_null());
    return object;
}

static int print(FILE *out, json_t *value, size_t flags) {
    /* 0.1 with all of its digits is 0.10000000000000001. */
    flags |= JSON_REAL_PRECISION(15);
    int r = value == NULL ? -ENOMEM : json_dumpf(value, out, flags) < 0 || putc('\n', out) == EOF ? -EIO : 0;
    json_decref(value);
    return r;
}

int json_print(FILE *out, json_t *value) {
    return print(out, value, JSON_INDENT(2));
}

int json_print_line(FILE *out, json_t *value) {
    return print(out, value, JSON_COMPACT);
}
