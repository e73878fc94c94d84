/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts the forksrvd of a private instance. The program may be large, have threads, signal handlers and a loop around wait(): so
 * all is prepared before the fork, the child makes system calls and nothing else, and the daemon is not left as the program's
 * child: an execve makes every child one that wait() sees, whatever its clone said, so a process in between forks it and goes. */
#include "client/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "client/session.h"

enum {
    ENVIRONMENT = 64,
    PID_DIGITS = 12,
    FIRST_FREE_FD = 10, /* above every number that the child fills */
    REPORT_FD = 3 + LAUNCH_PASSED,
};

/* Everything that the child needs, made before it. */
struct plan {
    const char *path;
    char *argv[3];
    char *environ_[ENVIRONMENT];
    char listen_fds[32];
    char listen_names[128];
    char listen_pid[32]; /* its value is only known to the child */
    int null;            /* fds, all above those that they become; owned */
    int passed[LAUNCH_PASSED];
    int report;
    bool has_stderr;
};

#define LISTEN_PID "LISTEN_PID="

static const char *const inherited[] = {
    "PATH=",
    "HOME=",
    "LANG=",
    "LC_",
    "XDG_RUNTIME_DIR=",
    "XDG_CONFIG_HOME=",
    "FORKSRV_PYTHON_DIR=",
    "FORKSRV_ZYGOTE_DSO=",
    "ASAN_OPTIONS=",
    "LSAN_OPTIONS=",
    "UBSAN_OPTIONS=",
    "LLVM_PROFILE_FILE=",
    "GCOV_PREFIX",
};

extern char **environ;

static bool is_inherited(const char *variable) {
    for (size_t i = 0; i < sizeof inherited / sizeof inherited[0]; i++)
        if (strncmp(variable, inherited[i], strlen(inherited[i])) == 0)
            return true;
    return false;
}

/* ---- in the child: system calls only ---- */

static _Noreturn void child_fails(int report) {
    int error = errno;
    (void)!write(report, &error, sizeof error);
    _exit(127);
}

static void put_digits(char *to, long number) {
    char digits[PID_DIGITS];
    int n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (n > 0)
        *to++ = digits[--n];
    *to = 0;
}

static void child_signals(void) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_DFL;
    for (int i = 1; i < NSIG; i++)
        (void)sigaction(i, &sa, NULL);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_fds(const struct plan *p) {
    for (int i = 0; i < LAUNCH_PASSED; i++)
        if (dup2(p->passed[i], 3 + i) < 0)
            return -1;
    if (dup3(p->report, REPORT_FD, O_CLOEXEC) < 0 || dup2(p->null, 0) < 0 || dup2(p->null, 1) < 0)
        return -1;
    if (!p->has_stderr && dup2(p->null, 2) < 0)
        return -1;
    return (int)syscall(SYS_close_range, REPORT_FD + 1, ~0u, 0);
}

static _Noreturn void child(struct plan *p) {
    child_signals();
    /* What the terminal sends to the program's group is not for the daemon. */
    if (setsid() < 0 || child_fds(p) < 0)
        child_fails(p->report);
    put_digits(p->listen_pid + sizeof LISTEN_PID - 1, (long)getpid());
    execve(p->path, p->argv, p->environ_);
    child_fails(REPORT_FD);
}

/* fork without libc's handlers, and with no signal at the end: such a child is seen by nobody who does not ask with __WALL. */
static pid_t fork_bare(void) {
#if defined(__s390x__) || defined(__CRIS__)
    return (pid_t)syscall(SYS_clone, NULL, 0UL, NULL, NULL, 0UL);
#else
    return (pid_t)syscall(SYS_clone, 0UL, NULL, NULL, NULL, 0UL);
#endif
}

static _Noreturn void between(struct plan *p) {
    pid_t pid = fork_bare();
    if (pid < 0)
        child_fails(p->report);
    if (pid == 0)
        child(p);
    _exit(0);
}

/* ---- before and after it ---- */

static int raise_fd(int fd, int *ret_fd) {
    int r = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (r < 0)
        return -errno;
    *ret_fd = r;
    return 0;
}

static int plan_fds(struct plan *p, const struct launch *l, int report) {
    auto_fd null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return -errno;
    p->has_stderr = fcntl(STDERR_FILENO, F_GETFD) >= 0;
    int r = raise_fd(null, &p->null);
    if (r == 0)
        r = raise_fd(report, &p->report);
    for (int i = 0; i < LAUNCH_PASSED && r == 0; i++)
        r = raise_fd(l->passed[i], &p->passed[i]);
    return r;
}

static void plan_environ(struct plan *p, const struct launch *l) {
    size_t n = 0;
    for (char **e = environ; e != NULL && *e != NULL && n < ENVIRONMENT - 4; e++)
        if (is_inherited(*e))
            p->environ_[n++] = *e;
    snprintf(p->listen_fds, sizeof p->listen_fds, "LISTEN_FDS=%d", LAUNCH_PASSED);
    snprintf(p->listen_names, sizeof p->listen_names, "LISTEN_FDNAMES=%s", l->names);
    snprintf(p->listen_pid, sizeof p->listen_pid, LISTEN_PID);
    p->environ_[n++] = p->listen_fds;
    p->environ_[n++] = p->listen_names;
    p->environ_[n++] = p->listen_pid;
}

static void plan_done(struct plan *p) {
    close_fd(p->null);
    close_fd(p->report);
    for (int i = 0; i < LAUNCH_PASSED; i++)
        close_fd(p->passed[i]);
}

/* Nothing comes: exec closed the pipe. */
static int read_report(int fd, uint64_t deadline) {
    int r = deadline_poll(fd, POLLIN, deadline);
    if (r <= 0)
        return r < 0 ? r : -ETIMEDOUT;
    int error;
    ssize_t n = read(fd, &error, sizeof error);
    return n == (ssize_t)sizeof error ? -error : 0;
}

static int run(struct plan *p) {
    sigset_t all, old;
    sigfillset(&all);
    /* A handler of the program must not run in the child. */
    int r = -pthread_sigmask(SIG_SETMASK, &all, &old);
    if (r < 0)
        return r;
    pid_t pid = fork_bare();
    r = pid < 0 ? -errno : 0;
    if (pid == 0)
        between(p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return r;
}

int launch(const struct launch *l, uint64_t deadline) {
    char program[] = "forksrvd", option[] = "--private";
    struct plan p = {.path = l->path, .argv = {program, option, NULL}, .null = -1, .passed = {-1, -1, -1}, .report = -1};
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return -errno;
    auto_fd report_read = pipe_fds[0], report_write = pipe_fds[1];
    int r = plan_fds(&p, l, report_write);
    plan_environ(&p, l);
    if (r == 0)
        r = run(&p);
    plan_done(&p);
    close_fd(steal_fd(&report_write));
    return r < 0 ? r : read_report(report_read, deadline);
}
