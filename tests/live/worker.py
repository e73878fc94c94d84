# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker that tells what it sees of itself (inspect.c), and what it told as Python values."""
import collections
import os
import tempfile

import live
import wire

INSPECT = os.path.abspath(os.path.join(live.BUILD, "tests", "live", "inspect"))


class View:
    def __init__(self, text):
        self.fds, self.rlimits, self.status = {}, {}, {}
        self.args, self.env = [], []  # long ones as "..."
        self.arg_sizes, self.env_sizes = [], []
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            words = rest.split()
            if kind == "fd":
                # The target may have blanks: what follows it is counted from the end.
                self.fds[int(words[0])] = Fd(" ".join(words[1:-6]), int(words[-5]), int(words[-3], 16), words[-1] == "1")
            elif kind == "rlimit":
                self.rlimits[int(words[0])] = (int(words[1]), int(words[2]))
            elif kind == "status":
                name, _, value = rest.partition(":")
                self.status[name] = value.strip()
            elif kind == "arg":
                self.args.append(rest.split(" ", 1)[1])
                self.arg_sizes.append(int(words[0]))
            elif kind == "env":
                self.env.append(rest.split(" ", 1)[1])
                self.env_sizes.append(int(words[0]))
            elif kind == "ids":
                self.ids = {name: int(value) for name, value in zip(words[::2], words[1::2])}
            else:
                setattr(self, kind, rest)

    def signals(self, which):
        """SigBlk, SigIgn, SigCgt, SigPnd as a set of numbers."""
        mask = int(self.status[which], 16)
        return {n for n in range(1, 65) if mask >> (n - 1) & 1}


Fd = collections.namedtuple("Fd", "target size flags cloexec")


def look(session, fds=(), fdmap=(), **fields):
    """Starts inspect with stdout on a file, and these fds besides. Returns its view and the messages before EXITED."""
    with tempfile.TemporaryFile() as out:
        serial = session.request(wire.SPAWN, [out.fileno(), *fds], program=INSPECT, argv=fields.pop("argv", ["inspect"]),
                                 fdmap=[(0, 1)] + [(index + 1, target) for index, target in fdmap], **fields)
        before = []
        while True:
            reply = session.read()
            assert reply.serial == serial, reply
            if reply.type == wire.FAILED:
                raise RuntimeError(reply.text)
            if reply.type == wire.EXITED:
                break
            before.append(reply)
        assert reply.end == (1, 0, 1), reply
        out.seek(0)
        return View(out.read().decode(errors="surrogateescape")), before


def mark(n):
    """An fd that can be told from others: an unnamed file of n bytes."""
    fd = os.memfd_create("mark")
    os.ftruncate(fd, n)
    return fd


def sizes(view):
    return {fd: seen.size for fd, seen in view.fds.items() if fd != 1}


def look_at(session, targets, n=None):
    """Maps the i-th fd, an unnamed file of i + 100 bytes, to the i-th of targets."""
    fds = [mark(100 + i) for i in range(n or len(targets))]
    try:
        view, _ = look(session, fds, list(enumerate(targets)))
    finally:
        for fd in fds:
            os.close(fd)
    return view


def expect_fds(tap, session, targets, what):
    view = look_at(session, targets)
    should = {target: 100 + i for i, target in enumerate(targets)}
    is_ = {fd: size for fd, size in sizes(view).items() if fd in should}
    tap.same(is_, should, what + ": each fd is in its place")
    tap.same(sorted(view.fds), sorted(set(targets) | {0, 1, 2}), what + ": and no other is open")
    tap.ok(not any(fd.cloexec for fd in view.fds.values()), what + ": none is close-on-exec")
