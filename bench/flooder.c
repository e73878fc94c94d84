/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What strangers do to an instance: a thousand connections that say nothing, and one after another that is made and closed again
 * with the challenge unread. A line "+" on standard input begins it, which is answered by a line once the thousand are there, and
 * the next line ends it, which is answered by the number of reconnects. Knows no key. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "say.h"

enum { SILENT = 1000, BETWEEN_LOOKS = 64 };

static int dial(const struct sockaddr_un *sa) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Waits in a full backlog, as a real one would: spinning would take the processor, not the server. */
    if (fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof *sa) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool line_waits(void) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static unsigned long reconnect(const struct sockaddr_un *sa) {
    unsigned long n = 0;
    do
        for (int i = 0; i < BETWEEN_LOOKS; i++, n++) {
            int fd = dial(sa);
            if (fd >= 0)
                close(fd);
        }
    while (!line_waits());
    return n;
}

static void answer(unsigned long n) {
    char text[32];
    int length = snprintf(text, sizeof text, "%lu\n", n);
    if (write(STDOUT_FILENO, text, (size_t)length) != length)
        _exit(1);
}

static void flood(const struct sockaddr_un *sa, int *fds) {
    for (int i = 0; i < SILENT; i++)
        fds[i] = dial(sa);
    answer(0);
    unsigned long n = reconnect(sa);
    for (int i = 0; i < SILENT; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    answer(n);
}

int main(int argc, char **argv) {
    static int fds[SILENT];
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct rlimit many = {SILENT + 64, SILENT + 64};
    char line[2];
    if (argc != 2 || strlen(argv[1]) >= sizeof sa.sun_path) {
        say("usage: flooder ADDRESS");
        return 2;
    }
    setrlimit(RLIMIT_NOFILE, &many);
    memcpy(sa.sun_path, argv[1], strlen(argv[1]) + 1);
    /* By read() and not by stdio, whose buffer poll() knows nothing of. */
    while (read(STDIN_FILENO, line, 2) == 2)
        if (line[0] == '+')
            flood(&sa, fds);
    return 0;
}
