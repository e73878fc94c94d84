/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A new key in a file. It is written beside its place and moved there whole, so that no reader ever sees half a key and two who
 * make one at the same time end up with one. The bytes are erased here, and are never printed. */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "cleanup.h"

static int write_key(int fd) {
    unsigned char key[KEY_SIZE];
    ssize_t n = getrandom(key, sizeof key, 0);
    if (n == (ssize_t)sizeof key)
        n = write(fd, key, sizeof key);
    int r = n == (ssize_t)sizeof key ? 0 : n < 0 ? -errno : -EIO;
    explicit_bzero(key, sizeof key);
    return r;
}

static int fill(int fd, uid_t uid, gid_t gid) {
    /* The umask may have taken more than was asked for. */
    if (fchmod(fd, 0600) < 0 || (uid != (uid_t)-1 && fchown(fd, uid, gid) < 0))
        return -errno;
    int r = write_key(fd);
    return r < 0 ? r : fsync(fd) < 0 ? -errno : 0;
}

static int make(int dir, const char *name, uid_t uid, gid_t gid, bool replace) {
    char temporary[64];
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -errno;
    snprintf(temporary, sizeof temporary, ".forksrv-keygen.%016" PRIx64, random);
    owned_fd fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fill(fd, uid, gid);
    if (r == 0 && renameat2(dir, temporary, dir, name, replace ? 0 : RENAME_NOREPLACE) < 0)
        r = -errno;
    if (r < 0)
        unlinkat(dir, temporary, 0);
    else
        fsync(dir);
    return r;
}

int keyfile_make(const char *directory, const char *name, uid_t uid, gid_t gid, bool replace) {
    sigset_t all, saved;
    owned_fd dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    /* A signal in between would leave the temporary file behind. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &saved);
    int r = make(dir, name, uid, gid, replace);
    sigprocmask(SIG_SETMASK, &saved, NULL);
    return r;
}
