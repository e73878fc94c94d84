/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's own terminal, made raw while a worker has a terminal that stands in for it, and put back on every way out: those
 * that end this process by a signal among them, but for SIGKILL. It never touches a terminal that another job has. */
#include "terminal.h"

#include <signal.h>
#include <unistd.h>

#include "standard.h"

static struct termios callers, ours;
static volatile sig_atomic_t raw;

bool terminal_init(void) {
    return standard_file_given(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &callers) == 0;
}

const struct termios *terminal_settings(void) {
    return &callers;
}

bool terminal_size(struct winsize *ret_size) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (ioctl(fd, TIOCGWINSZ, ret_size) == 0)
            return true;
    return false;
}

bool terminal_is_ours(void) {
    pid_t group = tcgetpgrp(STDIN_FILENO);
    /* One that is not the controlling terminal knows no jobs. */
    return group < 0 || group == getpgrp();
}

void terminal_restore(void) {
    /* Whoever has taken it meanwhile has set it, too, and tcsetattr would stop us. */
    if (raw && terminal_is_ours())
        tcsetattr(STDIN_FILENO, TCSANOW, &callers);
    raw = 0;
}

static void restore_and_die(int signo) {
    terminal_restore();
    raise(signo); /* SA_RESETHAND: its default action */
}

/* All that end a process by default and are not passed on to a worker. Faults of our own are among them. */
static void restore_at_death(void) {
    static const int deadly[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS,    SIGFPE,  SIGSEGV, SIGSTKFLT,
                                 SIGIO,  SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGPWR,  SIGSYS};
    static bool done;
    struct sigaction act = {.sa_handler = restore_and_die, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)}, now;
    const int n = sizeof deadly / sizeof deadly[0];
    for (int i = 0; !done && i < n + SIGRTMAX - SIGRTMIN + 1; i++) {
        int signo = i < n ? deadly[i] : SIGRTMIN + i - n;
        if (sigaction(signo, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(signo, &act, NULL);
    }
    done = true;
}

bool terminal_set_raw(void) {
    struct termios settings;
    if (raw || tcgetattr(STDIN_FILENO, &settings) < 0)
        return false;
    restore_at_death();
    /* What was set while it was not ours is the caller's will, too; what we have left there is not. */
    if (settings.c_iflag != ours.c_iflag || settings.c_oflag != ours.c_oflag || settings.c_lflag != ours.c_lflag)
        callers = settings;
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 1;
    settings.c_cc[VTIME] = 0;
    ours = settings;
    raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &settings) < 0)
        raw = 0;
    return raw;
}

void terminal_forget(void) {
    raw = 0;
}

void terminal_take_signals(void) {
    struct termios settings;
    if (!raw || !terminal_is_ours() || tcgetattr(STDIN_FILENO, &settings) < 0)
        return;
    settings.c_lflag |= ISIG;
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}
