/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines for the journal, with fields, and a bound on how many. Without a journal they go to stderr. It never decides what is
 * worth a line. */
#include "daemon/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "daemon/journal.h"
#include "daemon/limits.h"
#include "protocol/limits.h"

/* units/forksrv.catalog explains each of these. */
static const char *const message_ids[LOG_KIND_COUNT] = {
    [LOG_KIND_READY] = "0fbc6ad1b5364c3f9b6a4d3f0d6e7c11",    [LOG_KIND_STOP] = "1d9f4a7cbe1e4b0fa4cf9c1b8f0d3a22",
    [LOG_KIND_CONFIG] = "2e77b1c6f0d94d5c8a52d1f70c9b4e33",   [LOG_KIND_KEY] = "3b0c8e25a9f14a6db7e36f1a5d2c8f44",
    [LOG_KIND_START_UP] = "4a61d0f7c2b84e7e9c47e0b96a3d1f55", [LOG_KIND_REFUSED] = "5c92e3b8d4a74f8fad58f1c07b4e2a66",
    [LOG_KIND_AUTH] = "6d03f4c9e5b84a90be69a2d18c5f3b77",     [LOG_KIND_TIMEOUT] = "7e14a5daf6c94ba1cf7ab3e29d6a4c88",
    [LOG_KIND_PROTOCOL] = "8f25b6eb07da4cb2d08bc4f3ae7b5d99", [LOG_KIND_LIMIT] = "9036c7fc18eb4dc3e19cd5a4bf8c6eaa",
    [LOG_KIND_WORKER] = "a147d80d29fc4ed4f2ade6b5c09d7fbb",   [LOG_KIND_RESOURCE] = "b258e91e3a0d4fe5a3bef7c6d1ae80cc",
    [LOG_KIND_ZYGOTE] = "a548d1306ee248d2839df13a893cfa1b",   [LOG_KIND_OUTPUT] = "d844624517954624adf69165ccd914ea",
};

/* The traceback of a zygote, and some words around it. */
enum { TEXT_SIZE = LIMIT_TEXT + 256 };

static struct {
    bool quiet;
    bool journal;
    unsigned lost; /* lines that could not be written */
    char user[64];
    struct {
        time_t since;
        unsigned said;
        unsigned dropped;
    } kinds[LOG_KIND_COUNT];
} state;

void log_init(bool quiet) {
    state.quiet = quiet;
    state.journal = getenv("JOURNAL_STREAM") != NULL && !quiet;
}

void log_set_user(const char *user) {
    snprintf(state.user, sizeof state.user, "%s", user);
}

/* Whoever reads them may have stopped: a pipe that has no room for a whole line gets none. */
static bool write_to_stderr(const char *text) {
    char line[PIPE_BUF];
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    int n = snprintf(line, sizeof line, "forksrvd: %s\n", text);
    if ((size_t)n >= sizeof line) {
        n = sizeof line;
        line[n - 1] = '\n';
    }
    return poll(&p, 1, 0) == 1 && p.revents & POLLOUT && write(STDERR_FILENO, line, (size_t)n) == n;
}

static void put_number(struct journal_entry *e, const char *name, long long value) {
    char text[24];
    snprintf(text, sizeof text, "%lld", value);
    journal_put(e, name, text);
}

static bool write_to_journal(int priority, enum log_kind kind, const struct log_peer *peer, const char *text) {
    struct journal_entry e = {0};
    put_number(&e, "PRIORITY", priority);
    journal_put(&e, "SYSLOG_IDENTIFIER", "forksrvd");
    journal_put(&e, "MESSAGE_ID", message_ids[kind]);
    journal_put(&e, "FORKSRV_USER", state.user);
    if (peer != NULL) {
        put_number(&e, "FORKSRV_PEER_PID", peer->pid);
        put_number(&e, "FORKSRV_PEER_UID", peer->uid);
    }
    journal_put(&e, "MESSAGE", text);
    return journal_send(&e);
}

static bool write_once(int priority, enum log_kind kind, const struct log_peer *peer, const char *text) {
    return state.journal ? write_to_journal(priority, kind, peer, text) : write_to_stderr(text);
}

/* Nothing here waits. What could not be written is told with the next line that can. */
static void write_line(int priority, enum log_kind kind, const struct log_peer *peer, const char *text) {
    if (!write_once(priority, kind, peer, text)) {
        state.lost++;
        return;
    }
    if (state.lost == 0)
        return;
    char lost[96];
    snprintf(lost, sizeof lost, "%u messages before that were lost: the log took nothing", state.lost);
    if (write_once(LOG_WARNING, LOG_KIND_RESOURCE, NULL, lost))
        state.lost = 0;
}

/* Whether this kind may speak now; tells first what was left out before. */
static bool may_say(int priority, enum log_kind kind) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - state.kinds[kind].since >= LOG_INTERVAL_SEC) {
        unsigned dropped = state.kinds[kind].dropped;
        state.kinds[kind].since = now.tv_sec;
        state.kinds[kind].said = 0;
        state.kinds[kind].dropped = 0;
        if (dropped > 0) {
            char text[96];
            snprintf(text, sizeof text, "%u more messages of the following kind were left out", dropped);
            write_line(priority, kind, NULL, text);
        }
    }
    if (state.kinds[kind].said == LOG_BURST) {
        state.kinds[kind].dropped++;
        return false;
    }
    state.kinds[kind].said++;
    return true;
}

void log_line(int priority, enum log_kind kind, const struct log_peer *peer, const char *format, ...) {
    if (state.quiet && priority > LOG_ERR)
        return;
    if (!may_say(priority, kind))
        return;
    char text[TEXT_SIZE - 64], line[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (peer != NULL)
        snprintf(line, sizeof line, "%s (peer: pid %d, uid %u)", text, (int)peer->pid, (unsigned)peer->uid);
    else
        snprintf(line, sizeof line, "%s", text);
    write_line(priority, kind, peer, line);
    /* The end follows at once, and the journal may not find out any more which unit the line came from. `systemctl status`
     * shows this in any case. */
    if (priority <= LOG_ERR && (kind == LOG_KIND_KEY || kind == LOG_KIND_START_UP))
        sd_notifyf(false, "STATUS=%s", line);
}
