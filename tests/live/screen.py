# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on a terminal of its own: what it writes becomes a screen, as far as a screen needs to understand `forksrv top`."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata

import live

LEAVE = "\x1b[?1049l"
# Everything that the program may write: anything else is a fault of it.
PIECE = re.compile(r"\x1b\[(?P<args>[?0-9;]*)(?P<what>[A-Za-z])|(?P<text>[^\x00-\x1f\x7f-\x9f]+)|(?P<control>[\r\n])|(?P<wrong>.)", re.S)


def width(c):
    return 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1


class Screen:
    def __init__(self, args, env, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.rows, self.columns = rows, columns
        self.size(rows, columns)
        self.modes = termios.tcgetattr(self.slave)
        self.cells, self.reverse, self.at, self.wrong = {}, set(), [0, 0], []
        self.history, self.inside, self.reversing, self.partial = "", False, False, b""

        def control():
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(args, env=env, stdin=self.slave, stdout=self.slave, stderr=self.slave, preexec_fn=control)

    def size(self, rows, columns):
        """The kernel tells the program by SIGWINCH. Until settled() a frame of the old size may still come."""
        self.limit = max(self.columns, columns)
        self.rows, self.columns = rows, columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settled(self):
        self.limit = self.columns

    def restored(self):
        return termios.tcgetattr(self.slave) == self.modes and not self.inside

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds=0.05):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = self.partial + os.read(self.master, 65536)
        # A read may end in the middle of a character or of a sequence.
        cut = len(data)
        escape = data.rfind(b"\x1b")
        if escape >= 0 and not re.match(rb"\x1b\[[?0-9;]*[A-Za-z]", data[escape:]):
            cut = escape
        while True:
            try:
                text = data[:cut].decode()
                break
            except UnicodeDecodeError as e:
                if e.end < cut:
                    raise
                cut = e.start
        self.partial = data[cut:]
        self.history += text
        for piece in PIECE.finditer(text):
            self.take(piece)
        return True

    def take(self, piece):
        args, what = piece["args"], piece["what"]
        if piece["wrong"] is not None:
            self.wrong.append(piece["wrong"])
        elif piece["control"]:
            self.at = [self.at[0] + (piece["control"] == "\n"), 0]
        elif piece["text"]:
            for c in piece["text"]:
                if self.at[1] + width(c) == self.limit + 1:
                    self.wrong.append("line %d is too long" % self.at[0])
                self.cells[tuple(self.at)] = c
                if width(c) == 2:
                    self.cells[self.at[0], self.at[1] + 1] = ""
                self.reverse.discard(self.at[0])
                if self.reversing:
                    self.reverse.add(self.at[0])
                self.at[1] += width(c)
        elif what == "H":
            self.at = [int(n) - 1 for n in args.split(";")]
        elif what == "K":
            self.cells = {p: c for p, c in self.cells.items() if p[0] != self.at[0] or p[1] < self.at[1]}
        elif what == "J":
            self.cells = {p: c for p, c in self.cells.items() if p < tuple(self.at)}
        elif what == "m":
            self.reversing = args == "7" or args == "1" and self.reversing
        elif args == "?1049":
            self.inside = what == "h"
            self.cells = {}
        elif (args, what) not in (("?25", "l"), ("?25", "h"), ("?7", "l"), ("?7", "h")):
            self.wrong.append(piece[0])

    def lines(self):
        return ["".join(self.cells.get((row, column), "") for column in range(self.columns)).rstrip() for row in range(self.rows)]

    def until(self, condition, what):
        """Reads until it holds."""
        end = time.monotonic() + live.DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("not within %d s: %s\n%s" % (live.DEADLINE, what, "\n".join(self.lines())))
            self.read()

    def shows(self, text):
        self.until(lambda: any(text in line for line in self.lines()), "the screen shows %r" % text)

    def wait(self):
        """The exit code, and all that was written."""
        self.until(lambda: self.process.poll() is not None, "the program ends")
        while self.read(0):
            pass
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)
