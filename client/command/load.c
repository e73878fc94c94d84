/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of loads, and the place that they share: one program, the caller's environment, /dev/null or the caller's files as
 * each way has it by itself. */
#include "load.h"

#include <string.h>
#include <unistd.h>

#include "say.h"

const struct load loads[] = {
    {"posix-spawn", "local posix_spawn", false, false, load_posix_spawn},
    {"fork-exec", "local fork+exec", false, false, load_fork_exec},
    {"session", "forksrv, one session, end only", true, false, load_session_end},
    {"session-started", "forksrv, one session, STARTED+pidfd", true, false, load_session_started},
    {"connection", "forksrv, a connection for each", true, true, load_connection},
    {0},
};

const struct load *load_find(const char *name) {
    for (const struct load *load = loads; load->name != NULL; load++)
        if (strcmp(load->name, name) == 0)
            return load;
    return NULL;
}

static int make_spec(const struct load_place *place, enum forksrv_report report, struct forksrv_spec **ret_spec) {
    union {
        char **given;
        const char *const *wanted;
    } env = {.given = environ};
    struct forksrv_spec *spec = NULL;
    int r = forksrv_spec_new(&spec);
    if (r >= 0)
        r = forksrv_spec_set_argv(spec, place->argv);
    if (r >= 0)
        r = forksrv_spec_set_environ(spec, env.wanted);
    if (r >= 0)
        r = forksrv_spec_set_report(spec, report);
    if (r < 0) {
        say("cannot describe the process: %s", strerror(-r));
        forksrv_spec_free(spec);
        return r;
    }
    *ret_spec = spec;
    return 0;
}

int load_place_connect(const struct load_place *place, struct forksrv **ret_session) {
    struct forksrv *session;
    int r = target_new(place->target, &session);
    if (r < 0)
        return r;
    if (place->key != NULL)
        r = forksrv_set_authkey(session, place->key, 32);
    if (r < 0) {
        say("%s", forksrv_error(session));
        forksrv_free(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

static int open_session(struct load_place *place) {
    int r = load_place_connect(place, &place->session);
    if (r < 0)
        return r;
    r = place->target->use_private ? forksrv_open_private(place->session) : forksrv_open(place->session);
    if (r < 0)
        say("%s", forksrv_error(place->session));
    return r;
}

int load_place_open(struct load_place *place) {
    int r = make_spec(place, FORKSRV_REPORT_END, &place->end);
    if (r == 0)
        r = make_spec(place, FORKSRV_REPORT_STARTED, &place->started);
    return r == 0 ? open_session(place) : r;
}

void load_place_done(struct load_place *place) {
    forksrv_spec_free(place->end);
    forksrv_spec_free(place->started);
    forksrv_free(place->session);
    place->end = place->started = NULL;
    place->session = NULL;
}
