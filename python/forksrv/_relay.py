# SPDX-License-Identifier: LGPL-2.1-or-later
"""Signals of the terminal. Processes of multiprocessing belong to the terminal's foreground group, and get ^C with it; those that forksrv forks
are in a session of their own. A small process stands in the program's group in the place of the fork server that would be there, and tells
the zygote what it gets; that passes it on."""
import os
import signal

# A shell's read ends early when a trap ran, in some shells; at the end of the file, for good, in all.
_SCRIPT = "".join("trap 's=1; echo %d' %s\n" % (getattr(signal, "SIG" + name), name) for name in ("INT", "QUIT"))
_SCRIPT += "".join("trap 'echo %d; exit' %s\n" % (getattr(signal, "SIG" + name), name) for name in ("HUP", "TERM"))
_SCRIPT += "trap 's=1; echo %d; kill -s STOP $$; echo %d' TSTP\n" % (signal.SIGSTOP, signal.SIGCONT)
_SCRIPT += 'while s=; read -r line || [ "$s" ]; do :; done 2>/dev/null\n'


class Relay:
    """Lives until it is closed, or this program and its forks are gone."""

    def __init__(self):
        self.pid = 0
        self.read, self._told = os.pipe()
        try:
            self._lifeline, self._end = os.pipe()
        except OSError:
            os.close(self.read)
            os.close(self._told)
            raise

    def start(self):
        actions = [(os.POSIX_SPAWN_DUP2, self._lifeline, 0), (os.POSIX_SPAWN_DUP2, self._told, 1),
                   (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
        try:
            self.pid = os.posix_spawn("/bin/sh", ["forksrv-signals", "-c", _SCRIPT], {"PATH": "/usr/bin:/bin"}, file_actions=actions, setsigmask=[],
                                      setsigdef=[signal.SIGPIPE])
        except OSError:
            pass  # then ^C reaches the program only
        os.close(self._lifeline)
        os.close(self._told)
        self._lifeline = self._told = -1

    def close_read(self):
        """Once the zygote has it."""
        fd, self.read = self.read, -1
        if fd >= 0:
            os.close(fd)

    def close(self):
        self.close_read()
        for fd in (self._lifeline, self._told, self._end):
            if fd >= 0:
                os.close(fd)
        self._lifeline = self._told = self._end = -1
        pid, self.pid = self.pid, 0
        if pid > 0:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass  # the program waits for all of its children itself
