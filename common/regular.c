/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that somebody else has written. A FIFO, a device or a file without end costs nothing here; what is in them it does not
 * know. */
#include "common/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cleanup.h"

int regular_open(int root, const char *path, int flags) {
    /* O_NONBLOCK: a FIFO without a writer would be waited for. */
    flags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = root < 0 ? open(path, flags) : (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    return fd < 0 ? -errno : fd;
}

static int check(int fd, size_t most) {
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
        return -ENODEV;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return (uintmax_t)st.st_size > most ? -EFBIG : 0;
}

int regular_read(int root, const char *path, size_t most, char **ret_text, size_t *ret_size) {
    auto_fd fd = regular_open(root, path, O_RDONLY);
    if (fd < 0)
        /* A socket cannot be opened at all. */
        return fd == -ENOTDIR ? -ENOENT : fd == -ENXIO ? -EINVAL : fd;
    int r = check(fd, most);
    if (r < 0)
        return r;
    auto_free char *text = malloc(most + 2);
    size_t size = 0;
    ssize_t n;
    if (text == NULL)
        return -ENOMEM;
    /* The size was that of a moment ago. */
    while (size <= most && (n = read(fd, text + size, most + 1 - size)) != 0) {
        if (n < 0 && errno != EINTR)
            return -errno;
        size += n > 0 ? (size_t)n : 0;
    }
    if (size > most)
        return -EFBIG;
    text[size] = 0;
    *ret_size = size;
    *ret_text = steal_ptr(text);
    return 0;
}
