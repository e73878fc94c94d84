/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A forksrvd behind a real socket, for the benchmarks. The key is passed as an fd and also stays in this process, so that no
 * measurement has to read a file. */
#include "bench/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "say.h"

static int make_key(struct instance *instance) {
    if (getrandom(instance->key, sizeof instance->key, 0) != (ssize_t)sizeof instance->key)
        return -errno;
    int fd = memfd_create("forksrv.authkey", 0);
    if (fd < 0 || fchmod(fd, 0600) < 0)
        return -errno;
    if (pwrite(fd, instance->key, sizeof instance->key, 0) == (ssize_t)sizeof instance->key)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

static int make_listener(struct instance *instance) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    snprintf(instance->folder, sizeof instance->folder, "/tmp/forksrv-bench.XXXXXX");
    if (mkdtemp(instance->folder) == NULL)
        return -errno;
    snprintf(instance->address, sizeof instance->address, "%s/control", instance->folder);
    memcpy(sa.sun_path, instance->address, strlen(instance->address) + 1);
    /* systemd's listeners do not block, and have this backlog. */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 && listen(fd, 4096) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

/* In the child. 3 and 4 are where they are to be; the copies made first keep one from closing the other. */
static void become_daemon(const char *daemon, int listener, int key) {
    char pid[16];
    /* Whatever ends the benchmark ends its instances. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    int high[2] = {fcntl(listener, F_DUPFD_CLOEXEC, 10), fcntl(key, F_DUPFD_CLOEXEC, 10)};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    dup2(high[0], 3);
    dup2(high[1], 4);
    close_range(5, ~0U, CLOSE_RANGE_CLOEXEC);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "control:forksrv.authkey", 1);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", "/", 1);
    execl(daemon, daemon, (char *)NULL);
    _exit(127);
}

int instance_start(struct instance *instance, const char *daemon) {
    *instance = (struct instance){.pid = -1};
    owned_fd listener = make_listener(instance);
    owned_fd key = listener >= 0 ? make_key(instance) : listener;
    if (key >= 0)
        instance->pid = fork();
    if (instance->pid == 0)
        become_daemon(daemon, listener, key);
    if (instance->pid > 0)
        return 0;
    int r = key < 0 ? key : -errno;
    say("cannot start %s: %s", daemon, strerror(-r));
    return r;
}

int instance_write_key(const struct instance *instance, const char *path) {
    owned_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, instance->key, sizeof instance->key) == (ssize_t)sizeof instance->key)
        return 0;
    int r = -errno;
    say("cannot write %s: %s", path, strerror(-r));
    return r;
}

void instance_stop(struct instance *instance) {
    if (instance->pid > 0) {
        kill(instance->pid, SIGTERM);
        waitpid(instance->pid, NULL, 0);
        instance->pid = -1;
    }
    unlink(instance->address);
    rmdir(instance->folder);
}
