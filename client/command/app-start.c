/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starting an application: the worker waits at its gate, is put into its unit, and only then begins. If it cannot have its unit,
 * it never runs. It is handed over to the service manager, as whose child it goes on, whatever becomes of us and of the server.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app.h"
#include "cleanup.h"
#include "command.h"
#include "held.h"
#include "run.h"
#include "say.h"
#include "userbus.h"

enum { PATIENCE_USEC = 30 * 1000 * 1000 };

/* What systemd tells the processes of a unit is not meant for those of another one. */
static const struct run_variable not_inherited[] = {
    {"NOTIFY_SOCKET", true},  {"WATCHDOG_PID", true},          {"WATCHDOG_USEC", true},  {"LISTEN_PID", true},
    {"LISTEN_FDS", true},     {"LISTEN_FDNAMES", true},        {"LISTEN_PIDFDID", true}, {"INVOCATION_ID", true},
    {"JOURNAL_STREAM", true}, {"CREDENTIALS_DIRECTORY", true}, {"MAINPID", true},        {"SYSTEMD_EXEC_PID", true},
};

enum { N_NOT_INHERITED = sizeof not_inherited / sizeof not_inherited[0] };

static void drop_bus(struct userbus **b) {
    userbus_free(*b);
}

static int begin(struct held *h) {
    int r = held_begin(h, PATIENCE_USEC);
    if (r == -EPIPE)
        say("the process was ended before it began");
    else if (r < 0)
        say("%s; whether the program runs systemctl --user knows", forksrv_error(h->session));
    return r < 0 ? EXIT_RUN_FAILURE : r;
}

/* Where the worker waits: with the manager that made the session's socket, until that moves it. */
static int open_waiting_room(struct forksrv *session, int *ret_fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(forksrv_fd(session), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid != getuid() || peer.pid <= 0) {
        say("the instance at %s is not that of your session, and an application needs that one; see 'systemctl --user status "
            "forksrv.socket'",
            forksrv_address(session));
        return -EPERM;
    }
    int r = held_cgroup_of(peer.pid, ret_fd);
    if (r < 0)
        say("cannot open the cgroup of the service manager: %s", strerror(-r));
    return r;
}

static int start_in_unit(const struct app_options *o, const struct app_plan *p, const struct app_process *process,
                         struct forksrv *session, struct userbus *bus, struct forksrv_spec *spec) {
    struct held held;
    owned_fd room = -1;
    if (open_waiting_room(session, &room) < 0)
        return EXIT_RUN_FAILURE;
    int code = held_start(session, spec, room, NULL, &held);
    if (code != 0)
        return code;
    const struct scope scope = {
        process->unit, o->slice, p->description, p->source, forksrv_worker_pid(held.worker), forksrv_worker_pidfd(held.worker),
    };
    code = userbus_start_scope(bus, &scope) < 0 ? EXIT_RUN_FAILURE : begin(&held);
    held_free(&held);
    return code;
}

static int start_one(const struct app_options *o, const struct app_plan *p, const struct app_process *process,
                     struct forksrv *session, struct userbus *bus) {
    struct run_variable variables[N_NOT_INHERITED + 1];
    struct run_options run;
    char pwd[PATH_MAX + 4];
    owned_spec spec = NULL;
    run_options_init(&run);
    memcpy(variables, not_inherited, sizeof not_inherited);
    run.variables = variables;
    run.n_variables = N_NOT_INHERITED;
    if (p->folder != NULL && snprintf(pwd, sizeof pwd, "PWD=%s", p->folder) < (int)sizeof pwd)
        variables[run.n_variables++] = (struct run_variable){pwd, false};
    run.argv = process->argv;
    run.chdir = p->folder;
    run.zygote = o->zygote;
    run.detach = true; /* no standard files of ours */
    run.flags = FORKSRV_HAND_OVER;
    /* What it prints goes to the journal, which files it under the unit by the process that wrote it. */
    owned_fd journal = userbus_journal(bus, p->id);
    for (int fd = 1; fd <= 2 && journal >= 0; fd++)
        run.fds[run.n_fds++] = (struct run_fd){fd, journal};
    char name[65];
    snprintf(name, sizeof name, "%.64s", p->id);
    run.name = say_clean(name, name, sizeof name);
    if (run_spec_new(&run, -1, &spec) < 0)
        return EXIT_RUN_FAILURE;
    return start_in_unit(o, p, process, session, bus, spec);
}

static int open_session(const struct app_options *o, struct forksrv *session) {
    /* The handshake's last word travels with the request that follows at once. */
    forksrv_set_lazy(session, 1);
    int r = forksrv_open(session);
    if (r >= 0)
        return 0;
    bool absent = r == -ENOENT || r == -ECONNREFUSED;
    if (!target_blames_user(&o->target, r))
        say("%s%s", forksrv_error(session), absent ? "; start one: systemctl --user enable --now forksrv.socket" : "");
    return r;
}

int app_start(const struct app_options *o, const struct app_plan *p) {
    owned_session session = NULL;
    __attribute__((cleanup(drop_bus))) struct userbus *bus = NULL;
    /* The bus's greetings go on while the session's are under way. */
    if (target_new(&o->target, &session) < 0 || userbus_new(&bus) < 0 || open_session(o, session) < 0)
        return EXIT_RUN_FAILURE;
    int code = 0;
    for (size_t i = 0; i < p->n_processes && code == 0; i++)
        code = start_one(o, p, &p->processes[i], session, bus);
    return code;
}
