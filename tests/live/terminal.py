# SPDX-License-Identifier: LGPL-2.1-or-later
"""A terminal with the command on it, and a shell of the test's own that has it as its one job: in the foreground, stopped, in the background."""
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import time

import live
from command import PROGRAM, environment


def size_of(fd):
    """Rows and columns."""
    return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))[:2]


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Shell:
    """The session's leader. It does what comes on its socket, a word each, and answers with a number each."""

    def __init__(self, screen, sock, argv, env, files, foreground):
        os.setsid()
        fcntl.ioctl(screen, termios.TIOCSCTTY, 0)
        # As every shell: it takes the terminal back from another group.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self.sock = sock
        self.job = os.fork()
        if self.job == 0:
            os.setpgid(0, 0)
            if foreground:
                os.tcsetpgrp(screen, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            for target in range(3):
                os.dup2(files.get(target, screen), target)
            os.execve(PROGRAM, argv, env)
        self.screen = screen
        self.answer(self.job)
        while True:
            word = sock.recv(100).decode()
            if not word:
                os._exit(0)
            self.answer(getattr(self, word)())

    def answer(self, number):
        self.sock.send(str(number).encode())

    def wait(self):
        """Until the job ends or is stopped. A shell takes the terminal back then."""
        _, status = os.waitpid(self.job, os.WUNTRACED)
        os.tcsetpgrp(self.screen, os.getpid())
        return status

    def fg(self):
        os.tcsetpgrp(self.screen, self.job)
        return self.bg()

    def fg_running(self):
        """What shells do with one that runs: they tell it nothing."""
        os.tcsetpgrp(self.screen, self.job)
        return 0

    def bg(self):
        os.killpg(self.job, signal.SIGCONT)
        return 0


class Terminal:
    def __init__(self, daemon, *args, size=(24, 80), foreground=True, files=None, env=None):
        """The command with these arguments. files: {0, 1 or 2: fd} what is not the terminal."""
        self.master, self.screen = os.openpty()
        resize(self.master, *size)
        self.before = self.settings()
        self.seen = b""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.shell = os.fork()
        if self.shell == 0:
            try:
                ours.close()
                os.close(self.master)
                Shell(self.screen, theirs, ["forksrv", *args], environment(daemon, **(env or {})), files or {}, foreground)
            finally:
                os._exit(99)
        theirs.close()
        os.close(self.screen)
        self.screen = -1
        self.sock = ours
        self.sock.settimeout(live.DEADLINE)
        self.pid = int(self.sock.recv(100))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.hang_up()
        self.sock.close()
        os.waitpid(self.shell, 0)

    def hang_up(self):
        if self.master >= 0:
            os.close(self.master)
        self.master = -1

    def settings(self):
        return termios.tcgetattr(self.master)

    def is_raw(self):
        return not self.settings()[3] & (termios.ICANON | termios.ISIG)

    def tell(self, word):
        self.sock.send(word.encode())
        return int(self.sock.recv(100))

    def status(self):
        """How the job ended, as subprocess has it; or ("stopped", signal). What it prints meanwhile is kept in `seen`."""
        self.sock.send(b"wait")
        while not select.select([self.sock], [], [], 0)[0]:
            self.take(self.sock)
        status = int(self.sock.recv(100))
        if os.WIFSTOPPED(status):
            return ("stopped", os.WSTOPSIG(status))
        return os.waitstatus_to_exitcode(status)

    def take(self, *others):
        """What there is to read, or one of the others is ready."""
        watched = [self.master, *others] if self.master >= 0 else list(others)
        ready = select.select(watched, [], [], live.DEADLINE)[0]
        if not ready:
            raise AssertionError("nothing came within %d s after %r" % (live.DEADLINE, self.seen[-200:]))
        if self.master in ready:
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                self.hang_up()

    def until(self, what):
        """Reads until it was printed; returns all up to there."""
        end = time.monotonic() + live.DEADLINE
        while what not in self.seen:
            if time.monotonic() > end or self.master < 0:
                raise AssertionError("%r has not been printed, but %r" % (what, self.seen[-500:]))
            self.take()
        before, _, self.seen = self.seen.partition(what)
        return before

    def rest(self):
        """All that was printed by a job that has ended."""
        while select.select([self.master], [], [], 0)[0]:
            self.take()
        text, self.seen = self.seen, b""
        return text

    def type(self, keys):
        while keys:
            keys = keys[os.write(self.master, keys):]
