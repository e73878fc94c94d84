/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pipe's lines. It passes them on to the log, which bounds how many; a process that prints faster than it is read waits, and
 * nobody else does. */
#include "daemon/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "daemon/limits.h"
#include "daemon/log.h"
#include "protocol/limits.h"

struct output {
    sd_event_source *source; /* owns the fd */
    int fd;
    char name[LIMIT_ZYGOTE + 1];
    size_t line_size, tail_size;
    char line[ZYGOTE_OUTPUT_LINE + 1];
    char tail[ZYGOTE_OUTPUT_TAIL + 1];
};

static void say_line(struct output *o) {
    o->line[o->line_size] = 0;
    if (o->line_size > 0)
        log_line(LOG_INFO, LOG_KIND_OUTPUT, NULL, "zygote %s: %s", o->name, o->line);
    o->line_size = 0;
}

/* Control characters are for terminals. */
static void put_char(struct output *o, char c) {
    if (c == '\n') {
        say_line(o);
        return;
    }
    if (o->line_size == ZYGOTE_OUTPUT_LINE)
        say_line(o);
    o->line[o->line_size++] = (unsigned char)c < ' ' && c != '\t' ? '?' : c;
}

static void keep(struct output *o, const char *p, size_t n) {
    if (n > ZYGOTE_OUTPUT_TAIL) {
        p += n - ZYGOTE_OUTPUT_TAIL;
        n = ZYGOTE_OUTPUT_TAIL;
    }
    size_t over = o->tail_size + n > ZYGOTE_OUTPUT_TAIL ? o->tail_size + n - ZYGOTE_OUTPUT_TAIL : 0;
    memmove(o->tail, o->tail + over, o->tail_size - over);
    o->tail_size -= over;
    memcpy(o->tail + o->tail_size, p, n);
    o->tail_size += n;
}

/* Whether there may be more. */
static bool read_some(struct output *o) {
    char buf[4096];
    ssize_t n = read(o->fd, buf, sizeof buf);
    if (n <= 0)
        return false;
    for (ssize_t i = 0; i < n; i++)
        put_char(o, buf[i]);
    keep(o, buf, (size_t)n);
    return true;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *data) {
    (void)fd;
    struct output *o = data;
    if (read_some(o) || !(revents & EPOLLHUP))
        return 0;
    say_line(o);
    return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

int output_new(struct daemon *d, const char *name, struct output **ret_output, int *ret_write) {
    auto_free struct output *o = calloc(1, sizeof *o);
    int ends[2];
    if (o == NULL)
        return -ENOMEM;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    auto_fd to_read = ends[0], to_write = ends[1];
    if (fcntl(to_read, F_SETFL, O_RDONLY | O_NONBLOCK) < 0)
        return -errno;
    int r = sd_event_add_io(d->event, &o->source, to_read, EPOLLIN, on_output, o);
    if (r < 0)
        return r;
    /* People can wait. */
    sd_event_source_set_priority(o->source, SD_EVENT_PRIORITY_IDLE);
    sd_event_source_set_io_fd_own(o->source, true);
    o->fd = steal_fd(&to_read);
    snprintf(o->name, sizeof o->name, "%s", name);
    *ret_output = steal_ptr(o);
    *ret_write = steal_fd(&to_write);
    return 0;
}

const char *output_tail(struct output *o) {
    /* What a pipe holds, and no more: somebody may go on printing. */
    for (unsigned i = 0; i < 16 && read_some(o); i++) {
    }
    say_line(o);
    size_t n = o->tail_size;
    while (n > 0 && (o->tail[n - 1] == '\n' || o->tail[n - 1] == ' '))
        n--;
    o->tail[n] = 0;
    /* A text has no NUL inside. */
    for (size_t i = 0; i < n; i++)
        if (o->tail[i] == 0)
            o->tail[i] = '?';
    return o->tail;
}

void output_free(struct output *o) {
    if (o == NULL)
        return;
    say_line(o);
    sd_event_source_disable_unref(o->source);
    free(o);
}
