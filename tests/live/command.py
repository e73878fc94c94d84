# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command `forksrv` against a real daemon, and against a server that answers when the test says so."""
import os
import select
import socket
import subprocess
import struct

import live
import wire


# The program itself: libtool's wrapper is a shell script, which changes the environment and opens what is closed.
BUILT = os.path.join(os.path.abspath(live.BUILD), ".libs")
PROGRAM = os.path.join(BUILT, "forksrv")
if not os.path.exists(PROGRAM):
    PROGRAM = os.path.abspath(live.COMMAND)


def environment(daemon, **more):
    env = dict(os.environ, FORKSRV_ADDRESS=daemon.address, FORKSRV_AUTHKEY_FILE=daemon.key_file, FORKSRV_DAEMON=live.DAEMON,
               LD_LIBRARY_PATH=BUILT)
    env.update(more)
    return env


def start(daemon, *args, **options):
    """The command with its standard files on pipes."""
    env = environment(daemon, **options.pop("env", {}))
    # Unbuffered, so that what select() says is true of read_line.
    return subprocess.Popen([PROGRAM, *args], env=env, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def run(daemon, *args, **options):
    """Its exit code (negative: a signal), standard output and standard error."""
    env = environment(daemon, **options.pop("env", {}))
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([PROGRAM, *args], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=live.DEADLINE,
                          **options)
    return done.returncode, os.fsdecode(done.stdout), os.fsdecode(done.stderr)


def read_line(file):
    """A line of a pipe, within the time limit."""
    if not select.select([file], [], [], live.DEADLINE)[0]:
        raise AssertionError("nothing to read within %d s" % live.DEADLINE)
    return os.fsdecode(file.readline())


def worker_shell(script):
    """A shell that says "ready" and then waits for its standard input to end: the traps of `script` run meanwhile."""
    return ("run", "--", "sh", "-c", script + "; echo ready; read line; exit 99")


class SlowServer:
    """A listener that does the handshake like a real one, and then only what the test tells it."""

    def __init__(self, daemon):
        self.address = daemon.address + ".slow"
        self.key, self.key_file = daemon.key, daemon.key_file
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.address)
        self.listener.listen(1)
        self.listener.settimeout(live.DEADLINE)
        self.peer = None

    def accept(self):
        """Until the first request has come; returns its type and serial."""
        self.peer = wire.Peer.__new__(wire.Peer)
        self.peer.sock, _ = self.listener.accept()
        self.peer.sock.settimeout(live.DEADLINE)
        self.peer.buffer, self.peer.fds = b"", []
        nonce = b"{sha256}" + os.urandom(40)
        self.peer.send(wire.frame(wire.CHALLENGE + nonce))
        assert self.peer.read_frame() == self.peer.answer(self.key, nonce)
        theirs = self.peer.read_frame()[len(wire.CHALLENGE):]
        self.peer.send(wire.frame(wire.WELCOME) + wire.frame(self.peer.answer(self.key, theirs)))
        assert self.peer.read_frame() == wire.WELCOME
        return self.head()

    def head(self):
        type_, _, serial = struct.unpack(">HHI", self.peer.read_frame()[:8])
        return type_, serial

    def send(self, type_, serial, **fields):
        self.peer.send(wire.message(type_, serial, **fields))

    def close(self):
        if self.peer is not None:
            self.peer.close()
        self.listener.close()
        os.unlink(self.address)
