/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal for a worker: the kernel's line discipline lies between it and the caller's standard files, so keys that are signals
 * for one are that without us. What the kernel cannot do here is done: a key that suspends, for a session which has nobody to
 * resume it; an end of file that is no key; and the last output of a worker that is gone. */
#include "pseudo-terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "channel.h"
#include "cleanup.h"
#include "clock.h"
#include "process.h"
#include "say.h"
#include "terminal.h"

enum {
    /* Milliseconds. A shell tells nobody that a job which runs is in the foreground now, nor the kernel that a terminal is
     * canonical again, nor somebody else's child that it is stopped. */
    LOOK = 200,
    LOOK_FOR_STOP = 50,
    LEFT_AT_END = 1 << 20, /* bytes: more than the kernel keeps of a terminal's output */
};
static const uint64_t stops_within = 1000000000; /* ns from the key to the stop, of a program that tidies its screen first */

struct pty {
    struct endpoint master; /* -1 once it was hung up */
    int slave;              /* owned. As long as it is open, the master does not tell that nobody has it */
    struct endpoint in, out;
    struct channel input, output;
    bool terminal; /* `in` is one */
    bool eof_due;  /* the input has ended, and the worker has not been told */
    char last;     /* byte of the input */
    pid_t worker;  /* 0: it does not run yet */
    uint64_t looking_until;
    bool stop_due;
    size_t left; /* after the end: how much more is read */
    bool ending;
    int error;
};

/* ---- making it ---- */

static void give_away(int slave, const char *owner) {
    const struct passwd *user = owner != NULL ? getpwnam(owner) : NULL;
    /* Only root can, and only root has other users' instances. */
    if (user != NULL && user->pw_uid != getuid() && fchown(slave, user->pw_uid, (gid_t)-1) < 0)
        say("the terminal stays the caller's: %s", strerror(errno));
}

static int open_pair(struct pty *p) {
    struct winsize size;
    p->master.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (p->master.fd < 0 || grantpt(p->master.fd) < 0 || unlockpt(p->master.fd) < 0)
        return -errno;
    /* Not by its name, which may be another one's here. */
    p->slave = ioctl(p->master.fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (p->slave < 0)
        return -errno;
    if (p->terminal && tcsetattr(p->slave, TCSANOW, terminal_settings()) < 0)
        return -errno;
    if (terminal_size(&size) && ioctl(p->master.fd, TIOCSWINSZ, &size) < 0)
        return -errno;
    return 0;
}

int pty_new(const char *owner, struct pty **ret_pty) {
    struct pty *p = calloc(1, sizeof *p);
    if (p == NULL) {
        say("out of memory");
        return -ENOMEM;
    }
    p->master.fd = p->slave = p->in.fd = p->out.fd = -1;
    p->left = LEFT_AT_END;
    p->terminal = terminal_init();
    int r = open_pair(p);
    if (r >= 0)
        r = endpoint_open(STDIN_FILENO, O_RDONLY, &p->in);
    if (r >= 0)
        r = endpoint_open(STDOUT_FILENO, O_WRONLY, &p->out);
    if (r < 0) {
        say("--pty: cannot make a terminal: %s", strerror(-r));
        pty_free(p);
        return r;
    }
    give_away(p->slave, owner);
    /* It would end this process, and leave the caller's terminal raw. */
    signal(SIGPIPE, SIG_IGN);
    *ret_pty = p;
    return 0;
}

int pty_slave(const struct pty *p) {
    return p->slave;
}

/* The kernel sends SIGHUP to whoever has it for a controlling terminal. */
static void hang_up(struct pty *p) {
    drop_fd(&p->slave);
    p->slave = -1;
    endpoint_done(&p->master);
    endpoint_done(&p->in);
    p->eof_due = false;
    p->output.start = p->output.end = 0;
}

void pty_free(struct pty *p) {
    if (p == NULL)
        return;
    terminal_restore();
    hang_up(p);
    endpoint_done(&p->out);
    free(p);
}

/* ---- what is typed ---- */

/* A process group whose leader's parent is in another session is orphaned, and the kernel stops none by a key, as nobody there
 * could resume it. The worker's own is that always; jobs of a shell that it may be are not, and are left to it. */
static void look_for_suspend(struct pty *p, const char *bytes, size_t n) {
    struct termios t;
    struct process process;
    if (tcgetattr(p->master.fd, &t) < 0 || !(t.c_lflag & ISIG) || t.c_cc[VSUSP] == _POSIX_VDISABLE ||
        memchr(bytes, t.c_cc[VSUSP], n) == NULL)
        return;
    if (tcgetpgrp(p->master.fd) != p->worker || process_look(p->worker, &process) < 0)
        return;
    if (process_takes(&process, SIGTSTP) == PROCESS_DEFAULT)
        p->stop_due = true;
    else if (process_takes(&process, SIGTSTP) == PROCESS_CATCHES)
        p->looking_until = clock_nsec() + stops_within;
}

static void read_input(struct pty *p) {
    ssize_t n = channel_fill(&p->input, &p->in);
    if (n == -EAGAIN)
        return;
    if (n > 0) {
        const char *bytes = p->input.data + p->input.end - (size_t)n;
        p->last = bytes[n - 1];
        if (p->terminal)
            look_for_suspend(p, bytes, (size_t)n);
    } else if (p->terminal) {
        hang_up(p); /* a raw terminal has no other end */
    } else {
        endpoint_done(&p->in);
        p->eof_due = true;
    }
}

/* In a canonical line discipline VEOF is what a file's end is elsewhere: at the start of a line. Within one it only sends what
 * there is of the line. In another one it would be a byte like any other, so it waits. */
static void tell_eof(struct pty *p) {
    struct termios t;
    if (!p->eof_due || channel_waiting(&p->input) > 0 || tcgetattr(p->master.fd, &t) < 0 || !(t.c_lflag & ICANON) ||
        t.c_cc[VEOF] == _POSIX_VDISABLE)
        return;
    if (p->last != '\0' && p->last != '\n')
        channel_put(&p->input, (char)t.c_cc[VEOF]);
    channel_put(&p->input, (char)t.c_cc[VEOF]);
    p->eof_due = false;
}

static void write_input(struct pty *p) {
    int r = channel_flush(&p->input, &p->master, true);
    if (r >= 0) {
        tell_eof(p);
        r = channel_flush(&p->input, &p->master, true);
    }
    if (r < 0)
        p->input.start = p->input.end = 0;
}

/* ---- what the worker prints ---- */

static void write_output(struct pty *p, bool ready) {
    int r = channel_flush(&p->output, &p->out, ready);
    if (r >= 0)
        return;
    p->error = r;
    hang_up(p);
}

static ssize_t read_output(struct pty *p) {
    ssize_t n = p->master.fd >= 0 && channel_has_room(&p->output) ? channel_fill(&p->output, &p->master) : -EAGAIN;
    if (n > 0)
        write_output(p, false);
    return n;
}

bool pty_finish(struct pty *p) {
    bool again = p->ending;
    if (!again) {
        p->ending = true;
        /* Ours was the last one, unless something goes on in background. The kernel has all that the worker wrote, and a
         * read that finds nothing means that there is nothing of it: it waits for what is on its way within the kernel. */
        drop_fd(&p->slave);
        p->slave = -1;
        if (p->terminal && p->in.fd >= 0 && terminal_is_ours())
            terminal_set_raw();
    }
    write_output(p, again);
    while (p->left > 0 && p->master.fd >= 0 && channel_has_room(&p->output)) {
        ssize_t n = read_output(p);
        p->left = n > 0 && (size_t)n < p->left ? p->left - (size_t)n : 0;
    }
    bool done = channel_waiting(&p->output) == 0;
    if (!done)
        terminal_take_signals();
    return done;
}

int pty_output_fd(const struct pty *p) {
    return p->out.fd;
}

int pty_error(const struct pty *p) {
    return p->error;
}

/* ---- both ---- */

static bool may_type(const struct pty *p) {
    return p->worker != 0 && (!p->terminal || terminal_is_ours());
}

int pty_prepare(struct pty *p, pid_t worker, struct pollfd ret_polled[PTY_POLLED]) {
    p->worker = worker;
    bool typing = may_type(p);
    if (typing && p->terminal && p->in.fd >= 0 && terminal_set_raw())
        pty_resize(p);
    short input = typing && channel_has_room(&p->input) ? POLLIN : 0;
    /* Nothing is printed before the terminal is raw: it would make two lines' ends of each. */
    short master =
        (short)((worker != 0 && channel_has_room(&p->output) ? POLLIN : 0) | (channel_waiting(&p->input) > 0 ? POLLOUT : 0));
    /* A terminal is watched for its end in any case; a pipe whose writer is gone would not let poll wait. */
    ret_polled[0] = (struct pollfd){.fd = input != 0 || p->terminal ? p->in.fd : -1, .events = input};
    ret_polled[1] = (struct pollfd){.fd = p->master.fd, .events = master};
    ret_polled[2] = (struct pollfd){.fd = channel_waiting(&p->output) > 0 ? p->out.fd : -1, .events = POLLOUT};
    if (p->looking_until != 0)
        return LOOK_FOR_STOP;
    bool waits_for_foreground = p->terminal && p->in.fd >= 0 && worker != 0 && !typing;
    return waits_for_foreground || p->eof_due ? LOOK : -1;
}

void pty_move(struct pty *p, const struct pollfd polled[PTY_POLLED]) {
    if (polled[2].revents != 0)
        write_output(p, true);
    if (polled[0].revents != 0 && p->in.fd >= 0 && (polled[0].events != 0 || (polled[0].revents & POLLHUP)))
        read_input(p);
    if (polled[1].revents != 0)
        read_output(p);
    if (p->master.fd >= 0)
        write_input(p);
}

void pty_resize(struct pty *p) {
    struct winsize size;
    if (p->master.fd >= 0 && terminal_size(&size))
        ioctl(p->master.fd, TIOCSWINSZ, &size);
}

bool pty_wants_stop(struct pty *p) {
    struct process process;
    bool wants = p->stop_due;
    if (!wants && p->looking_until == 0)
        return false;
    if (!wants)
        wants = process_look(p->worker, &process) >= 0 && process.state == 'T';
    if (wants || clock_nsec() > p->looking_until)
        p->looking_until = 0;
    p->stop_due = false;
    return wants;
}

void pty_resume(struct pty *p) {
    terminal_forget();
    pty_resize(p);
}

void pty_stop(struct pty *p, bool group) {
    sigset_t set;
    read_output(p);
    terminal_restore();
    if (!group) {
        raise(SIGSTOP);
        return;
    }
    /* As the terminal would have done it to a job of more than one process. */
    sigemptyset(&set);
    sigaddset(&set, SIGTSTP);
    kill(0, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
}
