/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The delegated cgroup: a folder for a worker, its limits, its end. It never touches anything above what systemd gave us. */
#include "daemon/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/cleanup.h"

#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif

/* Levels of folders below a worker's that are removed with it. */
enum { REMOVE_DEPTH = 16 };

static const struct {
    unsigned bit;
    const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_TASKS, "pids"}, {CGROUP_CPU, "cpu"}};

static int write_at(int dir, const char *name, const char *text) {
    auto_fd fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, strlen(text));
    return n < 0 ? -errno : 0;
}

static int read_at(int dir, const char *name, char *ret_text, size_t size) {
    auto_fd fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, ret_text, size - 1);
    if (n < 0)
        return -errno;
    ret_text[n] = 0;
    return 0;
}

/* The unified hierarchy, also where the old ones are mounted beside it. */
static int open_root(void) {
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (unsigned i = 0; i < 2; i++) {
        struct statfs fs;
        int fd = open(places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
            return fd;
        close_fd(fd);
    }
    return -ENOENT;
}

/* Our own cgroup below the root, without the leading slash. */
static int own_path(char *ret_path, size_t size) {
    auto_file f = fopen("/proc/self/cgroup", "re");
    if (f == NULL)
        return -errno;
    char line[4096];
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = 0;
        return (size_t)snprintf(ret_path, size, "%s", line + 4) < size ? 0 : -ENAMETOOLONG;
    }
    return -ENOENT;
}

/* What systemd.resource-control(5) lists for Delegate=: without User= the folder is root's. */
static int give_to(int dir, uid_t uid, gid_t gid) {
    static const char *const files[] = {"cgroup.procs", "cgroup.threads", "cgroup.subtree_control"};
    if (fchownat(dir, "", uid, gid, AT_EMPTY_PATH) < 0)
        return -errno;
    for (unsigned i = 0; i < 3; i++)
        if (fchownat(dir, files[i], uid, gid, 0) < 0)
            return -errno;
    return 0;
}

/* Enables what is there. With processes in the inner node the kernel refuses; that is only safe below DelegateSubgroup= anyway,
 * since a restart could not enter the unit's cgroup otherwise. */
static unsigned enable_controllers(int dir) {
    char have[512] = " ", set[32];
    unsigned enabled = 0;
    if (read_at(dir, "cgroup.controllers", have + 1, sizeof have - 2) < 0)
        return 0;
    have[strcspn(have, "\n")] = ' ';
    for (unsigned i = 0; i < sizeof controllers / sizeof controllers[0]; i++) {
        snprintf(set, sizeof set, " %s ", controllers[i].name);
        if (strstr(have, set) == NULL)
            continue;
        snprintf(set, sizeof set, "+%s", controllers[i].name);
        if (write_at(dir, "cgroup.subtree_control", set) == 0)
            enabled |= controllers[i].bit;
    }
    return enabled;
}

int cgroup_init(struct cgroup *c, uid_t uid, gid_t gid) {
    char path[4096];
    *c = (struct cgroup){.dir = -1};
    auto_fd root = open_root();
    if (root < 0)
        return 0;
    int r = own_path(path, sizeof path);
    if (r < 0 || path[0] == 0)
        return 0;
    /* DelegateSubgroup=supervisor: ours is the level above. So it is for what systemd runs beside the main process. */
    char *last = strrchr(path, '/');
    bool subgroup = last != NULL && strcmp(last, "/supervisor") == 0;
    if (subgroup || (last != NULL && strcmp(last, "/.control") == 0))
        *last = 0;
    auto_fd dir = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0)
        return 0;
    /* systemd marks what it delegates; a cgroup that merely belongs to us is not ours to fill. */
    char mark[8] = "";
    if (fgetxattr(dir, "trusted.delegate", mark, sizeof mark) <= 0 && fgetxattr(dir, "user.delegate", mark, sizeof mark) <= 0 &&
        geteuid() == 0)
        return 0;
    if (uid != (uid_t)-1) {
        r = give_to(dir, uid, gid);
        if (r < 0)
            return r;
    } else if (faccessat(dir, "cgroup.procs", W_OK, AT_EACCESS) < 0) {
        return 0;
    }
    c->controllers = subgroup ? enable_controllers(dir) : 0;
    c->dir = steal_fd(&dir);
    return 0;
}

void cgroup_done(struct cgroup *c) {
    close_fd(c->dir);
    c->dir = -1;
}

static void name_of(uint64_t owner, char ret_name[32]) {
    snprintf(ret_name, 32, "%s-%" PRIu64, owner & CGROUP_ZYGOTE ? "zygote" : "worker", owner & ~CGROUP_ZYGOTE);
}

static int set_limit(int dir, const struct cgroup *c, unsigned controller, const char *file, uint64_t value, const char *what,
                     const char **ret_what) {
    char text[32];
    if (value == 0)
        return 0;
    *ret_what = what;
    if (!(c->controllers & controller))
        return -EOPNOTSUPP;
    snprintf(text, sizeof text, "%" PRIu64, value);
    return write_at(dir, file, text);
}

int cgroup_make(const struct cgroup *c, uint64_t owner, const struct cgroup_limits *l, int *ret_fd, const char **ret_what) {
    char name[32];
    *ret_what = "a cgroup of its own is not available: this instance has no delegated cgroup";
    if (c->dir < 0)
        return -EOPNOTSUPP;
    name_of(owner, name);
    if (mkdirat(c->dir, name, 0755) < 0)
        return -errno;
    auto_fd dir = openat(c->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dir < 0 ? -errno : 0;
    if (r >= 0)
        r = set_limit(dir, c, CGROUP_MEMORY, "memory.max", l->memory_max,
                      "a memory limit is not available: the cgroup controller \"memory\" is not delegated", ret_what);
    if (r >= 0)
        r = set_limit(dir, c, CGROUP_TASKS, "pids.max", l->tasks_max,
                      "a limit of tasks is not available: the cgroup controller \"pids\" is not delegated", ret_what);
    if (r >= 0)
        r = set_limit(dir, c, CGROUP_CPU, "cpu.weight", l->cpu_weight,
                      "a cpu weight is not available: the cgroup controller \"cpu\" is not delegated", ret_what);
    if (r < 0)
        return r;
    *ret_fd = steal_fd(&dir);
    return 0;
}

/* A client may send what is on a file system in user space, whose server never answers: so nothing is asked that such a one would
 * be asked. */
int cgroup_given(int fd, int *ret_fd) {
    struct statx given, root;
    auto_fd root_fd = open_root();
    if (root_fd < 0 || statx(root_fd, "", AT_EMPTY_PATH, STATX_TYPE, &root) < 0)
        return -EOPNOTSUPP;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &given) < 0)
        return -errno;
    if (!S_ISDIR(given.stx_mode) || given.stx_dev_major != root.stx_dev_major || given.stx_dev_minor != root.stx_dev_minor)
        return -ENOTDIR;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return -errno;
    *ret_fd = copy;
    return 0;
}

int cgroup_entrance(int cgroup, int *ret_fd) {
    int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int cgroup_kill(const struct cgroup *c, uint64_t owner) {
    char path[64], name[32];
    name_of(owner, name);
    snprintf(path, sizeof path, "%s/cgroup.kill", name);
    return c->dir < 0 ? -EOPNOTSUPP : write_at(c->dir, path, "1");
}

/* A worker may have made folders below its own, which belong to the same user. */
static void remove_below(int parent, const char *name, unsigned depth) {
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        close_fd(fd);
        return;
    }
    const struct dirent *e;
    while ((e = readdir(dir)) != NULL) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, AT_REMOVEDIR) == 0 || errno != EBUSY || depth == REMOVE_DEPTH)
            continue;
        remove_below(fd, e->d_name, depth + 1);
        unlinkat(fd, e->d_name, AT_REMOVEDIR);
    }
}

int cgroup_remove(const struct cgroup *c, uint64_t owner) {
    char name[32];
    name_of(owner, name);
    if (unlinkat(c->dir, name, AT_REMOVEDIR) == 0)
        return 0;
    if (errno != EBUSY)
        return -errno;
    remove_below(c->dir, name, 1);
    return unlinkat(c->dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* ---- all of it ---- */

enum { CLEAR_ROUNDS = 500, CLEAR_PAUSE_USEC = 10000 };

/* Not by cgroup.kill: we are in there ourselves. What is forked meanwhile the next round finds. */
static unsigned kill_in(int dir) {
    unsigned n = 0;
    long pid;
    int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOCTTY);
    FILE *f = fd >= 0 ? fdopen(fd, "re") : NULL;
    if (f == NULL) {
        close_fd(fd);
        return 0;
    }
    while (fscanf(f, "%ld", &pid) == 1)
        if (pid > 1 && pid != getpid()) {
            (void)kill((pid_t)pid, SIGKILL);
            n++;
        }
    fclose(f);
    return n;
}

static unsigned kill_below(int at, const char *name, unsigned depth) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        close_fd(fd);
        return 0;
    }
    unsigned n = kill_in(fd);
    const struct dirent *e;
    while (depth < REMOVE_DEPTH && (e = readdir(dir)) != NULL)
        if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            n += kill_below(fd, e->d_name, depth + 1);
    return n;
}

unsigned cgroup_clear(const struct cgroup *c) {
    unsigned n, most = 0, rounds = 0;
    while ((n = kill_below(c->dir, ".", 0)) > 0 && rounds++ < CLEAR_ROUNDS) {
        most = n > most ? n : most;
        usleep(CLEAR_PAUSE_USEC);
    }
    remove_below(c->dir, ".", 1);
    return most;
}

static uint64_t owner_of(const char *name) {
    uint64_t id;
    char end;
    if (sscanf(name, "worker-%" SCNu64 "%c", &id, &end) == 1)
        return id;
    return sscanf(name, "zygote-%" SCNu64 "%c", &id, &end) == 1 ? id | CGROUP_ZYGOTE : 0;
}

void cgroup_each(const struct cgroup *c, void (*call)(void *data, uint64_t owner), void *data) {
    int fd = c->dir >= 0 ? openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    auto_dir dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    while (dir != NULL && (e = readdir(dir)) != NULL) {
        uint64_t owner = owner_of(e->d_name);
        if (owner != 0)
            call(data, owner);
    }
}
