/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pipe is the client's own, and may be full, shared or broken: so it is opened anew, since whether a write waits is a matter
 * of the open file and not of the descriptor. */
#include "daemon/exitpipe.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "protocol/message.h"

bool exit_pipe_is_one(int fd) {
    /* fstat() would wait for the server of a file system in user space. */
    return fcntl(fd, F_GETPIPE_SZ) >= 0;
}

void exit_pipe_write(int fd, int kind, int value) {
    char path[40];
    int64_t code = kind == END_EXITED ? value : -(int64_t)value;
    if (kind == END_UNKNOWN)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    auto_fd own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    /* No reader is left, or the pipe is full of something else: that is the reader's affair. */
    if (own >= 0)
        (void)!write(own, &code, sizeof code);
}
