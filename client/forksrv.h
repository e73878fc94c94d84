/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef FORKSRV_H
#define FORKSRV_H

/*
 * forksrv.h - start processes through forksrv, the fork server for systemd.
 *
 * One `struct forksrv` is one session: one authenticated connection to one instance. Many workers
 * can be started on it, and many requests can be under way at once.
 *
 * Rules that hold for every function, unless its own text says otherwise:
 *
 *   Result      0 or a positive value on success, a negative errno on failure. forksrv_error() then
 *               gives one line of text for people: what failed, where, and what to do.
 *   Outputs     are the last parameters, are called ret_..., and are left alone on failure.
 *   Strings     are UTF-8 or plain bytes that end in NUL. They are copied.
 *   Times       are microseconds, uint64_t. Time limits are relative; FORKSRV_FOREVER is none, 0 means
 *               "do not block at all". A call that runs out of time returns -ETIMEDOUT, and can be
 *               made again: nothing is lost by it.
 *   fds         made by the library are close-on-exec. The library closes none that it was given.
 *   Threads     One session, with its workers and specs, belongs to one thread at a time. Different
 *               sessions may be used by different threads at once. There is no global state.
 *   Signals     The library installs no handlers, raises no SIGPIPE and leaves no child that wait()
 *               of the program could see.
 *   A fork      of the program must not go on using a session of its parent.
 *
 * Source standard: C89 with <stdint.h>; usable from C++. _GNU_SOURCE is not needed.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FORKSRV_FOREVER UINT64_MAX

/* The ABI of this header. It grows when functions are added and never changes otherwise: a break
 * of the ABI is a new soname. */
#define FORKSRV_ABI 0

/* The ABI number and the version ("0.1.0") of the library that is loaded. */
unsigned forksrv_abi(void);
const char *forksrv_version(void);

struct forksrv;         /* a session */
struct forksrv_spec;    /* what a worker shall be */
struct forksrv_worker;  /* a worker that was started, or attached to, on a session */
struct forksrv_list;    /* an answer of forksrv_list_workers */
struct forksrv_status;  /* an answer of forksrv_get_status */
struct forksrv_cpython; /* a process of a fork server of CPython */

/* ---- a session ------------------------------------------------------------------------------ */

/* forksrv_new: a session that is not connected yet. -ENOMEM. Free it with forksrv_free. */
int forksrv_new(struct forksrv **ret_session);

/* forksrv_free: ends the session and frees it and all of its workers' handles. Workers of lifetime
 * `session` are ended by the server, detached ones go on. What is queued to be sent is sent if that
 * needs no waiting. A private instance ends, with all of its workers, soon afterwards: it is not waited
 * for, and it is no child of this program. NULL is fine. */
void forksrv_free(struct forksrv *session);

/* What to connect to. Each is optional, and must be called before forksrv_open; NULL takes it back.
 *
 *   address   path of the control socket. Otherwise $FORKSRV_ADDRESS, then the session instance's
 *             $XDG_RUNTIME_DIR/forksrv/control, then the system instance's
 *             /run/forksrv/USER/control of the calling user.
 *   user      take the system instance of that user: /run/forksrv/USER/control. For root, the key
 *             is then looked for as forksrv.authkey.USER in the system credential stores.
 *   authkey   the key itself: exactly 32 bytes, copied, erased by forksrv_free.
 *   authkey_file  a file of exactly 32 bytes that neither group nor others may read. Otherwise
 *             $FORKSRV_AUTHKEY_FILE, $CREDENTIALS_DIRECTORY/forksrv.authkey, systemd's OpenFile= of
 *             that name, $XDG_RUNTIME_DIR/credstore/forksrv.authkey; for root the system's stores.
 *   timeout   the time limit of connect and handshake together. Default: 10 seconds.
 *   daemon    for forksrv_open_private. Otherwise $FORKSRV_DAEMON, then the installed forksrvd.
 *   lazy      if not 0, forksrv_open keeps back the handshake's last word to send it together with
 *             the first request, which saves the server a wake-up. The first request must follow
 *             within a second. Default: 0.
 *   return_time  how long it looks for a server that went away, to come back to its workers; see
 *             libforksrv(3). Default: 0, not at all.
 *
 * Errors: -EINVAL (empty, too long, wrong size), -ENOMEM, -EISCONN (already open). */
int forksrv_set_address(struct forksrv *session, const char *path);
int forksrv_set_user(struct forksrv *session, const char *user);
int forksrv_set_authkey(struct forksrv *session, const void *key, size_t size);
int forksrv_set_authkey_file(struct forksrv *session, const char *path);
int forksrv_set_timeout(struct forksrv *session, uint64_t usec);
int forksrv_set_daemon(struct forksrv *session, const char *path);
int forksrv_set_lazy(struct forksrv *session, int lazy);
int forksrv_set_return_time(struct forksrv *session, uint64_t usec);

/* forksrv_open: connects, makes sure that root or the caller's own uid made the listener, has the
 * server prove that it knows the key, and proves the same to it. Blocks, at most for the timeout.
 * On failure the session can be set up anew and opened again.
 *
 *   -ENOENT, -ECONNREFUSED   no instance: no socket at the address, or nobody behind it
 *   -ENOKEY                  no key was found; the text lists where it was looked for
 *   -EKEYREJECTED            the server refused our key, or could not prove that it has it
 *   -EPERM                   the listener was made by another user, or a key file is readable by others
 *   -EINVAL                  a key file has not exactly 32 bytes, or is no regular file
 *   -EACCES                  no permission for the socket or the key file, or the server takes no
 *                            connection from us now
 *   -EPROTO                  whoever answered does not speak this protocol
 *   -ETIMEDOUT, -ENOMEM, -EISCONN, ... as connect(2) has them */
int forksrv_open(struct forksrv *session);

/* forksrv_open_start: the same without waiting for the handshake, for programs with an event loop, or with several
 * sessions to open at once. Requests can be made right after it: they are queued, and sent once the server has proved
 * itself. forksrv_process() goes on with the handshake, as any blocking call does; FORKSRV_EVENT_OPENED tells that it
 * went well. Otherwise the session is lost, for a reason out of the list above, and what was queued was never sent. The
 * timeout counts from here on; forksrv_process() notices that it is over.
 * -EAGAIN: so many connections wait for the server already that it takes no more. */
int forksrv_open_start(struct forksrv *session);

/* forksrv_open_private: starts a forksrvd of this program's own, with a socket and a key that the
 * library makes and that nobody else ever sees, and connects to it. A key that was set is forgotten. It ends
 * with the session, or with this program and its forks, whatever ends them. It is a child of init (or of the
 * nearest subreaper), not of this program. Errors: those of forksrv_open; -ENOENT: forksrvd was not found. */
int forksrv_open_private(struct forksrv *session);

/* The text of the last failure on this session; "" if there was none. Valid until the next call. */
const char *forksrv_error(const struct forksrv *session);

/* Where the session is, or would be, connected to: the path, or "private". "" before forksrv_open. */
const char *forksrv_address(const struct forksrv *session);

/* ---- what a worker shall be ----------------------------------------------------------------- */

/* A spec starts out with: no argv, an EMPTY environment, working directory "/", fds 0, 1 and 2 on
 * /dev/null and no others, a new session (setsid), all signals default and unblocked, lifetime
 * `session`, everything else as the server has it. It can be used for any number of spawns on any
 * number of sessions. */
int forksrv_spec_new(struct forksrv_spec **ret_spec);
void forksrv_spec_free(struct forksrv_spec *spec);

/* program: what to execute. With a slash in it: that file, relative to the worker's working directory.
 * Without: it is searched for in the PATH of the worker's own environment. Default: argv[0].
 * argv: NULL-terminated, at least argv[0]. Together with the environment at most 3 MiB: -E2BIG. */
int forksrv_spec_set_program(struct forksrv_spec *spec, const char *program);
int forksrv_spec_set_argv(struct forksrv_spec *spec, const char *const *argv);

/* environ: the whole environment, NULL-terminated list of NAME=VALUE; replaces what was set before.
 * setenv, unsetenv change single variables of it. -EINVAL: no '=' or an empty name. */
int forksrv_spec_set_environ(struct forksrv_spec *spec, const char *const *environ_);
int forksrv_spec_setenv(struct forksrv_spec *spec, const char *name, const char *value);
int forksrv_spec_unsetenv(struct forksrv_spec *spec, const char *name);

/* cwd: an absolute path: -EINVAL otherwise. NULL: "/". */
int forksrv_spec_set_cwd(struct forksrv_spec *spec, const char *path);

/* map_fd: the worker gets the caller's `fd` as `target`. The fd is borrowed: it must stay open until
 * forksrv_spawn or forksrv_submit returned. One fd may be mapped to many targets; at most 250
 * mappings of at most 250 different fds: -E2BIG. -EBADF, -EINVAL (target twice, or not 0 to 1023). An fd
 * of -1 takes the mapping of `target` back. */
int forksrv_spec_map_fd(struct forksrv_spec *spec, int fd, int target);

/* umask: 0 to 0777. rlimit: a RLIMIT_* of <sys/resource.h>, RLIM_INFINITY is UINT64_MAX.
 * nice: -20 to 19, absolute. oom_score_adj: -1000 to 1000; it is set just after the exec, and before FORKSRV_REPORT_EXECED is
 * told; a set-user-ID program keeps the server's. blocked, ignored: sets of signals, bit n-1 for signal n, as in
 * /proc/PID/status. */
int forksrv_spec_set_umask(struct forksrv_spec *spec, mode_t mask);
int forksrv_spec_set_rlimit(struct forksrv_spec *spec, int resource, uint64_t soft, uint64_t hard);
int forksrv_spec_set_nice(struct forksrv_spec *spec, int nice);
int forksrv_spec_set_oom_score_adj(struct forksrv_spec *spec, int adj);
int forksrv_spec_set_blocked_signals(struct forksrv_spec *spec, uint64_t set);
int forksrv_spec_set_ignored_signals(struct forksrv_spec *spec, uint64_t set);

/* time_limit: from the start; then SIGTERM, after the grace time SIGKILL, and the end's reason is
 * FORKSRV_REASON_TIME_LIMIT. 0: none (the default). grace: 0 takes the server's (default 5 s). */
int forksrv_spec_set_time_limit(struct forksrv_spec *spec, uint64_t usec);
int forksrv_spec_set_grace(struct forksrv_spec *spec, uint64_t usec);

/* slot_wait: where a limit of the server is reached it keeps the request for so long, until there is room, and then fails it with
 * -EAGAIN. 0: at once (the default). FORKSRV_FOREVER. Nothing is started for a session that is gone, or for a forksrv_spawn that
 * ran out of time. A server that has no room to keep the request refuses it at once. */
int forksrv_spec_set_slot_wait(struct forksrv_spec *spec, uint64_t usec);

/* name: for people, 1 to 64 bytes, no control characters. Need not be unique. */
int forksrv_spec_set_name(struct forksrv_spec *spec, const char *name);

/* Limits of the worker's own cgroup. The worker fails with stage FORKSRV_STAGE_CGROUP and -EOPNOTSUPP
 * where the instance has no such controller. memory_max: bytes. tasks_max: threads and
 * processes. cpu_weight: 1 to 10000. 0: not set. */
int forksrv_spec_set_memory_max(struct forksrv_spec *spec, uint64_t bytes);
int forksrv_spec_set_tasks_max(struct forksrv_spec *spec, uint64_t tasks);
int forksrv_spec_set_cpu_weight(struct forksrv_spec *spec, uint64_t weight);

/* cgroup: the worker begins in that cgroup: a file descriptor of its directory, O_PATH is enough, which stays the caller's and
 * open until the worker is submitted. The kernel lets it if the server's user may move processes there. -1: none. Not with
 * limits. gate: the worker begins when it can read a byte from there, as from a pipe; at its end (the writer is gone) it never
 * does, and fails with -ECANCELED. Until then it can be found, moved and watched. The same rules; -1: none. */
int forksrv_spec_set_cgroup(struct forksrv_spec *spec, int fd);
int forksrv_spec_set_gate(struct forksrv_spec *spec, int fd);

/* zygote: the worker is not executed but forked by that zygote of the instance, which has everything loaded already. argv is then
 * what the zygote's runtime makes of it: for Python "script.py" or "-m" or "-c" and what follows. The program is not used. NULL:
 * none. -EINVAL: no name of a zygote. See forksrv.zygote(5). */
int forksrv_spec_set_zygote(struct forksrv_spec *spec, const char *name);

enum forksrv_spec_flag {
    /* The worker outlives this session. Its end is kept by the server for a while. */
    FORKSRV_DETACHED = 1 << 0,
    /* A process group of its own in the server's session, instead of a session of its own. */
    FORKSRV_PROCESS_GROUP = 1 << 1,
    /* PR_SET_NO_NEW_PRIVS: set-user-ID programs and file capabilities have no effect. */
    FORKSRV_NO_NEW_PRIVS = 1 << 2,
    /* A cgroup of its own even without limits: its descendants, too, end when it is ended. */
    FORKSRV_OWN_CGROUP = 1 << 3,
    /* With a zygote: the worker becomes a zygote itself, for this program alone. Only runtimes that can do that do it:
     * forksrv-zygote(7). */
    FORKSRV_DERIVED = 1 << 4,
    /* fd 0, a terminal that is no other session's, becomes the controlling terminal of the worker's session: TIOCSCTTY. Not with
     * FORKSRV_PROCESS_GROUP. What is no terminal fails at FORKSRV_STAGE_SESSION with -ENOTTY. */
    FORKSRV_CONTROLLING_TERMINAL = 1 << 5,
    /* The worker becomes a child of the service manager that has started the server, to be the main process of a unit, whose
     * cgroup forksrv_spec_set_cgroup names. Once its program runs it is no worker any more, and its handle is
     * FORKSRV_STATE_HANDED_OVER. With it go no FORKSRV_DETACHED, FORKSRV_OWN_CGROUP, limits of a cgroup or of time. */
    FORKSRV_HAND_OVER = 1 << 6
};
int forksrv_spec_set_flags(struct forksrv_spec *spec, unsigned flags);

/* How much the server shall report before the end. */
enum forksrv_report {
    FORKSRV_REPORT_END = 0,     /* nothing: cheapest */
    FORKSRV_REPORT_STARTED = 1, /* once the process exists; its exec can still fail afterwards */
    FORKSRV_REPORT_EXECED = 2   /* once the program runs (the default): a failed exec is a failed spawn */
};
int forksrv_spec_set_report(struct forksrv_spec *spec, enum forksrv_report report);

/* Whether the server shall send a pidfd with its report (default 1; without a report there is none). */
int forksrv_spec_set_pidfd(struct forksrv_spec *spec, int wanted);

/* ---- starting ------------------------------------------------------------------------------- */

/* forksrv_spawn: starts a worker and waits for the report that the spec asks for. The spec
 * can be freed right after it. On failure nothing runs, and the negative errno is that of the stage that
 * failed: -ENOENT for a program that is not there. forksrv_last_stage() tells which stage.
 * With FORKSRV_REPORT_END there is nothing to wait for: a failure is told as after forksrv_submit.
 * -ETIMEDOUT: no report in time; should it still be started, it is killed at once.
 * -EAGAIN: a limit of the server is reached; the text names it (see slot_wait). -ENOTCONN: session lost. */
int forksrv_spawn(struct forksrv *session, const struct forksrv_spec *spec, uint64_t timeout, struct forksrv_worker **ret_worker);

/* forksrv_submit: the same without waiting for anything. The request is queued; forksrv_process() or any
 * blocking call sends it; what became of it is told by an event, or by the worker's state.
 * -EAGAIN: 4 MiB are queued already: process first. */
int forksrv_submit(struct forksrv *session, const struct forksrv_spec *spec, struct forksrv_worker **ret_worker);

enum forksrv_stage {
    FORKSRV_STAGE_NONE = 0,
    FORKSRV_STAGE_REQUEST = 1, /* the request itself */
    FORKSRV_STAGE_LIMIT = 2,   /* a limit of the server */
    FORKSRV_STAGE_CGROUP = 3,
    FORKSRV_STAGE_CLONE = 4,
    FORKSRV_STAGE_SIGNALS = 5,
    FORKSRV_STAGE_SESSION = 6, /* setsid, setpgid, TIOCSCTTY */
    FORKSRV_STAGE_FDS = 7,
    FORKSRV_STAGE_CWD = 8,
    FORKSRV_STAGE_RLIMIT = 9,
    FORKSRV_STAGE_NICE = 10,
    FORKSRV_STAGE_OOM_SCORE = 11,
    FORKSRV_STAGE_PRIVILEGES = 12, /* no_new_privs */
    FORKSRV_STAGE_EXEC = 13,
    FORKSRV_STAGE_ZYGOTE = 14 /* there is no such zygote, it cannot be warmed, or it ended before it forked */
};
/* The stage at which the last forksrv_spawn of this session failed, and a stage's name ("exec"). */
enum forksrv_stage forksrv_last_stage(const struct forksrv *session);
const char *forksrv_stage_name(enum forksrv_stage stage);

/* ---- a worker ------------------------------------------------------------------------------- */

enum forksrv_state {
    FORKSRV_STATE_SUBMITTED = 0,  /* asked for, no answer yet */
    FORKSRV_STATE_RUNNING = 1,    /* reported as started */
    FORKSRV_STATE_FAILED = 2,     /* never ran: see forksrv_worker_failure */
    FORKSRV_STATE_ENDED = 3,      /* ended: see forksrv_worker_end */
    FORKSRV_STATE_LOST = 4,       /* its end is unknown: the session was lost first, or a zygote has not told it */
    FORKSRV_STATE_HANDED_OVER = 5 /* its program runs, and the service manager has it: FORKSRV_HAND_OVER */
};

enum forksrv_reason {
    FORKSRV_REASON_EXITED = 1,
    FORKSRV_REASON_SIGNALLED = 2,
    FORKSRV_REASON_TIME_LIMIT = 3,
    FORKSRV_REASON_SESSION_ENDED = 4,
    FORKSRV_REASON_STOPPED = 5,    /* the instance was stopped */
    FORKSRV_REASON_HANDED_OVER = 6 /* it has not ended: FORKSRV_HAND_OVER */
};
const char *forksrv_reason_name(enum forksrv_reason reason); /* "exited", "time-limit", ... */

/* How a worker ended. Times in microseconds, sizes in KiB. */
struct forksrv_end {
    int code;                   /* exit code 0 to 255, or -1 if a signal ended it; with signo 0: nobody knows */
    int signo;                  /* the signal that ended it, or 0 */
    int core_dumped;            /* 1 if it dumped core */
    enum forksrv_reason reason; /* why */
    uint64_t wall;              /* from its start to its end */
    uint64_t user_time;
    uint64_t system_time;
    uint64_t max_rss;
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t blocks_in;
    uint64_t blocks_out;
    uint64_t voluntary_switches;
    uint64_t involuntary_switches;
    uint64_t reserved[8];
};

/* All of these are cheap and do no I/O. id and pid are 0 while not known. The pidfd is the handle's, or -1;
 * take_pidfd gives it away: the caller closes it. failure: a negative errno, 0 if it did not
 * fail; ret_text and ret_stage may be NULL. end: -EAGAIN while it has not ended. */
uint64_t forksrv_worker_id(const struct forksrv_worker *worker);
pid_t forksrv_worker_pid(const struct forksrv_worker *worker);
int forksrv_worker_pidfd(const struct forksrv_worker *worker);
int forksrv_worker_take_pidfd(struct forksrv_worker *worker);
enum forksrv_state forksrv_worker_state(const struct forksrv_worker *worker);
int forksrv_worker_failure(const struct forksrv_worker *worker, enum forksrv_stage *ret_stage, const char **ret_text);
int forksrv_worker_end(const struct forksrv_worker *worker, struct forksrv_end *ret_end);
void forksrv_worker_set_data(struct forksrv_worker *worker, void *data);
void *forksrv_worker_data(const struct forksrv_worker *worker);

/* forksrv_worker_wait: until it ended (0), failed (its negative errno), was lost (-ENOTCONN) or handed over (-ENODATA). */
int forksrv_worker_wait(struct forksrv_worker *worker, uint64_t timeout, struct forksrv_end *ret_end);

/* forksrv_worker_free: frees the handle only; the worker itself goes on. NULL is fine. */
void forksrv_worker_free(struct forksrv_worker *worker);

/* forksrv_attach: a handle for a worker that another session started: by its id, or, if id is 0, by
 * its name (-EEXIST if several have it). Also for one that ended while its end is still kept.
 * -ESRCH: there is none. */
int forksrv_attach(struct forksrv *session, uint64_t id, const char *name, uint64_t timeout, struct forksrv_worker **ret_worker);

/* ---- other requests: each blocks for the answer ------------------------------------------------ */

enum forksrv_signal_flag {
    FORKSRV_SIGNAL_GROUP = 1 << 0, /* the worker's whole process group */
    FORKSRV_SIGNAL_ALL = 1 << 1    /* everything in the worker's own cgroup; SIGKILL only */
};
/* -ESRCH: no such worker, or it ended already. -EINVAL: no such signal. */
int forksrv_signal(struct forksrv *session, uint64_t id, int signo, unsigned flags, uint64_t timeout);
/* The same, queued without waiting for an answer; for forwarding signals. */
int forksrv_submit_signal(struct forksrv *session, uint64_t id, int signo, unsigned flags);

/* One worker as forksrv_list_workers tells it. Strings live as long as the list. */
struct forksrv_info {
    uint64_t id;
    pid_t pid;
    enum forksrv_state state; /* RUNNING or ENDED */
    unsigned flags;           /* FORKSRV_DETACHED, ... */
    const char *name;         /* "" if it has none */
    const char *program;
    uint64_t session;       /* number of the session that started it; 0: it is gone */
    uint64_t started_at;    /* wall clock, since 1970 */
    struct forksrv_end end; /* of an ENDED one; of a running one only `wall` */
    const char *zygote;     /* "" if it was executed */
};
int forksrv_list_workers(struct forksrv *session, uint64_t timeout, struct forksrv_list **ret_list);
size_t forksrv_list_count(const struct forksrv_list *list);
const struct forksrv_info *forksrv_list_get(const struct forksrv_list *list, size_t index);
void forksrv_list_free(struct forksrv_list *list);

/* The instance's state: named counters and limits ("workers.live", "limit.workers", ...) and texts
 * ("version"). forksrv(1) lists them; new names may come. For a text ret_text is not NULL. */
int forksrv_get_status(struct forksrv *session, uint64_t timeout, struct forksrv_status **ret_status);
size_t forksrv_status_count(const struct forksrv_status *status);
int forksrv_status_get(const struct forksrv_status *status, size_t index, const char **ret_name, uint64_t *ret_value,
                       const char **ret_text);
void forksrv_status_free(struct forksrv_status *status);

/* Zygotes of the instance, declared ones and those that still run. Strings live as long as the list. Times in microseconds. */
struct forksrv_zygote_info {
    const char *name;
    const char *state;    /* "stopped", "starting", "warm", "failed"; new ones may come */
    const char *runtime;  /* "python", "dso", "exec" */
    const char *program;  /* what is executed */
    const char *software; /* what it says that it is: "Python 3.11.2"; "" while it is not warm */
    const char *trouble;  /* the last failure or warning, maybe of several lines; "" */
    pid_t pid;            /* 0: no process */
    uint64_t preload;     /* how long its last start took */
    uint64_t warm;        /* since when it is warm; 0: it is not */
    uint64_t spares;      /* workers that wait forked */
    uint64_t spares_wanted;
    uint64_t workers; /* live ones */
    uint64_t waiting; /* requests */
    uint64_t workers_max;
    uint64_t forks;  /* since the instance started */
    uint64_t starts; /* the same */
    uint64_t reserved[8];
};
struct forksrv_zygotes;
/* name: that one only, -ENOENT if there is none. NULL: all. */
int forksrv_list_zygotes(struct forksrv *session, const char *name, uint64_t timeout, struct forksrv_zygotes **ret_zygotes);
size_t forksrv_zygotes_count(const struct forksrv_zygotes *zygotes);
const struct forksrv_zygote_info *forksrv_zygotes_get(const struct forksrv_zygotes *zygotes, size_t index);
void forksrv_zygotes_free(struct forksrv_zygotes *zygotes);

/* warm: starts it if it is not warm, and waits until it is. stop: has it end; workers that it forked go on. reload: reads its
 * declaration again, warms a new process and only then lets the old one go. -ENOENT: there is none. Another errno: it could
 * not be warmed, and the text says why: a traceback, for Python. */
int forksrv_warm_zygote(struct forksrv *session, const char *name, uint64_t timeout);
int forksrv_stop_zygote(struct forksrv *session, const char *name, uint64_t timeout);
int forksrv_reload_zygote(struct forksrv *session, const char *name, uint64_t timeout);

/* forksrv_watch: from now on events of ALL workers of the instance come in (on = 1), or no more (0). */
int forksrv_watch(struct forksrv *session, int on, uint64_t timeout);

/* forksrv_ping: one round trip on the session. */
int forksrv_ping(struct forksrv *session, uint64_t timeout);

/* ---- events, and foreign event loops ----------------------------------------------------------- */

enum forksrv_event_kind {
    FORKSRV_EVENT_STARTED = 1,       /* a worker of this session runs */
    FORKSRV_EVENT_FAILED = 2,        /* a worker of this session could not be started */
    FORKSRV_EVENT_ENDED = 3,         /* a worker of this session ended */
    FORKSRV_EVENT_WATCH_STARTED = 4, /* forksrv_watch: some worker was started, ... */
    FORKSRV_EVENT_WATCH_FAILED = 5,
    FORKSRV_EVENT_WATCH_ENDED = 6,
    FORKSRV_EVENT_WATCH_LOST = 7, /* this reader was too slow: `count` events are missing */
    FORKSRV_EVENT_CLOSED = 8,     /* the session is lost; comes once, as the last one */
    FORKSRV_EVENT_OPENED = 9      /* after forksrv_open_start: both sides have proved themselves */
};
struct forksrv_event {
    enum forksrv_event_kind kind;
    struct forksrv_worker *worker;   /* 1 to 3: the handle. Otherwise NULL. */
    const struct forksrv_info *info; /* 4 to 6: valid until the next call. Otherwise NULL. */
    int error;                       /* 2, 5: a negative errno; 8: why it was lost. Otherwise 0. */
    enum forksrv_stage stage;        /* 2, 5 */
    const char *text;                /* 2, 5, 8: for people; valid until the next call. Otherwise "". */
    uint64_t count;                  /* 7 */
};

/* fd: to be polled for forksrv_events() (a set of POLLIN and POLLOUT of <poll.h>; it changes with every
 * call on the session). When ready, call forksrv_process(): it sends and receives what is possible without
 * blocking. Then take the events with forksrv_next_event() until it returns 0.
 * process: 0, or negative errno when the session is lost (its FORKSRV_EVENT_CLOSED is queued).
 * next_event: 1 and an event, or 0 if there is none. Events are also queued, never lost, while blocking calls run.
 * A worker's event is dropped when its handle is freed, and by a forksrv_spawn/forksrv_worker_wait that tells the same. */
int forksrv_fd(const struct forksrv *session);
int forksrv_events(const struct forksrv *session);
int forksrv_process(struct forksrv *session);
int forksrv_next_event(struct forksrv *session, struct forksrv_event *ret_event);

/* forksrv_wait_event: blocks until there is an event. 1, or -ETIMEDOUT, or as forksrv_process. */
int forksrv_wait_event(struct forksrv *session, uint64_t timeout, struct forksrv_event *ret_event);

/* ---- a fork server of CPython --------------------------------------------------------------------- */

/* The fork server of Python's multiprocessing, from CPython 3.14 on, and an instance of forksrv with CPythonZygote= serve these.
 * What is needed to reach one is what its own program knows: multiprocessing.forkserver._forkserver has _forkserver_address, a
 * path, and _forkserver_authkey, 32 bytes. The server runs until that program and its processes have ended.
 *
 * The session is used for its address, key and error text only, and must not be open: -EISCONN. It can be used for any number of
 * these calls. forksrv_set_timeout has no meaning for them.
 *
 * forksrv_cpython_call: a process that calls NAME of MODULE, "module:name", with these strings; the name may have dots. args is
 * NULL-terminated, at most 3 MiB; NULL is none. sys.argv has the function and them. The process is a
 * multiprocessing.Process: it exits with 0 when the function returns, whatever that returns, with the code of sys.exit(), and
 * with 1 after an exception, also where there is no such module; the traceback goes to the standard error of the server. Output,
 * folder and environment are those of the server, too.
 *
 * forksrv_cpython_fork: the same with data of one's own: what the process reads, two pickles one after the other, the
 * preparation data of multiprocessing.spawn, and an object whose _bootstrap(sentinel) is called and returns the exit code.
 *
 * fds: n_fds of them, at most 249, are the process's: multiprocessing.forkserver._forkserver.get_inherited_fds() there lists them
 * in this order. NULL with 0. They are borrowed.
 *
 * timeout: for all of it, from the connection to the last byte of what the process is to do. On failure nothing of that
 * has run: a process that was forked already ends by itself. Errors are those of forksrv_open, and
 *   -EINVAL, -E2BIG  not MODULE:NAME; too many strings or fds
 *   -EOPNOTSUPP      an instance of forksrv without CPythonZygote=
 *   -ECONNRESET      the server closed the connection without taking the request
 *   -EIO             it took the request, and could not fork or ended
 *   -ETIMEDOUT, -EMFILE, -EBADF, -ENOMEM, ... */
int forksrv_cpython_call(struct forksrv *session, const char *function, const char *const *args, const int *fds, unsigned n_fds,
                         uint64_t timeout, struct forksrv_cpython **ret_process);
int forksrv_cpython_fork(struct forksrv *session, const void *data, size_t size, const int *fds, unsigned n_fds, uint64_t timeout,
                         struct forksrv_cpython **ret_process);

/* The process is a child of the server, and does not need the session: that can be freed. pid: as the server sees it. fd: the
 * handle's; poll it for POLLIN, then it has ended and forksrv_cpython_wait() does not block. */
pid_t forksrv_cpython_pid(const struct forksrv_cpython *process);
int forksrv_cpython_fd(const struct forksrv_cpython *process);

/* forksrv_cpython_wait: until it ended. ret_code: exit code 0 to 255, or -1 if a signal ended it; ret_signo: that signal, or 0.
 * It can be repeated. -ETIMEDOUT; -ENOTCONN: the server ended first, or could not tell; -EPROTO. There is no text for these. */
int forksrv_cpython_wait(struct forksrv_cpython *process, uint64_t timeout, int *ret_code, int *ret_signo);

/* forksrv_cpython_free: frees the handle only. The process goes on, but multiprocessing.parent_process() of it has ended for it
 * from then on, as it has when this program ends. NULL is fine. */
void forksrv_cpython_free(struct forksrv_cpython *process);

#ifdef __cplusplus
}
#endif

#endif
