# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults at the start of a daemon and at its stop. At the start it may end, with a line in the log and an exit code; at the stop it has to end,
and its workers with it. Never by a signal, and never late."""
import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import cgroup
import live
import trial
import wire
import work

PROMPT = 10
NO_KEY = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "control"}


class Way:
    """A way in which a daemon is started, and whether it comes to serve anybody. passed: what more it gets, by functions."""

    def __init__(self, name, serves=True, args=(), environment=None, lifeline=False, into=None, nofile=None, manager=None):
        self.name, self.serves, self.args, self.environment, self.lifeline, self.into = name, serves, args, environment or {}, lifeline, into
        self.nofile, self.manager = nofile, manager


class Store:
    """A service manager that takes what it is given, and keeps nothing."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.address = os.path.join(self.folder.name, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            _, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(253 * 4))
            for _, _, data in control:
                for (fd,) in struct.iter_unpack("i", data):
                    os.close(fd)


def ways(folder):
    store = Store()
    found = [Way("plain", into=folder),
             Way("with a credential and few fds", environment=NO_KEY, nofile=(200, 400)),
             Way("with a journal", environment={"JOURNAL_STREAM": "1:1", "FORKSRV_FAULTS_JOURNAL": "/nonexistent"}),
             Way("with a store", environment={"NOTIFY_SOCKET": store.address}, manager=store),
             Way("private", args=("--private",), lifeline=True),
             Way("without a key", serves=False, environment={**NO_KEY, "CREDENTIALS_DIRECTORY": "/nonexistent"})]
    if os.getuid() == 0:
        found.append(Way("from root to a user", args=("--user=nobody",), into=folder))
    return found


class Daemon(live.Daemon):
    """Its key lies where systemd would have it, too."""

    def start(self, *options):
        os.symlink(self.key_file, os.path.join(self.folder, "forksrv.authkey"))
        self.environment = {"CREDENTIALS_DIRECTORY": self.folder, **self.environment}
        super().start(*options)


class Run:
    """One daemon, from its start to its end."""

    def __init__(self, control, way):
        self.control, self.way = control, way
        self.lifeline = os.pipe() if way.lifeline else None
        passed = [("forksrv.alive", self.lifeline[0])] if way.lifeline else []
        before = (lambda: cgroup.enter(way.into)) if way.into else None
        self.daemon = Daemon(config=work.CONFIG, zygotes=work.ZYGOTES, before=before, args=way.args, passed=passed, nofile=way.nofile,
                             environment={**control.environment, **way.environment})
        if self.lifeline:
            os.close(self.lifeline[0])

    def serves(self):
        """A greeting, whichever way it ends."""
        try:
            with self.daemon.connect(timeout=PROMPT) as session:
                return session.run("true").type in (wire.EXITED, wire.FAILED)
        except TimeoutError:
            raise trial.Broken("it does not answer:\n" + self.daemon.log()[-600:]) from None
        except (OSError, AssertionError, wire.Closed, PermissionError):
            return False

    def busy(self, unread):
        """Workers of all kinds, some of which do not hear SIGTERM. unread: and a session that does not read, for which it waits a second."""
        self.sessions = [self.daemon.connect(timeout=PROMPT) for _ in range(2)]
        first = self.sessions[0]
        for argv in (["sleep", "1000"], ["sh", "-c", "trap '' TERM; echo; sleep 1000"]):
            first.request(wire.SPAWN, argv=argv, environ=work.PATH, flags=wire.REPORT_EXECED)
            assert first.read().type == wire.STARTED
        if not self.way.args:
            first.request(wire.SPAWN, argv=["hold"], zygote="fake", flags=wire.REPORT_STARTED)
            reply = first.read()
            assert reply.type == wire.STARTED, (reply, self.daemon.log())
        if unread:
            self.sessions[1].send(b"".join(wire.message(wire.STATUS, i + 1) for i in range(1000)))
            first.status()

    def end(self):
        """Tells it to stop, and waits for that. Returns the exit code."""
        if self.lifeline:
            with contextlib.suppress(OSError):
                os.close(self.lifeline[1])
        elif self.daemon.alive():
            self.daemon.process.send_signal(signal.SIGTERM)
        try:
            return self.daemon.process.wait(PROMPT)
        except subprocess.TimeoutExpired:
            raise trial.Broken("it does not end:\n" + self.daemon.log()[-600:]) from None

    def close(self):
        for session in getattr(self, "sessions", ()):
            session.close()
        if self.lifeline:
            with contextlib.suppress(OSError):
                os.close(self.lifeline[1])
        self.control.set()
        self.daemon.stop()
        if self.way.into:
            # What a daemon that could not end its workers has left. Not by cgroup.kill: Linux 6.18 then kills whoever is cloned from that
            # cgroup into another one, for ever.
            with open(os.path.join(self.way.into, "supervisor", "cgroup.procs")) as f:
                for pid in f.read().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            trial.sweep(self.way.into)


def judge(run, code):
    """An end at the start."""
    if code is None or code == 0 or code < 0:
        raise trial.Broken("it has ended with %r:\n%s" % (code, run.daemon.log()[-600:]))
    if not run.daemon.log().strip():
        raise trial.Broken("it has ended with %d and without a word" % code)


def start(control, way):
    """Starts one, and has it serve somebody, or end. Returns whether it serves."""
    run = Run(control, way)
    try:
        if run.serves():
            control.disarm()
            if not run.serves():
                raise trial.Broken("it served once, and no more:\n" + run.daemon.log()[-600:])
            code = run.end()
            if code != 0:
                raise trial.Broken("it has ended with %r:\n%s" % (code, run.daemon.log()[-600:]))
            return True
        # What one request meets alone; or its last word.
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.daemon.process.wait(0.2 if way.serves else PROMPT)
        if run.daemon.alive():
            control.disarm()
            if not run.serves():
                raise trial.Broken("it serves nobody:\n" + run.daemon.log()[-600:])
            return True
        judge(run, run.daemon.process.wait(PROMPT))
        return False
    finally:
        run.close()


def stop(control, way, arm, unread=False):
    run = Run(control, way)
    try:
        run.busy(unread)
        arm()
        begun = time.monotonic()
        code = run.end()
        if code < 0 or (code > 0 and not run.daemon.log().strip()):
            raise trial.Broken("it has ended with %r:\n%s" % (code, run.daemon.log()[-600:]))
        return time.monotonic() - begun
    finally:
        run.close()


def come_by(control, what):
    """The sites that what() comes by."""
    before = control.seen()
    what()
    return {site for site, n in control.seen().items() if n > before[site]}
