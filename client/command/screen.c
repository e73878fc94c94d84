/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal as a screen. Escape sequences of its own and no ncurses: every start of the command would load that, and `forksrv
 * run` would take a tenth longer. It draws nothing. */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The other screen, no cursor, lines that do not wrap; and back. */
static const char enter_sequence[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave_sequence[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

/* Of handlers, too. */
static struct termios before;
static volatile sig_atomic_t entered;
static volatile sig_atomic_t changed;
static sigset_t while_waiting;

static void set_modes(void) {
    struct termios modes = before;
    modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &modes);
}

static void put(const char *bytes, size_t size) {
    /* There is nobody to tell if it fails. */
    if (write(STDOUT_FILENO, bytes, size) < 0)
        return;
}

/* System calls only. */
static void restore(void) {
    sigset_t set, old;
    if (!entered)
        return;
    entered = 0;
    /* In the background, too. */
    sigemptyset(&set);
    sigaddset(&set, SIGTTOU);
    sigprocmask(SIG_BLOCK, &set, &old);
    put(leave_sequence, sizeof leave_sequence - 1);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* SA_RESETHAND: the second one ends the program as if there were no handler. */
static void on_end(int signo) {
    int error = errno;
    restore();
    raise(signo);
    errno = error;
}

static void on_change(int signo) {
    (void)signo;
    changed = 1;
}

/* SIGSTOP stops, and this goes on with SIGCONT. */
static void on_stop(int signo) {
    int error = errno;
    (void)signo;
    restore();
    raise(SIGSTOP);
    set_modes();
    put(enter_sequence, sizeof enter_sequence - 1);
    entered = 1;
    changed = 1;
    errno = error;
}

/* What was ignored stays ignored. */
static void handle(int signo, void (*handler)(int), int flags) {
    struct sigaction action = {.sa_flags = flags}, old;
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    if (sigaction(signo, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(signo, &action, NULL);
}

bool screen_usable(void) {
    const char *kind = getenv("TERM");
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind != NULL && *kind != '\0' && strcmp(kind, "dumb") != 0;
}

int screen_enter(void) {
    static const int ends[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGALRM};
    sigset_t changes;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return -errno;
    /* They come while screen_key waits, and nowhere else: no call of the session is interrupted, and none is missed. */
    sigemptyset(&changes);
    sigaddset(&changes, SIGWINCH);
    sigaddset(&changes, SIGTSTP);
    sigprocmask(SIG_BLOCK, &changes, &while_waiting);
    sigdelset(&while_waiting, SIGWINCH);
    sigdelset(&while_waiting, SIGTSTP);
    entered = 1;
    atexit(restore);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        handle(ends[i], on_end, (int)SA_RESETHAND);
    handle(SIGWINCH, on_change, 0);
    handle(SIGTSTP, on_stop, 0);
    set_modes();
    return screen_write(enter_sequence, sizeof enter_sequence - 1);
}

void screen_leave(void) {
    restore();
}

void screen_size(int *ret_rows, int *ret_columns) {
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *ret_rows = known ? size.ws_row : 24;
    *ret_columns = known ? size.ws_col : 80;
}

int screen_write(const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&p, 1, -1);
            continue;
        }
        if (n < 0)
            return -errno;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

/* ---- keys ---- */

static const struct {
    const char *sequence; /* after the escape character */
    int key;
} sequences[] = {
    {"[A", SCREEN_UP},       {"OA", SCREEN_UP},         {"[B", SCREEN_DOWN}, {"OB", SCREEN_DOWN},
    {"[5~", SCREEN_PAGE_UP}, {"[6~", SCREEN_PAGE_DOWN}, {"[H", SCREEN_HOME}, {"OH", SCREEN_HOME},
    {"[1~", SCREEN_HOME},    {"[F", SCREEN_END},        {"OF", SCREEN_END},  {"[4~", SCREEN_END},
};

/* 1 and a byte; 0: none came in time; or a negative errno: nobody is there. */
static int next_byte(uint64_t usec, unsigned char *ret_byte) {
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec wait = {.tv_sec = (time_t)(usec / 1000000), .tv_nsec = (long)(usec % 1000000) * 1000};
    int r = ppoll(&p, 1, &wait, &while_waiting);
    if (r <= 0)
        return r < 0 && errno != EINTR ? -errno : 0;
    ssize_t n = read(STDIN_FILENO, ret_byte, 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    return n == 1 ? 1 : -EIO;
}

/* The bytes of a sequence come at once, and those of a user do not. An unknown one is read to its end. */
static int escape_key(void) {
    enum { PATIENCE = 50000 };
    char text[16];
    size_t n = 0;
    unsigned char byte;
    while (n + 1 < sizeof text && next_byte(PATIENCE, &byte) == 1) {
        text[n++] = (char)byte;
        if (n > 1 && byte >= 0x40 && byte <= 0x7e)
            break;
        if (n == 1 && byte != '[' && byte != 'O')
            return SCREEN_NOTHING;
    }
    text[n] = '\0';
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        if (strcmp(sequences[i].sequence, text) == 0)
            return sequences[i].key;
    return n == 0 ? SCREEN_ESCAPE : SCREEN_NOTHING;
}

int screen_key(uint64_t usec) {
    unsigned char byte;
    if (changed)
        usec = 0;
    changed = 0;
    int r = next_byte(usec, &byte);
    if (r <= 0)
        return r < 0 ? SCREEN_GONE : SCREEN_NOTHING;
    return byte == SCREEN_ESCAPE ? escape_key() : byte;
}
