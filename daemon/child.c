/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child between clone and exec. It shares the daemon's memory while the daemon goes on, so it makes raw system calls on what
 * was prepared for it, and writes nothing but its plan and its slot. Order: signals, session, fds, environment, limits, hand
 * over. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "daemon/plan.h"
#include "daemon/raw.h"
#include "daemon/table.h"

static void __attribute__((noreturn)) leave(const struct plan *p, enum stage stage, long error) {
    if (p->record != NULL)
        __atomic_store_n(&p->record->failure, (uint32_t)stage << 16 | (uint32_t)-error, __ATOMIC_RELEASE);
    p->slot->stage = (uint32_t)stage;
    __atomic_store_n(&p->slot->error, (uint32_t)-error, __ATOMIC_RELEASE);
    for (;;)
        raw_call(SYS_exit_group, 127, 0, 0, 0, 0);
}

static void check(const struct plan *p, enum stage stage, long r) {
    if (r < 0)
        leave(p, stage, r);
}

/* The daemon has no handlers and ignores nothing, so all dispositions are the default ones already. All signals are blocked since
 * the daemon's start; they are unblocked last. */
static void set_signals(const struct plan *p) {
    for (int n = 1; n <= KERNEL_SIGNALS && p->ignored >> (n - 1) != 0; n++) {
        struct kernel_sigaction act = {.handler = SIG_IGN};
        if (p->ignored >> (n - 1) & 1)
            check(p, STAGE_SIGNALS, raw_call(SYS_rt_sigaction, n, (long)&act, 0, KERNEL_SIGSET, 0));
    }
}

static void set_session(const struct plan *p) {
    if (p->flags & SPAWN_PROCESS_GROUP)
        check(p, STAGE_SESSION, raw_call(SYS_setpgid, 0, 0, 0, 0, 0));
    else
        check(p, STAGE_SESSION, raw_call(SYS_setsid, 0, 0, 0, 0, 0));
}

/* Copying a table of thousands of fds for a child that wants three takes longer than all the rest of a start. So with many
 * workers it shares ours at first, and makes a table of its own of the few low ones that it needs. */
static void unshare_fds(const struct plan *p) {
    if (p->cut == 0)
        return;
    check(p, STAGE_FDS, raw_call(SYS_close_range, p->cut, (long)UINT32_MAX, CLOSE_RANGE_UNSHARE, 0, 0));
    __atomic_store_n(&p->slot->unshared, 1, __ATOMIC_RELEASE);
    if (p->wake >= 0) {
        uint64_t one = 1;
        raw_call(SYS_write, p->wake, (long)&one, sizeof one, 0, 0);
    }
}

/* Whoever kills the daemon now takes its pidfd of us along. This one lies where the next daemon finds it. */
static void deposit(const struct plan *p) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    if (p->depot < 0)
        return;
    long pidfd = raw_call(SYS_pidfd_open, raw_call(SYS_getpid, 0, 0, 0, 0, 0), 0, 0, 0, 0);
    if (pidfd < 0)
        return;
    uint64_t worker = p->worker;
    struct iovec iov = {&worker, sizeof worker};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    *(int *)(void *)CMSG_DATA(&control.header) = (int)pidfd;
    raw_call(SYS_sendmsg, p->depot, (long)&m, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0);
    raw_call(SYS_close, pidfd, 0, 0, 0, 0);
}

static long raise_fd_to(const struct plan *p, long fd, int least) {
    long r = raw_call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least, 0, 0);
    check(p, STAGE_FDS, r);
    return r;
}

static long raise_fd(const struct plan *p, long fd) {
    return fd >= 0 && fd < p->above ? raise_fd_to(p, fd, p->above) : fd;
}

static void place_fd(const struct plan *p, long fd, int number) {
    if (fd >= 0 && fd != number)
        check(p, STAGE_FDS, raw_call(SYS_dup3, fd, number, O_CLOEXEC, 0, 0));
}

static int gate_number(const struct plan *p) {
    return p->report >= 0 ? p->above + 1 : p->above;
}

/* First every source that could be overwritten goes above all targets; then each has its place. What is not a target is closed,
 * whatever it is and whoever opened it, before anything that can hang: what others are waiting to see closed must not wait for
 * us. */
static void set_fds(const struct plan *p) {
    for (unsigned i = 0; i < p->n_fds; i++)
        p->fds[i].source = (int)raise_fd(p, p->fds[i].source);
    long report = raise_fd(p, p->report), gate = raise_fd(p, p->gate);
    for (unsigned i = 0; i < p->n_fds; i++)
        check(p, STAGE_FDS, raw_call(SYS_dup3, p->fds[i].source, p->fds[i].target, 0, 0, 0));
    /* The pipe that tells of the exec, and the one that it waits for, stay till then: the ranges leave that open. */
    if (gate == p->above)
        gate = raise_fd_to(p, gate, p->above + 2);
    place_fd(p, report, p->above);
    place_fd(p, gate, gate_number(p));
    for (unsigned i = 0; i < p->n_ranges; i++)
        check(p, STAGE_FDS, raw_call(SYS_close_range, p->ranges[i].first, p->ranges[i].last, 0, 0, 0));
}

/* The session is new, so it has none. Without the flag no terminal among the files becomes one: nothing is opened here. */
static void set_terminal(const struct plan *p) {
    if (p->flags & SPAWN_CONTROLLING_TERMINAL)
        check(p, STAGE_SESSION, raw_call(SYS_ioctl, 0, TIOCSCTTY, 0, 0, 0));
}

static void set_limits(const struct plan *p) {
    raw_call(SYS_umask, p->umask, 0, 0, 0, 0);
    for (unsigned i = 0; i < p->n_rlimits; i++)
        check(p, STAGE_RLIMIT, raw_call(SYS_prlimit64, 0, p->rlimits[i].resource, (long)p->rlimits[i].limit, 0, 0));
    if (p->has_nice)
        check(p, STAGE_NICE, raw_call(SYS_setpriority, PRIO_PROCESS, 0, p->nice, 0, 0));
    if (p->flags & SPAWN_NO_NEW_PRIVS)
        check(p, STAGE_PRIVILEGES, raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* One folder of PATH and the program's name, in p->candidate. Returns where the next folder starts, NULL after the last one. An
 * empty folder is the working directory. */
static const char *next_candidate(const struct plan *p, const char *folder) {
    char *to = p->candidate;
    const char *start = folder;
    while (*folder != 0 && *folder != ':' && folder - start < LIMIT_PATH)
        *to++ = *folder++;
    if (folder != start)
        *to++ = '/';
    const char *name = p->program;
    while ((*to++ = *name++) != 0) {
    }
    while (*folder != 0 && *folder != ':')
        folder++;
    return *folder == ':' ? folder + 1 : NULL;
}

static long exec(const struct plan *p) {
    if (p->search == NULL)
        return raw_call(SYS_execve, (long)p->program, (long)p->argv, (long)p->envp, 0, 0);
    long r = -ENOENT;
    for (const char *folder = p->search; folder != NULL;) {
        folder = next_candidate(p, folder);
        long e = raw_call(SYS_execve, (long)p->candidate, (long)p->argv, (long)p->envp, 0, 0);
        if (e == -EACCES)
            r = e;
        else if (e != -ENOENT && e != -ENOTDIR && e != -ENAMETOOLONG)
            return e;
    }
    return r;
}

/* With signals as they will be, so that it can be ended here, too. */
static void wait_at_gate(const struct plan *p) {
    char byte;
    if (p->gate < 0)
        return;
    long r = -EAGAIN;
    /* Whether a read waits is a matter of the file that its client has opened. */
    while (r == -EAGAIN) {
        struct pollfd gate = {.fd = gate_number(p), .events = POLLIN};
        raw_call(SYS_ppoll, (long)&gate, 1, 0, 0, 0);
        r = raw_call(SYS_read, gate.fd, (long)&byte, 1, 0, 0);
    }
    check(p, STAGE_REQUEST, r == 0 ? -ECANCELED : r);
}

void child_run(void *data) {
    const struct plan *p = data;
    set_signals(p);
    set_session(p);
    unshare_fds(p);
    deposit(p);
    set_fds(p);
    set_terminal(p);
    if (p->cwd != NULL)
        check(p, STAGE_CWD, raw_call(SYS_chdir, (long)p->cwd, 0, 0, 0, 0));
    set_limits(p);
    check(p, STAGE_SIGNALS, raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&p->blocked, 0, KERNEL_SIGSET, 0));
    wait_at_gate(p);
    __atomic_store_n(&p->slot->begun, 1, __ATOMIC_RELEASE);
    leave(p, STAGE_EXEC, exec(p));
}
