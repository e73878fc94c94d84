/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values turned into texts for people: times, signals, ends. Pure, and without a locale: scripts read these too. */
#include "format.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

const char *format_span(uint64_t usec, char *ret_buffer, size_t size) {
    unsigned long long s = usec / 1000000;
    if (usec == UINT64_MAX)
        snprintf(ret_buffer, size, "infinity");
    else if (usec < 1000)
        snprintf(ret_buffer, size, "%lluus", (unsigned long long)usec);
    else if (usec < 1000000)
        snprintf(ret_buffer, size, "%llu.%llums", (unsigned long long)usec / 1000, (unsigned long long)usec % 1000 / 100);
    else if (s < 60)
        snprintf(ret_buffer, size, "%llu.%02llus", s, (unsigned long long)usec % 1000000 / 10000);
    else if (s < 3600)
        snprintf(ret_buffer, size, "%llumin %llus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(ret_buffer, size, "%lluh %llumin", s / 3600, s % 3600 / 60);
    else
        snprintf(ret_buffer, size, "%llud %lluh", s / 86400, s % 86400 / 3600);
    return ret_buffer;
}

const char *format_signal(int signo, char *ret_buffer, size_t size) {
    const char *name = signo > 0 && signo < SIGRTMIN ? sigabbrev_np(signo) : NULL;
    if (name != NULL)
        snprintf(ret_buffer, size, "%s", name);
    else if (signo >= SIGRTMIN && signo <= SIGRTMAX)
        snprintf(ret_buffer, size, "RTMIN+%d", signo - SIGRTMIN);
    else
        snprintf(ret_buffer, size, "%d", signo);
    return ret_buffer;
}

const char *format_end(const struct forksrv_end *end, char *ret_buffer, size_t size) {
    char signal_name[32], how[64];
    if (end->signo != 0)
        snprintf(how, sizeof how, "killed %s%s", format_signal(end->signo, signal_name, sizeof signal_name),
                 end->core_dumped ? " (core)" : "");
    else if (end->code >= 0)
        snprintf(how, sizeof how, "exited %d", end->code);
    else
        snprintf(how, sizeof how, "end unknown");
    if (end->reason == 0 || end->reason == FORKSRV_REASON_EXITED || end->reason == FORKSRV_REASON_SIGNALLED)
        snprintf(ret_buffer, size, "%s", how);
    else
        snprintf(ret_buffer, size, "%s, %s", how, forksrv_reason_name(end->reason));
    return ret_buffer;
}
