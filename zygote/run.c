/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The zygote itself: set-up, its loop, its forks and their ends. Spares are children that wait for a request on the same socket:
 * the kernel wakes one of them, and the zygote hears of it afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "zygote/zygote.h"

#define PREFIX "FORKSRV_ZYGOTE_"

/* ---- set-up ---- */

static char *take_variable(const char *name) {
    const char *value = getenv(name);
    char *copy = strdup(value != NULL ? value : "");
    unsetenv(name);
    return copy;
}

static uint64_t take_number(const char *name) {
    const char *value = getenv(name);
    uint64_t n = value != NULL ? strtoull(value, NULL, 10) : 0;
    unsetenv(name);
    return n;
}

static void split_preload(struct forksrv_zygote *z) {
    z->preload_size = strlen(z->preload) + 1;
    for (char *p = z->preload; *p != 0; p++)
        if (*p == '\n')
            *p = 0;
}

int forksrv_zygote_new(struct forksrv_zygote **ret_zygote) {
    int type;
    socklen_t size = sizeof type;
    if (getenv(PREFIX "NAME") == NULL || getsockopt(ZYGOTE_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_SEQPACKET)
        return -ENOTCONN;
    struct forksrv_zygote *z = calloc(1, sizeof *z);
    if (z == NULL)
        return -ENOMEM;
    z->signals = z->taken[0] = z->taken[1] = -1;
    z->sock = ZYGOTE_SOCKET;
    (void)fcntl(z->sock, F_SETFD, FD_CLOEXEC);
    z->name = take_variable(PREFIX "NAME");
    z->module = take_variable(PREFIX "MODULE");
    z->preload = take_variable(PREFIX "PRELOAD");
    uint64_t spares = take_number(PREFIX "SPARES");
    z->spares = spares < ZYGOTE_SPARES ? (unsigned)spares : ZYGOTE_SPARES;
    z->refill = take_number(PREFIX "SPARE_REFILL_USEC");
    (void)take_number(PREFIX "START_TIMEOUT_USEC");
    auto_free char *on_error = take_variable(PREFIX "ON_PRELOAD_ERROR");
    if (z->name == NULL || z->module == NULL || z->preload == NULL || on_error == NULL) {
        forksrv_zygote_free(z);
        return -ENOMEM;
    }
    z->tolerant = strcmp(on_error, "warn") == 0;
    split_preload(z);
    *ret_zygote = z;
    return 0;
}

void forksrv_zygote_free(struct forksrv_zygote *z) {
    if (z == NULL)
        return;
    close_fd(z->sock);
    close_fd(z->signals);
    close_fd(z->taken[0]);
    close_fd(z->taken[1]);
    free(z->name);
    free(z->module);
    free(z->preload);
    free(z->trouble);
    free(z);
}

const char *forksrv_zygote_name(const struct forksrv_zygote *z) {
    return z->name;
}

const char *forksrv_zygote_module(const struct forksrv_zygote *z) {
    return z->module;
}

const char *forksrv_zygote_preload(const struct forksrv_zygote *z, size_t index) {
    const char *p = z->preload, *end = z->preload + z->preload_size;
    for (; p < end && *p != 0; p += strlen(p) + 1)
        if (index-- == 0)
            return p;
    return NULL;
}

int forksrv_zygote_fail(struct forksrv_zygote *z, const char *text) {
    (void)speak_unready(z, text);
    return -ECANCELED;
}

int forksrv_zygote_trouble(struct forksrv_zygote *z, const char *text) {
    if (!z->tolerant)
        return forksrv_zygote_fail(z, text);
    char *both = NULL;
    if (asprintf(&both, "%s%s%s", z->trouble != NULL ? z->trouble : "", z->trouble != NULL ? "; " : "", text) < 0)
        return 0;
    free(z->trouble);
    z->trouble = both;
    return 0;
}

int forksrv_zygote_ready(struct forksrv_zygote *z, const char *software) {
    char unsafe[512];
    sigset_t set;
    check_fork_safety(unsafe, sizeof unsafe);
    int r = unsafe[0] != 0 ? forksrv_zygote_trouble(z, unsafe) : 0;
    if (r < 0)
        return r;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    z->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (z->signals < 0 || pipe2(z->taken, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    return speak_ready(z, software);
}

/* ---- children ---- */

struct job {
    int (*run)(int argc, char **argv, void *data);
    void *data;
};

static void __attribute__((noreturn)) begin_work(struct forksrv_zygote *z, struct work *w, const struct job *job) {
    int argc;
    char **argv;
    apply(z, w, &argc, &argv);
    exit(job->run(argc, argv, job->data));
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What stdio holds would be written by every child again. */
static pid_t fork_one(void) {
    fflush(NULL);
    return fork();
}

/* A spare ends with the zygote. */
static void __attribute__((noreturn)) be_spare(struct forksrv_zygote *z, pid_t parent, const struct job *job) {
    struct work w;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || hear(z->sock, true, &w) != 1)
        _exit(0);
    (void)prctl(PR_SET_PDEATHSIG, 0);
    pid_t pid = getpid();
    (void)!write(z->taken[1], &pid, sizeof pid);
    w.was_spare = true;
    begin_work(z, &w, job);
}

static void refill(struct forksrv_zygote *z, const struct job *job) {
    if (z->n_waiting >= z->spares || now() < z->refill_at)
        return;
    pid_t parent = getpid(), pid = fork_one();
    if (pid == 0)
        be_spare(z, parent, job);
    /* Without memory for a spare it is tried later, and requests are forked for one by one. */
    if (pid < 0 || z->n_waiting + 1 < z->spares)
        z->refill_at = now() + (pid < 0 ? 1000000 : 0);
    if (pid < 0)
        return;
    z->waiting[z->n_waiting++] = pid;
    if (z->n_waiting == z->spares)
        (void)speak_spares(z);
}

/* n_waiting: it is none of them. */
static unsigned place_of(const struct forksrv_zygote *z, pid_t pid) {
    unsigned i = 0;
    while (i < z->n_waiting && z->waiting[i] != pid)
        i++;
    return i;
}

static bool no_spare_any_more(struct forksrv_zygote *z, pid_t pid) {
    unsigned i = place_of(z, pid);
    if (i == z->n_waiting)
        return false;
    z->waiting[i] = z->waiting[--z->n_waiting];
    z->refill_at = now() + z->refill;
    return true;
}

static void hear_taken(struct forksrv_zygote *z) {
    pid_t pids[64];
    ssize_t n;
    while ((n = read(z->taken[0], pids, sizeof pids)) > 0)
        for (size_t i = 0; i < (size_t)n / sizeof pids[0]; i++) {
            z->taken_count++;
            (void)no_spare_any_more(z, pids[i]);
        }
}

static uint64_t usec(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec;
}

/* Told before it is reaped: should we end in between, the server still finds it. One that we took for a waiting spare may have
 * been taken since we looked: then it said so before it ended. */
static bool reap_one(struct forksrv_zygote *z, bool *spare_ended) {
    siginfo_t info;
    struct rusage u;
    info.si_pid = 0;
    if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, &u) < 0 || info.si_pid == 0)
        return false;
    const uint64_t usage[RUSAGE_FIELDS] = {
        [RUSAGE_USER] = usec(u.ru_utime),          [RUSAGE_SYSTEM] = usec(u.ru_stime),
        [RUSAGE_MAXRSS] = (uint64_t)u.ru_maxrss,   [RUSAGE_MINFLT] = (uint64_t)u.ru_minflt,
        [RUSAGE_MAJFLT] = (uint64_t)u.ru_majflt,   [RUSAGE_INBLOCK] = (uint64_t)u.ru_inblock,
        [RUSAGE_OUBLOCK] = (uint64_t)u.ru_oublock, [RUSAGE_NVCSW] = (uint64_t)u.ru_nvcsw,
        [RUSAGE_NIVCSW] = (uint64_t)u.ru_nivcsw,
    };
    enum end_kind kind = info.si_code == CLD_EXITED ? END_EXITED : info.si_code == CLD_DUMPED ? END_DUMPED : END_KILLED;
    if (place_of(z, info.si_pid) < z->n_waiting)
        hear_taken(z);
    *spare_ended |= no_spare_any_more(z, info.si_pid);
    (void)speak_ended(z, info.si_pid, kind, info.si_status, usage);
    (void)waitid(P_PID, (id_t)info.si_pid, &info, WEXITED | WNOHANG);
    return true;
}

/* ---- the loop ---- */

/* 1: go on; 0: the server is done with us. In the child it does not return. */
static int serve_one(struct forksrv_zygote *z, const struct job *job) {
    struct work w;
    int r = hear(z->sock, false, &w);
    if (r == -EAGAIN)
        return 1;
    if (r <= 0)
        return r;
    pid_t pid = fork_one();
    if (pid == 0)
        begin_work(z, &w, job);
    if (pid < 0)
        speak_unforked(z->sock, w.message.serial, STAGE_CLONE, errno, NULL);
    work_done(&w);
    return 1;
}

static int wait_for_work(struct forksrv_zygote *z) {
    struct pollfd p[3] = {{.fd = z->signals, .events = POLLIN},
                          {.fd = z->taken[0], .events = POLLIN},
                          {.fd = z->n_waiting == 0 ? z->sock : -1, .events = POLLIN}};
    uint64_t t = now(), left = z->refill_at > t ? (z->refill_at - t) / 1000 + 1 : 0;
    int r = poll(p, 3, z->n_waiting < z->spares ? (int)(left < 60000 ? left : 60000) : -1);
    return r < 0 && errno != EINTR ? -errno : 0;
}

int forksrv_zygote_run(struct forksrv_zygote *z, int (*work)(int argc, char **argv, void *data), void *data) {
    const struct job job = {work, data};
    int r = 1;
    while (r > 0) {
        struct signalfd_siginfo info;
        while (read(z->signals, &info, sizeof info) > 0) {
        }
        hear_taken(z);
        bool spare_ended = false;
        while (reap_one(z, &spare_ended)) {
        }
        refill(z, &job);
        r = wait_for_work(z);
        /* With spares waiting it is theirs to read; but when one of them ended, the server may have told all of them to. */
        if (r == 0)
            r = z->n_waiting == 0 || spare_ended ? serve_one(z, &job) : 1;
    }
    forksrv_zygote_free(z);
    return r;
}
