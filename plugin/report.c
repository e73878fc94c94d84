/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mistakes are told on stderr, and if nobody hears that, in systemd's log. Nothing here waits for anybody: a generator that
 * waited for the journal could keep the machine from booting. */
#include "plugin/report.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"

#define NAME "forksrv-generator"

enum { TEXT = 1024 };

/* One datagram, which is taken at once or not at all: at boot there is no journal yet, and the kernel's log has it. */
static bool tell_journal(const char *text) {
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
    char message[TEXT + 128];
    int n = snprintf(message, sizeof message, "PRIORITY=4\nSYSLOG_IDENTIFIER=" NAME "\nMESSAGE=%s\n", text);
    auto_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 &&
           sendto(fd, message, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address) == n;
}

static void tell_kernel(const char *text) {
    char message[TEXT + 128];
    int n = snprintf(message, sizeof message, "<4>" NAME "[%d]: %s\n", (int)getpid(), text);
    auto_fd fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || write(fd, message, (size_t)n) != n)
        return; /* it was told where else that can be done */
}

static void tell(const struct report *r, char *text) {
    /* Names of files can be anything. */
    for (char *p = text; *p != 0; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    if (r->to != NULL)
        fprintf(r->to, NAME ": %s\n", text);
    if (r->to_journal && !tell_journal(text))
        tell_kernel(text);
}

void report_mistake(struct report *r, const char *path, unsigned line, const char *format, ...) {
    char text[TEXT], where[16] = "";
    va_list args;
    r->wrong++;
    if (r->told++ >= REPORT_EACH) {
        if (r->told == REPORT_EACH + 1) {
            snprintf(text, sizeof text, "%.512s: there are more mistakes; correct these first", path);
            tell(r, text);
        }
        return;
    }
    if (line > 0)
        snprintf(where, sizeof where, ":%u", line);
    int n = snprintf(text, sizeof text, "%.512s%s: ", path, where);
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    tell(r, text);
}

void report_next(struct report *r) {
    r->told = 0;
}
