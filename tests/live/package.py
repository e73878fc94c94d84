# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Python package as a program meets it: imported from the source tree, connected to a daemon of live.py."""
import os
import socket
import struct
import sys
import tempfile
import traceback

import live
import wire
import worker

SOURCE = os.path.abspath(os.environ.get("top_srcdir", "."))
PYTHON = os.path.join(SOURCE, "python")
sys.path.insert(0, PYTHON)

import forksrv  # noqa: E402

os.environ.setdefault("FORKSRV_DAEMON", os.path.abspath(live.DAEMON))


def connect(daemon, **options):
    return forksrv.connect(daemon.address, authkey=daemon.key, **options)


def look(session, fds=None, **options):
    """Starts inspect and returns its view: see worker.py."""
    with tempfile.TemporaryFile() as out:
        options.setdefault("argv", ["inspect"])
        options.setdefault("stdout", out)
        done = session.run(program=worker.INSPECT, fds=fds, **options)
        assert done.returncode == 0, done
        out.seek(0)
        return worker.View(out.read().decode(errors="surrogateescape"))


def raised(cls, call, *args, **options):
    """The exception of that class that the call raises; anything else is returned to be shown."""
    try:
        return call(*args, **options)
    except cls as error:
        return error


def fails(tap, what, cls, number, words, call, *args, **options):
    """The call raises that exception, with that errno and those words in its text."""
    error = raised(cls, call, *args, **options)
    return tap.ok(isinstance(error, cls) and getattr(error, "errno", None) == number and words in str(error), what,
                  "%s: %s" % (type(error).__name__, error), "errno %s" % getattr(error, "errno", None))


# Seconds in which a shell has surely begun: the first will do, unless the machine is busy with much else.
PATIENCE = (0.2, 1, 5, 25)


class Reluctant:
    """A socket whose kernel has no room for fds on their way, the first few times."""

    def __init__(self, sock, times, number):
        self.sock, self.times, self.number = sock, times, number

    def sendmsg(self, buffers, control, flags):
        if control and self.times > 0:
            self.times -= 1
            raise OSError(self.number, os.strerror(self.number))
        return self.sock.sendmsg(buffers, control, flags)

    def __getattr__(self, name):
        return getattr(self.sock, name)


class Script:
    """A server of the test's own at a path: says what it is told, and keeps what it hears."""

    def __init__(self, folder):
        self.address = os.path.join(folder, "scripted")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address)
        self.listener.listen(128)
        self.listener.settimeout(live.DEADLINE)

    def accept(self):
        peer = wire.Peer.__new__(wire.Peer)
        peer.sock, _ = self.listener.accept()
        peer.sock.settimeout(live.DEADLINE)
        peer.buffer, peer.fds, peer.serial = b"", [], 0
        return peer

    def welcome(self, key):
        """The server's part of the handshake. Returns the peer."""
        peer = self.accept()
        nonce = b"{sha256}" + os.urandom(40)
        peer.send(wire.frame(wire.CHALLENGE + nonce))
        assert peer.read_frame() == peer.answer(key, nonce)
        theirs = peer.read_frame()[len(wire.CHALLENGE):]
        peer.send(wire.frame(wire.WELCOME) + wire.frame(peer.answer(key, theirs)))
        assert peer.read_frame() == wire.WELCOME
        return peer

    def close(self):
        self.listener.close()
        os.unlink(self.address)


def head(peer):
    """Type and serial of the next request."""
    type_, _, serial = struct.unpack(">HHI", peer.read_frame()[:8])
    return type_, serial


def main(body):
    """For tests without a daemon of live.py."""
    tap = live.Tap()
    try:
        body(tap)
    except BaseException:
        tap.ok(False, "the test came to its end", traceback.format_exc())
    print("1..%d" % tap.n)
    sys.exit(tap.failed)
