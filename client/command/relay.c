/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signals of this process become signals of its worker, and what its terminal has to say or to hear is moved meanwhile. Signals
 * are blocked and read from a signalfd, so that none is lost: those that come before the worker runs are kept until its id is
 * known. It installs no handlers. */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "slot.h"

static const int relayed[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGTSTP, SIGWINCH};

int relay_init(struct relay *relay) {
    *relay = (struct relay){.fd = -1};
    sigset_t set, saved;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof relayed / sizeof relayed[0]; i++) {
        struct sigaction action;
        /* What the caller has us ignore (nohup, a job in the background) stays ignored. Blocked, it would be kept and passed on.
         */
        if (sigaction(relayed[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(&set, relayed[i]);
    }
    if (sigprocmask(SIG_BLOCK, &set, &saved) < 0)
        return -errno;
    relay->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (relay->fd < 0) {
        int r = -errno;
        sigprocmask(SIG_SETMASK, &saved, NULL);
        return r;
    }
    return 0;
}

void relay_done(struct relay *relay) {
    if (relay->fd < 0)
        return;
    close(relay->fd);
    relay->fd = -1;
}

/* Sends all that is queued; what it receives is kept as events and as the worker's state. */
static int flush_session(struct forksrv *session) {
    int r = forksrv_process(session);
    while (r >= 0 && (forksrv_events(session) & POLLOUT)) {
        struct pollfd p = {.fd = forksrv_fd(session), .events = POLLOUT};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return -errno;
        r = forksrv_process(session);
    }
    return r;
}

/* The worker has no terminal of its own, or one that is its session's alone; and the kernel drops SIGTSTP for a session that has
 * none to come back from. So it is stopped outright, then this process is, as the shell expects; SIGCONT is passed on like any
 * other. */
static int stop_both(struct relay *relay, struct forksrv *session, uint64_t id, unsigned flags, bool typed) {
    if (relay->pty != NULL)
        flags = FORKSRV_SIGNAL_GROUP;
    int r = forksrv_submit_signal(session, id, SIGSTOP, flags);
    if (r >= 0)
        r = flush_session(session);
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    if (relay->pty == NULL) {
        raise(SIGSTOP);
        return 0;
    }
    pty_stop(relay->pty, typed);
    pty_resume(relay->pty);
    /* Also where nothing stopped us: a process group that is orphaned itself takes no SIGTSTP. */
    r = forksrv_submit_signal(session, id, SIGCONT, flags);
    return r == -EAGAIN ? 0 : r;
}

static int pass_on(struct relay *relay, struct forksrv *session, uint64_t id, struct relay_signal s) {
    if (relay->pty != NULL && s.signo == SIGWINCH) {
        pty_resize(relay->pty);
        return 0;
    }
    if (relay->pty != NULL && s.signo == SIGCONT) {
        pty_resume(relay->pty);
        s.flags = FORKSRV_SIGNAL_GROUP;
    }
    int r =
        s.signo == SIGTSTP ? stop_both(relay, session, id, s.flags, false) : forksrv_submit_signal(session, id, s.signo, s.flags);
    /* A queue that is full means a server that reads nothing: the signal is lost, the session is not. */
    return r == -EAGAIN ? 0 : r;
}

/* The server may never answer. Whoever asks twice to end is let go, and the server ends the worker with the session. */
static int keep(struct relay *relay, struct relay_signal s) {
    bool ending = s.signo == SIGINT || s.signo == SIGTERM || s.signo == SIGHUP || s.signo == SIGQUIT;
    bool waiting = relay->for_slot && !relay->begun;
    bool enough = ending && (relay->over || waiting);
    if (waiting && s.signo == SIGTSTP) {
        raise(SIGSTOP);
        return 0;
    }
    for (unsigned i = 0; i < relay->n_kept && ending; i++)
        enough = enough || relay->kept[i].signo == s.signo;
    if (enough) {
        relay->given_up = s.signo;
        return -EINTR;
    }
    if (relay->n_kept < RELAY_KEPT)
        relay->kept[relay->n_kept++] = s;
    return 0;
}

static int read_signals(struct relay *relay) {
    struct signalfd_siginfo info;
    int r = 0;
    while (r >= 0 && read(relay->fd, &info, sizeof info) == (ssize_t)sizeof info) {
        /* From the terminal: it went to a whole process group here, so it does there. kill() meant one process. */
        unsigned flags = info.ssi_code == SI_KERNEL ? FORKSRV_SIGNAL_GROUP : 0;
        r = keep(relay, (struct relay_signal){(int)info.ssi_signo, flags});
    }
    return r;
}

static int pass_on_kept(struct relay *relay, struct forksrv *session, uint64_t id) {
    int r = 0;
    for (unsigned i = 0; i < relay->n_kept && r >= 0; i++)
        r = pass_on(relay, session, id, relay->kept[i]);
    relay->n_kept = 0;
    return r;
}

static bool is_over(const struct forksrv_worker *worker) {
    enum forksrv_state state = forksrv_worker_state(worker);
    return state != FORKSRV_STATE_SUBMITTED && state != FORKSRV_STATE_RUNNING;
}

/* Waits for the session, a signal or a terminal, and takes what came of the last two. */
static int wait_for_more(struct relay *relay, struct forksrv *session, const struct forksrv_worker *worker) {
    relay->begun = forksrv_worker_id(worker) != 0;
    struct pollfd p[2 + PTY_POLLED] = {{.fd = forksrv_fd(session), .events = (short)forksrv_events(session)},
                                       {.fd = relay->fd, .events = POLLIN}};
    int timeout = relay->pty != NULL ? pty_prepare(relay->pty, forksrv_worker_pid(worker), p + 2) : -1;
    if (poll(p, relay->pty != NULL ? 2 + PTY_POLLED : 2, timeout) < 0)
        return errno == EINTR ? 0 : -errno;
    if (relay->pty != NULL)
        pty_move(relay->pty, p + 2);
    return p[1].revents != 0 ? read_signals(relay) : 0;
}

/* Signals and keys that need the worker's id. */
static int act_on_worker(struct relay *relay, struct forksrv *session, struct forksrv_worker *worker) {
    uint64_t id = forksrv_worker_id(worker);
    int r = relay->n_kept > 0 ? pass_on_kept(relay, session, id) : 0;
    if (r >= 0 && relay->pty != NULL && pty_wants_stop(relay->pty))
        r = stop_both(relay, session, id, 0, true);
    return r >= 0 ? forksrv_process(session) : r;
}

/* A reader that takes nothing any more does not hold the caller: here one signal is enough. */
static int finish_output(struct relay *relay) {
    relay->over = true;
    int r = 0;
    while (r >= 0 && !pty_finish(relay->pty)) {
        struct pollfd p[2] = {{.fd = pty_output_fd(relay->pty), .events = POLLOUT}, {.fd = relay->fd, .events = POLLIN}};
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return -errno;
        r = p[1].revents != 0 ? read_signals(relay) : 0;
    }
    return r;
}

static bool was_refused(const struct forksrv_worker *worker) {
    enum forksrv_stage stage;
    int error = forksrv_worker_failure(worker, &stage, NULL);
    return error < 0 && slot_refused(stage, error);
}

int relay_run(struct relay *relay, struct forksrv *session, struct forksrv_worker *worker) {
    int r = forksrv_process(session);
    while (r >= 0 && !is_over(worker)) {
        r = wait_for_more(relay, session, worker);
        if (r >= 0)
            r = forksrv_process(session);
        /* After the answers: they may have brought the id that kept signals wait for. */
        if (r >= 0 && !is_over(worker) && forksrv_worker_id(worker) != 0)
            r = act_on_worker(relay, session, worker);
    }
    /* One that was refused has written nothing, and may be asked for again. */
    if (relay->pty != NULL && r != -EINTR && !(relay->for_slot && was_refused(worker))) {
        int finished = finish_output(relay);
        r = finished == -EINTR ? finished : r;
    }
    /* A session that is lost after the end came is no failure. */
    return is_over(worker) && r != -EINTR ? 0 : r;
}
