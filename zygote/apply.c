/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child becomes what its request asks for: signals, session, cgroup, files, folder, limits, environment. Only then does it
 * say FORKED, and only then does its work begin; what fails before that is told with its stage. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "zygote/zygote.h"

enum { SIGNALS = 64 };

struct child {
    struct work *w;
    const struct message *m;
    int sock;     /* above every target, once the files are in place */
    int pidfd;    /* at a number that is free; opened before the limits, which may leave none */
    int gate;     /* -1: none */
    pid_t middle; /* our parent, until the server ends it; 0 */
    int above;
    unsigned n;
    struct {
        int source, target;
    } map[LIMIT_MAPPED_FDS + 3];
};

enum { EXIT_NEVER_BEGAN = 125 };

static void __attribute__((noreturn)) fail_as(const struct child *c, enum stage stage, int error, const char *what) {
    char text[512];
    snprintf(text, sizeof text, "%s: %s%s%s", stage_name(stage), what, what[0] != 0 ? ": " : "", strerror(error));
    speak_unforked(c->sock, c->m->serial, stage, error, text);
    _exit(127);
}

static void check(const struct child *c, enum stage stage, int r) {
    if (r < 0)
        fail_as(c, stage, errno, "");
}

/* What the zygote has set for itself is no part of a worker. */
static void set_signals(const struct child *c) {
    uint64_t ignored = message_u64(c->m, ATTR_IGNORED, 0);
    for (int n = 1; n <= SIGNALS; n++) {
        struct sigaction act = {.sa_handler = ignored >> (n - 1) & 1 ? SIG_IGN : SIG_DFL};
        if (n != SIGKILL && n != SIGSTOP)
            (void)sigaction(n, &act, NULL);
    }
}

static void unblock(const struct child *c) {
    uint64_t blocked = message_u64(c->m, ATTR_BLOCKED, 0);
    check(c, STAGE_SIGNALS, (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, NULL, sizeof blocked));
}

static void set_session(const struct child *c) {
    bool group = message_u32(c->m, ATTR_SPAWN_FLAGS, 0) & SPAWN_PROCESS_GROUP;
    check(c, STAGE_SESSION, group ? setpgid(0, 0) : setsid());
}

static void set_terminal(const struct child *c) {
    if (message_u32(c->m, ATTR_SPAWN_FLAGS, 0) & SPAWN_CONTROLLING_TERMINAL)
        check(c, STAGE_SESSION, ioctl(0, TIOCSCTTY, 0));
}

static void enter_cgroup(const struct child *c) {
    uint32_t index = message_u32(c->m, ATTR_CGROUP, 0);
    if (!message_has(c->m, ATTR_CGROUP))
        return;
    if (index >= c->w->fds.count)
        fail_as(c, STAGE_CGROUP, EBADMSG, "");
    check(c, STAGE_CGROUP, (int)write(c->w->fds.fds[index], "0", 1));
}

/* ---- for the service manager ---- */

/* The worker is to be an orphan, which the service manager takes: it is a child of this process, which the server ends. */
static void step_aside(struct child *c) {
    c->middle = getpid();
    pid_t pid = fork();
    check(c, STAGE_CLONE, pid);
    if (pid == 0)
        return;
    /* Nothing but ends is of interest: the server is gone, or the child is, which then could not become the worker. */
    struct pollfd p[] = {{.fd = c->sock}, {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN}};
    while (poll(p, 2, -1) < 0 && errno == EINTR) {
    }
    _exit(0);
}

static void wait_for_manager(const struct child *c) {
    const struct timespec moment = {.tv_nsec = 200000};
    while (c->middle != 0 && getppid() == c->middle)
        nanosleep(&moment, NULL);
}

/* ---- files ---- */

static void map_fd(struct child *c, int source, uint32_t target) {
    if (target > LIMIT_TARGET_FD)
        fail_as(c, STAGE_REQUEST, EINVAL, "FDMAP names a target over 1023");
    for (unsigned i = 0; i < c->n; i++)
        if (c->map[i].target == (int)target)
            fail_as(c, STAGE_REQUEST, EINVAL, "FDMAP names a target twice");
    c->map[c->n].source = source;
    c->map[c->n++].target = (int)target;
    if (c->above <= (int)target)
        c->above = (int)target + 1;
}

static void read_map(struct child *c) {
    const struct attribute *a = &c->m->attributes[ATTR_FDMAP];
    unsigned named = 0;
    c->above = 3;
    for (uint32_t i = 0; i < a->size / 8; i++) {
        uint32_t index = wire_get_u32(a->data + 8 * (size_t)i), target = wire_get_u32(a->data + 8 * (size_t)i + 4);
        if (index >= c->w->fds.count)
            fail_as(c, STAGE_REQUEST, EINVAL, "FDMAP names a file descriptor that was not sent");
        map_fd(c, c->w->fds.fds[index], target);
        named |= target < 3 ? 1U << target : 0;
    }
    for (uint32_t t = 0; t < 3; t++) {
        if (named & 1U << t)
            continue;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        check(c, STAGE_FDS, null);
        map_fd(c, null, t);
    }
}

static int raise_fd(const struct child *c, int fd) {
    int r = fd < c->above ? fcntl(fd, F_DUPFD_CLOEXEC, c->above) : fd;
    check(c, STAGE_FDS, r);
    return r;
}

/* What the worker waits for before it begins. It follows the socket. */
static void find_gate(struct child *c) {
    uint32_t index = message_u32(c->m, ATTR_GATE, 0);
    c->gate = -1;
    if (!message_has(c->m, ATTR_GATE))
        return;
    if (index >= c->w->fds.count)
        fail_as(c, STAGE_REQUEST, EINVAL, "GATE names a file descriptor that was not sent");
    c->gate = fcntl(c->w->fds.fds[index], F_DUPFD_CLOEXEC, c->above + 2);
    check(c, STAGE_FDS, c->gate);
}

/* All that is not a target is the zygote's, and closed, but for the socket and the gate: those go last. */
static void close_others(struct child *c) {
    for (int fd = 0; fd < c->above; fd++) {
        unsigned i = 0;
        while (i < c->n && c->map[i].target != fd)
            i++;
        if (i == c->n)
            close(fd);
    }
    check(c, STAGE_FDS, dup3(c->sock, c->above, O_CLOEXEC) < 0 && errno != EINVAL ? -1 : 0);
    if (c->gate >= 0)
        check(c, STAGE_FDS, dup3(c->gate, c->above + 1, O_CLOEXEC));
    check(c, STAGE_FDS, (int)syscall(SYS_close_range, c->above + (c->gate >= 0 ? 2 : 1), ~0U, 0));
    c->gate = c->gate >= 0 ? c->above + 1 : -1;
}

/* The zygote's own limit, which is also the worker's, may leave no room for numbers that are in use only meanwhile, or for a
 * target. */
static struct rlimit make_room(const struct child *c) {
    struct rlimit l, raised;
    check(c, STAGE_FDS, getrlimit(RLIMIT_NOFILE, &l));
    raised = (struct rlimit){l.rlim_max, l.rlim_max};
    if ((rlim_t)c->above + c->n + 5 > l.rlim_cur)
        check(c, STAGE_FDS, setrlimit(RLIMIT_NOFILE, &raised));
    return l;
}

static void set_fds(struct child *c) {
    read_map(c);
    struct rlimit own = make_room(c);
    for (unsigned i = 0; i < c->n; i++)
        c->map[i].source = raise_fd(c, c->map[i].source);
    c->sock = raise_fd(c, c->sock);
    find_gate(c);
    for (unsigned i = 0; i < c->n; i++)
        check(c, STAGE_FDS, dup2(c->map[i].source, c->map[i].target));
    close_others(c);
    c->sock = c->above;
    c->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    check(c, STAGE_FDS, c->pidfd);
    check(c, STAGE_FDS, setrlimit(RLIMIT_NOFILE, &own));
    c->w->fds.count = 0;
}

/* ---- numbers ---- */

static void set_rlimits(const struct child *c) {
    const struct attribute *a = &c->m->attributes[ATTR_RLIMITS];
    for (uint32_t i = 0; i < a->size / 24; i++) {
        const uint8_t *e = a->data + 24 * (size_t)i;
        uint32_t resource = wire_get_u32(e);
        struct rlimit l = {wire_get_u64(e + 8), wire_get_u64(e + 16)};
        if (resource >= RLIM_NLIMITS)
            fail_as(c, STAGE_REQUEST, EINVAL, "RLIMITS names an unknown resource");
        check(c, STAGE_RLIMIT, setrlimit((__rlimit_resource_t)resource, &l));
    }
}

static void set_limits(const struct child *c) {
    const char *cwd = message_str(c->m, ATTR_CWD);
    if (chdir(cwd != NULL ? cwd : "/") < 0)
        fail_as(c, STAGE_CWD, errno, cwd != NULL ? cwd : "/");
    (void)umask((mode_t)message_u32(c->m, ATTR_UMASK, 022) & 0777);
    set_rlimits(c);
    if (message_has(c->m, ATTR_NICE))
        check(c, STAGE_NICE, setpriority(PRIO_PROCESS, 0, (int)message_u32(c->m, ATTR_NICE, 0)));
    if (message_u32(c->m, ATTR_SPAWN_FLAGS, 0) & SPAWN_NO_NEW_PRIVS)
        check(c, STAGE_PRIVILEGES, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

/* ---- arguments and environment: they stay in the request's memory ---- */

static char **strings(const struct child *c, unsigned attr, int *ret_count) {
    const struct attribute *a = &c->m->attributes[attr];
    size_t count = message_strs_count(c->m, attr), offset = 0;
    char **list = calloc(count + 1, sizeof *list), *copy = count > 0 ? malloc(a->size) : NULL;
    if (list == NULL || (count > 0 && copy == NULL))
        fail_as(c, STAGE_REQUEST, ENOMEM, "");
    if (copy != NULL)
        memcpy(copy, a->data, a->size);
    for (size_t i = 0; i < count; i++) {
        list[i] = copy + offset;
        offset += strlen(list[i]) + 1;
    }
    *ret_count = (int)count;
    return list;
}

/* Whoever should have opened it is gone: the worker is told as started, so this is its end. */
static void wait_at_gate(const struct child *c) {
    char byte;
    if (c->gate < 0)
        return;
    ssize_t n;
    struct pollfd p = {.fd = c->gate, .events = POLLIN};
    do
        (void)poll(&p, 1, -1);
    while ((n = read(c->gate, &byte, 1)) < 0 && errno == EAGAIN);
    if (n != 1)
        _exit(EXIT_NEVER_BEGAN);
    close(c->gate);
}

void apply(struct forksrv_zygote *z, struct work *w, int *ret_argc, char ***ret_argv) {
    struct child c = {.w = w, .m = &w->message, .sock = z->sock};
    int variables;
    int r = hear_large(w);
    if (r < 0)
        fail_as(&c, STAGE_REQUEST, -r, "");
    if (message_u32(c.m, ATTR_KIND, FORK_PROGRAM) != FORK_PROGRAM)
        fail_as(&c, STAGE_ZYGOTE, ENOTSUP, "this zygote forks programs only");
    if (message_u32(c.m, ATTR_SPAWN_FLAGS, 0) & SPAWN_HAND_OVER)
        step_aside(&c);
    set_signals(&c);
    set_session(&c);
    enter_cgroup(&c);
    set_fds(&c);
    set_terminal(&c);
    set_limits(&c);
    *ret_argv = strings(&c, ATTR_ARGV, ret_argc);
    environ = strings(&c, ATTR_ENVIRON, &variables);
    if (*ret_argc == 0)
        fail_as(&c, STAGE_REQUEST, EINVAL, "no ARGV");
    /* A server that is gone, or has given this request up, must not have it begun. */
    if (speak_forked(c.sock, w, c.pidfd) < 0)
        _exit(127);
    close(c.sock);
    close(c.pidfd);
    unblock(&c);
    wait_for_manager(&c);
    wait_at_gate(&c);
    work_done(w);
}
