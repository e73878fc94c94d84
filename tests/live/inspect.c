/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a worker sees of itself, a line for each fact, on stdout. It changes nothing before it has looked, and it is no script,
 * since every interpreter sets signals of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"

extern char **environ;

/* The same look from a worker of a zygote of shared objects. */
#ifdef INSPECT_MODULE
#define main forksrv_main
int forksrv_main(int argc, char **argv);
#endif

static void show_fds(void) {
    auto_dir dir = opendir("/proc/self/fd");
    const struct dirent *e;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char target[4096];
        int fd = atoi(e->d_name);
        ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof target - 1);
        if (e->d_name[0] == '.' || fd == dirfd(dir) || n < 0)
            continue;
        target[n] = 0;
        struct stat st;
        printf("fd %d %s size %lld flags %x cloexec %d\n", fd, target, fstat(fd, &st) == 0 ? (long long)st.st_size : -1LL,
               (unsigned)fcntl(fd, F_GETFL), fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

static void show_file(const char *path, const char *prefix) {
    char line[4096];
    auto_file f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        printf("%s %s", prefix, line);
}

static void show_limits(void) {
    for (int i = 0; i < 16; i++) {
        struct rlimit l;
        if (getrlimit((__rlimit_resource_t)i, &l) == 0)
            printf("rlimit %d %lld %lld\n", i, (long long)l.rlim_cur, (long long)l.rlim_max);
    }
}

static void show_ids(void) {
    char cwd[4096];
    mode_t mask = umask(0);
    umask(mask);
    /* Fields 7 and 8 of stat(5), behind a name without blanks. */
    int tty = 0, foreground = 0;
    auto_file f = fopen("/proc/self/stat", "re");
    if (f == NULL || fscanf(f, "%*d %*s %*c %*d %*d %*d %d %d", &tty, &foreground) != 2)
        tty = -1;
    printf("ids pid %d ppid %d pgid %d sid %d tty %d foreground %d\n", getpid(), getppid(), getpgrp(), getsid(0), tty,
           foreground);
    printf("umask %o\n", (unsigned)mask);
    printf("cwd %s\n", getcwd(cwd, sizeof cwd) != NULL ? cwd : "?");
    /* PR_GET_MDWE; -1 before Linux 6.3. */
    printf("mdwe %d\n", prctl(66, 0, 0, 0, 0));
    errno = 0;
    printf("nice %d\n", getpriority(PRIO_PROCESS, 0));
}

int main(int argc, char *argv[]) {
    /* First of all: reading needs fds of its own. */
    show_fds();
    show_ids();
    show_limits();
    show_file("/proc/self/oom_score_adj", "oom_score_adj");
    show_file("/proc/self/status", "status");
    show_file("/proc/self/cgroup", "cgroup");
    for (int i = 0; i < argc; i++)
        printf("arg %zu %s\n", strlen(argv[i]), strlen(argv[i]) < 200 ? argv[i] : "...");
    for (char **e = environ; *e != NULL; e++)
        printf("env %zu %s\n", strlen(*e), strlen(*e) < 200 ? *e : "...");
    return fflush(stdout) == 0 ? 0 : 1;
}
