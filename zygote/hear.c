/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Requests as they come from the server. The server is trusted; what it passes on is its client's, and read by the child alone.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "zygote/zygote.h"

void work_done(struct work *w) {
    fd_queue_done(&w->fds);
    free(w->bytes);
    w->bytes = NULL;
}

static int receive(int sock, struct work *w) {
    ssize_t n = fds_receive(sock, w->bytes, LIMIT_DATAGRAM + 1024, &w->fds);
    if (n <= 0)
        return n == -ECONNRESET ? 0 : (int)n;
    w->size = (size_t)n;
    int r = message_read(w->bytes, w->size, TO_ZYGOTE, STATE_READY, &w->message);
    if (r < 0)
        return r;
    return message_fds(&w->message) == w->fds.count ? 1 : -EBADMSG;
}

int hear(int sock, bool wait, struct work *ret_work) {
    struct work w = {.bytes = malloc(LIMIT_DATAGRAM + 1024)};
    fd_queue_init(&w.fds);
    if (w.bytes == NULL)
        return -ENOMEM;
    int r = receive(sock, &w);
    while (r == -EAGAIN && wait) {
        struct pollfd p = {.fd = sock, .events = POLLIN};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            r = -errno;
        else
            r = receive(sock, &w);
    }
    if (r != 1) {
        work_done(&w);
        return r;
    }
    *ret_work = w;
    return 1;
}

int hear_large(struct work *w) {
    struct stat st;
    if (!message_has(&w->message, ATTR_LARGE))
        return 0;
    uint32_t index = message_u32(&w->message, ATTR_LARGE, 0);
    if (index >= w->fds.count || fstat(w->fds.fds[index], &st) < 0 || st.st_size <= 0 || st.st_size > 2 * LIMIT_FRAME)
        return -EBADMSG;
    uint8_t *bytes = malloc((size_t)st.st_size);
    if (bytes == NULL)
        return -ENOMEM;
    struct message m;
    ssize_t n = pread(w->fds.fds[index], bytes, (size_t)st.st_size, 0);
    int r = n == st.st_size ? message_read(bytes, (size_t)n, TO_ZYGOTE, STATE_READY, &m) : -EBADMSG;
    if (r < 0 || m.serial != w->message.serial) {
        free(bytes);
        return -EBADMSG;
    }
    free(w->bytes);
    w->bytes = bytes;
    w->message = m;
    return 0;
}
