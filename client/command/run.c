/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `forksrv run`: one worker from a command line, and this process as its stand-in. It falls back to a private instance where
 * there is none, but never where there is one that refuses: that would hide a wrong key. */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "ending.h"
#include "json.h"
#include "pseudo-terminal.h"
#include "relay.h"
#include "say.h"
#include "slot.h"
#include "terminal.h"

/* Another user's instance would run the worker as that user. A private one would run it as the caller, who may be root. */
static bool may_fall_back(const struct run_options *o) {
    if (o->no_private || o->detach || o->as_main)
        return false;
    if (o->target.user == NULL)
        return true;
    const struct passwd *p = getpwnam(o->target.user);
    return p != NULL && p->pw_uid == getuid();
}

static const char *no_instance_hint(const struct run_options *o) {
    if (o->detach)
        return " (--detach needs an instance that outlives this command)";
    if (o->as_main)
        return " (--as-main needs an instance that the same service manager has started)";
    if (o->target.user != NULL && !o->no_private)
        return " (a private instance would not run it as that user)";
    return "";
}

static int open_private(struct forksrv *session) {
    int r = forksrv_open_private(session);
    if (r < 0)
        say("%s", forksrv_error(session));
    return r;
}

static int open_session(const struct run_options *o, struct forksrv *session) {
    if (o->target.use_private)
        return open_private(session);
    int r = forksrv_open(session);
    if (r >= 0)
        return 0;
    bool absent = r == -ENOENT || r == -ECONNREFUSED;
    if (absent && may_fall_back(o)) {
        say("using a private instance: %s", forksrv_error(session));
        return open_private(session);
    }
    if (!target_blames_user(&o->target, r))
        say("%s%s", forksrv_error(session), absent ? no_instance_hint(o) : "");
    return r;
}

/* With room for the session: a server that has none says so after the handshake, before it has read any request. */
static int open_with_room(const struct run_options *o, struct slot *slot, struct forksrv **ret_session) {
    for (;;) {
        owned_session session = NULL;
        int r = target_new(&o->target, &session);
        if (r < 0)
            return r;
        /* One wake-up less for the server: the handshake's last word travels with the request that follows at once. */
        forksrv_set_lazy(session, 1);
        r = open_session(o, session);
        if (r < 0)
            return r;
        if (slot_waits(slot))
            r = forksrv_ping(session, REPLY_TIMEOUT);
        if (r >= 0) {
            *ret_session = session;
            session = NULL;
            return 0;
        }
        if (!slot_session_refused(session) || !slot_again(slot)) {
            say("%s", forksrv_error(session));
            return r;
        }
    }
}

/* Before the worker runs, so that a path that cannot be written costs nothing. */
static int open_json(const struct run_options *o, FILE **ret_out) {
    *ret_out = NULL;
    if (o->json_file == NULL)
        return 0;
    *ret_out = fopen(o->json_file, "we");
    if (*ret_out != NULL)
        return 0;
    int r = -errno;
    say("--json-file: cannot write %s: %s", o->json_file, strerror(-r));
    return r;
}

static int print_json(const struct run_options *o, FILE *file, json_t *object) {
    int r = json_print_line(file != NULL ? file : stderr, object);
    if (file != NULL && fflush(file) != 0)
        r = -errno;
    if (r < 0)
        say("--json-file: cannot write %s: %s", o->json_file != NULL ? o->json_file : "", strerror(-r));
    return r;
}

static int report_failure(const struct run_options *o, FILE *json, struct forksrv_worker *worker) {
    enum forksrv_stage stage;
    const char *text;
    int error = forksrv_worker_failure(worker, &stage, &text);
    say("%s", text);
    if (o->json || json != NULL) {
        const char *name = strerrorname_np(-error);
        json_t *object = json_object();
        json_object_set_new(object, "state", json_string("failed"));
        json_object_set_new(object, "stage", json_string(forksrv_stage_name(stage)));
        json_object_set_new(object, "errno", json_string(name != NULL ? name : ""));
        json_object_set_new(object, "error", json_text(text));
        print_json(o, json, object);
    }
    return end_of_failure(stage, error);
}

/* Not all of what it wrote has found a reader. */
static int end_of_loss(int error, const struct forksrv_end *end) {
    if (error == -EPIPE)
        return end_by_signal(SIGPIPE);
    say("cannot write the output: %s", strerror(-error));
    int code = end_as(end);
    return code != 0 ? code : EXIT_RUN_FAILURE;
}

/* 0, or the exit code for a report that could not be written. */
static int report_end(const struct run_options *o, FILE *json, struct forksrv_worker *worker, const struct forksrv_end *end) {
    if (end->reason != FORKSRV_REASON_EXITED && end->reason != FORKSRV_REASON_SIGNALLED)
        say("worker %" PRIu64 " was ended: %s", forksrv_worker_id(worker), forksrv_reason_name(end->reason));
    if (o->json || json != NULL) {
        json_t *object = json_object();
        json_object_set_new(object, "state", json_string("ended"));
        json_object_set_new(object, "id", json_count(forksrv_worker_id(worker)));
        json_object_set_new(object, "pid", json_integer(forksrv_worker_pid(worker)));
        json_object_set_new(object, "end", json_end(end));
        if (print_json(o, json, object) < 0)
            return EXIT_RUN_FAILURE;
    }
    return 0;
}

/* Until it has ended, failed or was lost, or the user gave up. */
static int run_worker(struct relay *relay, struct slot *slot, struct forksrv *session, struct forksrv_spec *spec,
                      struct forksrv_worker **ret_worker) {
    for (;;) {
        enum forksrv_stage stage;
        slot_set(slot, spec);
        int r = forksrv_submit(session, spec, ret_worker);
        if (r >= 0)
            r = relay_run(relay, session, *ret_worker);
        if (r < 0 || forksrv_worker_state(*ret_worker) != FORKSRV_STATE_FAILED)
            return r;
        int error = forksrv_worker_failure(*ret_worker, &stage, NULL);
        /* The server went away before it began: another one is there. */
        if (error != -ECONNRESET && (!slot_refused(stage, error) || !slot_again(slot)))
            return r;
        forksrv_worker_free(*ret_worker);
    }
}

static const char *why_given_up(const struct relay *relay) {
    return relay->over                        ? "nobody reads the output; gave up"
           : relay->for_slot && !relay->begun ? "gave up while the server may have been waiting for a slot"
                                              : "the server has not answered; gave up";
}

static int run_to_the_end(const struct run_options *o, FILE *json, struct pty *pty, struct slot *slot, struct forksrv *session,
                          struct forksrv_spec *spec) {
    struct forksrv_worker *worker;
    struct forksrv_end end;
    struct relay relay;
    int r = relay_init(&relay);
    if (r < 0) {
        say("cannot wait for signals: %s", strerror(-r));
        return EXIT_RUN_FAILURE;
    }
    relay.pty = pty;
    relay.for_slot = slot_waits(slot);
    r = run_worker(&relay, slot, session, spec, &worker);
    terminal_restore();
    relay_done(&relay);
    if (relay.given_up != 0) {
        say("%s", why_given_up(&relay));
        return end_by_signal(relay.given_up);
    }
    if (r < 0) {
        say("%s", forksrv_error(session));
        return EXIT_RUN_FAILURE;
    }
    if (forksrv_worker_state(worker) == FORKSRV_STATE_FAILED)
        return report_failure(o, json, worker);
    if (forksrv_worker_wait(worker, 0, &end) >= 0) {
        int code = report_end(o, json, worker, &end);
        int lost = pty != NULL ? pty_error(pty) : 0;
        return code != 0 ? code : lost < 0 ? end_of_loss(lost, &end) : end_as(&end);
    }
    say("%s; what became of the worker is unknown", forksrv_error(session));
    return EXIT_RUN_FAILURE;
}

static int run_detached(const struct run_options *o, struct slot *slot, struct forksrv *session, struct forksrv_spec *spec) {
    struct forksrv_worker *worker;
    int r = slot_spawn(slot, session, spec, &worker);
    if (r < 0) {
        say("%s", forksrv_error(session));
        return end_of_failure(forksrv_last_stage(session), r);
    }
    if (!o->json) {
        printf("%" PRIu64 "\n", forksrv_worker_id(worker));
        return 0;
    }
    json_t *object = json_object();
    json_object_set_new(object, "id", json_count(forksrv_worker_id(worker)));
    json_object_set_new(object, "pid", json_integer(forksrv_worker_pid(worker)));
    return json_print_line(stdout, object) < 0 ? EXIT_RUN_FAILURE : 0;
}

static int run(const struct run_options *o) {
    owned_session session = NULL;
    owned_spec spec = NULL;
    owned_file json = NULL;
    owned_pty pty = NULL;
    struct slot slot;
    slot_init(&slot, o->slot_wait);
    if (o->pty && pty_new(o->target.user, &pty) < 0)
        return EXIT_RUN_FAILURE;
    if (run_spec_new(o, pty != NULL ? pty_slave(pty) : -1, &spec) < 0 || open_json(o, &json) < 0 ||
        open_with_room(o, &slot, &session) < 0)
        return EXIT_RUN_FAILURE;
    if (o->as_main)
        return run_as_main(session, spec, &slot);
    return o->detach ? run_detached(o, &slot, session, spec) : run_to_the_end(o, json, pty, &slot, session, spec);
}

int command_run(int argc, char **argv) {
    struct run_options o;
    run_options_init(&o);
    int r = run_options_parse(&o, argc, argv);
    int code = r == OPTIONS_HELPED ? 0 : r < 0 ? EXIT_RUN_FAILURE : run(&o);
    run_options_done(&o);
    return code;
}
