# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests of every kind, each a step by itself: it comes to its end, or hears why not (Told), or its connection ends (Lost). Anything else,
and above all silence, is an error. Nothing of a step is left behind it, however it ends."""
import contextlib
import os
import select
import signal
import time

import live
import wire

PATH = ["PATH=/usr/bin:/bin"]
SILENCE = 10
STARTED = wire.REPORT_STARTED | wire.PIDFD
CROWD = 110
OWN_OF_CGROUPS = ("cgroup", "hand_over", "into_cgroup", "zygote_cgroup")

FAKE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fake.py")
MODULE = os.path.abspath(os.path.join(live.BUILD, "tests", "live", ".libs", "inspect-module.so"))
CONFIG = """[Listener]
HandshakeTimeoutSec=100ms
MaxUnauthenticated=4
MaxUnauthenticatedPerUser=3
AllowUsers=root 0
[Workers]
GraceSec=50ms
MaxWorkersPerSession=%d
KeepEnds=2
CPythonZygote=fake
[Daemon]
IdleExitSec=1h
""" % CROWD
ZYGOTES = {
    "fake": "[Zygote]\nRuntime=exec\nInterpreter=/usr/bin/python3 -S %s\nEnvironment=PYTHONDONTWRITEBYTECODE=1 A='b c'\nWorkingDirectory=/\n"
            "IdleStopSec=1h\nMaxWorkers=2\n[Worker]\nTimeLimitSec=1h\n" % FAKE,
    "full": "[Zygote]\nRuntime=exec\nInterpreter=/usr/bin/python3 -S %s\n" % FAKE,
    "dso": "[Zygote]\nRuntime=dso\nModule=%s\n" % MODULE,
    "broken": "[Zygote]\nRuntime=exec\nInterpreter=/nonexistent\n",
}


class Told(Exception):
    """FAILED or ERROR, with an errno and a text."""


class Lost(Exception):
    """The connection ended."""


def clear(reply):
    if reply.type in (wire.FAILED, wire.ERROR):
        assert reply.errno > 0 and reply.text, reply
        raise Told(reply)
    return reply


class Session(wire.Peer):
    """Its fds are those of its messages, too."""

    def __init__(self, daemon):
        self.taken = []
        try:
            super().__init__(daemon.address, timeout=SILENCE)
            self.handshake(daemon.key)
        except (wire.Closed, ConnectionError, PermissionError, AssertionError) as e:
            # It asserts what each frame is: another one is the word for a failure.
            raise Lost("greeting: %r" % e) from None

    def take_fds(self, n):
        fds = super().take_fds(n)
        self.taken += fds
        return fds

    def close(self):
        for fd in self.taken:
            os.close(fd)
        self.taken = []
        super().close()

    def read(self):
        try:
            return super().read()
        except (wire.Closed, ConnectionError) as e:
            raise Lost(repr(e)) from None

    def send(self, data, fds=()):
        try:
            super().send(data, fds)
        except (BrokenPipeError, ConnectionError):
            # What it was told before comes first.
            pass

    def next(self, *types):
        reply = clear(self.read())
        assert reply.type in types, reply
        return reply

    def ask(self, type_, fds=(), **fields):
        return clear(super().ask(type_, fds, **fields))


@contextlib.contextmanager
def pipe():
    ends = list(os.pipe())
    try:
        yield ends
    finally:
        for fd in ends:
            if fd >= 0:
                os.close(fd)


def close(ends, i):
    os.close(ends[i])
    ends[i] = -1


def readable(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(1000 * SILENCE))


class Work:
    def __init__(self, daemon, cgroup=None):
        self.daemon, self.cgroup = daemon, cgroup
        self.n = 0
        self.tokens = open(os.path.join(daemon.folder, "tokens"), "w+b", buffering=0)
        self.steps = {name[5:]: getattr(self, name) for name in dir(type(self)) if name.startswith("step_")}
        if cgroup is None:
            for name in OWN_OF_CGROUPS:
                del self.steps[name]

    def session(self):
        return Session(self.daemon)

    # ---- workers leave a token each

    def token(self):
        self.n += 1
        return "%d." % self.n

    def twice(self):
        """The tokens that more than one worker has left."""
        words = os.pread(self.tokens.fileno(), 1 << 24, 0).split()
        return sorted({word for word in words if words.count(word) > 1})

    def signalled(self, s, **fields):
        """DONE and EXITED; or ERROR, and its worker goes with the session."""
        s.request(wire.SIGNAL, **fields)
        types = {s.next(wire.DONE, wire.EXITED).type, s.next(wire.DONE, wire.EXITED).type}
        assert len(types) == 2, types

    def spawn(self, s, flags=0, fds=(), fdmap=(), **fields):
        fields.setdefault("argv", ["sh", "-c", "echo %s >&9" % self.token()])
        fields.setdefault("environ", PATH)
        return s.request(wire.SPAWN, [self.tokens.fileno(), *fds], flags=flags, fdmap=[(0, 9), *fdmap], **fields)

    def ends(self, s, kind=1, value=0):
        reply = s.next(wire.EXITED)
        if reply.end[:2] != (kind, value):
            # Ended by the server, which says in the log why.
            assert reply.end[:2] in ((2, 9), (2, 15), (0, 0)), reply
            raise Lost(reply)
        return reply

    # ---- sessions

    def step_greet(self):
        with self.session() as s:
            s.ask(wire.HELLO)
            s.status()
            s.ask(wire.WATCH)
            s.ask(wire.WATCH, enable=0)
            s.request(wire.LIST)
            while s.next(wire.LISTED).flags & wire.MORE:
                pass
            s.request(wire.BYE)
            s.read_to_end()

    def step_wrong_key(self):
        with wire.Peer(self.daemon.address, timeout=SILENCE) as peer:
            try:
                peer.handshake(b"x" * 32)
                raise AssertionError("it was let in")
            except (PermissionError, wire.Closed, ConnectionError):
                pass

    def step_silent(self):
        """Until its time is over; and more of them than there may be."""
        peers = [wire.Peer(self.daemon.address, timeout=SILENCE) for _ in range(6)]
        try:
            for peer in peers:
                peer.read_to_end()
        finally:
            for peer in peers:
                peer.close()

    def step_malformed(self):
        with self.session() as s:
            s.send(wire.frame(b"\xff" * 12))
            reply = s.read()
            assert reply.type == wire.ERROR and reply.errno > 0, reply
            s.read_to_end()

    def step_too_many_fds(self):
        with self.session() as s:
            s.send(wire.message(wire.STATUS, 1), [self.tokens.fileno()] * 200)
            s.read_to_end()

    def step_slow(self):
        """Asks for much, and takes it late."""
        with self.session() as s:
            s.send(b"".join(wire.message(wire.STATUS, s.next_serial()) for _ in range(600)))
            for _ in range(600):
                s.next(wire.STATUS_REPLY)

    def step_slow_fds(self):
        """Leaves with pidfds and workers on the way that it never takes."""
        with self.session() as s:
            spawn = [wire.message(wire.SPAWN, s.next_serial(), argv=["sleep", "1000"], environ=PATH, flags=STARTED) for _ in range(10)]
            s.send(b"".join(spawn) + wire.message(wire.BYE, s.next_serial()))
            s.read_to_end()

    # ---- workers

    def step_exec(self):
        with self.session() as s:
            self.spawn(s, STARTED | wire.PROCESS_GROUP | wire.NO_NEW_PRIVS, cwd="/", umask=0o77, rlimits=[(4, 0, 0)], nice=1, name="n", ignored=1 << 9,
                       oom_score_adj=500)
            s.next(wire.STARTED)
            self.ends(s)

    def step_gate(self):
        with self.session() as s, pipe() as gate:
            self.spawn(s, wire.REPORT_EXECED | wire.PIDFD, [gate[0]], gate=1)
            os.write(gate[1], b"x")
            s.next(wire.STARTED)
            self.ends(s)

    def step_missing(self):
        with self.session() as s:
            self.spawn(s, argv=["/nonexistent"], cwd="/")
            reply = s.read()
            if (reply.type, reply.fields.get("errno")) != (wire.FAILED, 2):
                clear(reply)
                raise Lost(reply)

    def step_oom(self):
        """Below that of the server: root may."""
        with self.session() as s:
            self.spawn(s, oom_score_adj=-900)
            reply = s.read()
            if (reply.type, reply.fields.get("errno")) != (wire.FAILED, 13):
                clear(reply)
                assert reply.type == wire.EXITED, reply

    def step_detached(self):
        with self.session() as s, self.session() as other, pipe() as ends:
            name = "d" + self.token()
            self.spawn(s, wire.DETACHED | STARTED, [ends[0]], [(1, 0)], argv=["cat"], name=name)
            started = s.next(wire.STARTED)
            try:
                waits = other.request(wire.WAIT, name=name)
                assert other.next(wire.STARTED).serial == waits
                s.ask(wire.LIST)
                s.next(wire.LISTED)
                s.ask(wire.SIGNAL, worker=started.worker, signo=signal.SIGCONT)
            finally:
                close(ends, 1)
                close(ends, 0)
            self.ends(other)
            self.ends(s)
            other.ask(wire.WAIT, name=name)
            self.ends(other)

    def step_signals(self):
        with self.session() as s:
            for fields in ({"signo": 15}, {"signo": 9, "signal_flags": 1}):
                self.spawn(s, wire.REPORT_EXECED, argv=["sleep", "1000"])
                self.signalled(s, worker=s.next(wire.STARTED).worker, **fields)

    def step_limit(self):
        with self.session() as s:
            self.spawn(s, argv=["sh", "-c", "trap '' TERM; exec sleep 1000"], time_limit=20000, grace=1000)
            self.ends(s, 2, 9)

    def left(self, s):
        """Its session goes, and its worker with it."""
        with s:
            pidfds = [os.dup(fd) for fd in s.next(wire.STARTED).fds]
        try:
            assert all(readable(fd) for fd in pidfds), "a worker is still there"
        finally:
            for fd in pidfds:
                os.close(fd)

    def step_left(self):
        s = self.session()
        self.spawn(s, STARTED, argv=["sleep", "1000"])
        self.left(s)

    def step_gate_left(self):
        with pipe() as gate:
            s = self.session()
            self.spawn(s, STARTED, [gate[0]], gate=1)
            self.left(s)

    def step_watch(self):
        with self.session() as watcher, self.session() as s:
            watcher.ask(wire.WATCH)
            self.spawn(s)
            self.ends(s)
            while watcher.next(wire.EVENT).event != 3:
                pass

    def step_crowd(self):
        """As many as a session may have, and one that waits for its slot."""
        with self.session() as s, pipe() as ends:
            for _ in range(CROWD):
                self.spawn(s, wire.REPORT_EXECED, [ends[0]], [(1, 0)], argv=["cat"])
            try:
                replies = [s.read() for _ in range(CROWD)]
                self.spawn(s, slot_wait=SILENCE * 10**6)
                s.request(wire.STATUS)
                while (reply := s.read()).type != wire.STATUS_REPLY:
                    replies.append(reply)
            finally:
                close(ends, 1)
                close(ends, 0)
            over = sum(r.type in (wire.EXITED, wire.FAILED) for r in replies)
            replies += [s.read() for _ in range(CROWD + 1 - over)]
            for reply in replies:
                if reply.type in (wire.FAILED, wire.ERROR) or (reply.type == wire.EXITED and reply.end[0] != 1):
                    clear(reply)
                    raise Lost(reply)

    def step_reload(self):
        before = self.daemon.log().count("configuration read again")
        self.daemon.process.send_signal(signal.SIGHUP)
        # Half a second at most: that line may be what fails.
        for _ in range(100):
            if self.daemon.log().count("configuration read again") > before:
                return
            time.sleep(0.005)

    # ---- cgroups

    def step_cgroup(self):
        with self.session() as s:
            self.spawn(s, wire.OWN_CGROUP)
            self.ends(s)
            below = "%s/$(sed -n 's|^0::.*/||p' /proc/self/cgroup)/below" % self.cgroup
            self.spawn(s, wire.OWN_CGROUP, argv=["sh", "-c", "mkdir -p %s/more" % below])
            self.ends(s)
            # A child that leaves its group.
            self.spawn(s, wire.OWN_CGROUP | wire.REPORT_EXECED, argv=["sh", "-c", "setsid sleep 1000 & wait"])
            self.signalled(s, worker=s.next(wire.STARTED).worker, signo=9, signal_flags=2)

    def step_into_cgroup(self):
        fd = os.open(self.cgroup, os.O_PATH | os.O_DIRECTORY)
        try:
            with self.session() as s:
                self.spawn(s, fds=[fd], into_cgroup=1)
                self.ends(s)
        finally:
            os.close(fd)

    def step_zygote_cgroup(self):
        self.step_zygote(wire.OWN_CGROUP)

    # ---- hand-overs: we are the manager

    def handed_over(self, s):
        pid = s.next(wire.STARTED).pid
        try:
            self.ends(s, 0, 0)
        finally:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def step_hand_over(self):
        fd = os.open(self.cgroup, os.O_PATH | os.O_DIRECTORY)
        try:
            with self.session() as s:
                self.spawn(s, wire.HAND_OVER | wire.REPORT_STARTED, [fd], into_cgroup=1)
                self.handed_over(s)
                s.request(wire.SPAWN, [fd], argv=["x"], zygote="fake", flags=wire.HAND_OVER | wire.REPORT_STARTED, into_cgroup=0)
                self.handed_over(s)
        finally:
            os.close(fd)

    # ---- zygotes

    def fork(self, s, *argv, flags=0, **fields):
        return s.request(wire.SPAWN, [self.tokens.fileno()], argv=argv, zygote="fake", flags=flags, **fields)

    def step_zygote(self, flags=0):
        with self.session() as s:
            self.fork(s, "token", self.token(), flags=STARTED | flags, oom_score_adj=500, name="z")
            s.next(wire.STARTED)
            self.ends(s)

    def step_zygote_cannot(self):
        with self.session() as s:
            self.fork(s, "cannot")
            reply = s.read()
            if (reply.type, reply.fields.get("stage")) != (wire.FAILED, 8):
                clear(reply)
                raise Lost(reply)

    def step_zygote_large(self):
        with self.session() as s:
            self.fork(s, "token", self.token(), "x" * 100000)
            self.ends(s)

    def step_zygote_hold(self):
        with self.session() as s:
            self.fork(s, "hold", flags=STARTED)
            worker = s.next(wire.STARTED).worker
            s.ask(wire.SIGNAL, worker=worker, signo=signal.SIGCONT)
            self.signalled(s, worker=worker, signo=15, signal_flags=1)

    def step_zygote_left(self):
        s = self.session()
        self.fork(s, "hold", flags=STARTED)
        self.left(s)

    def step_zygote_dies(self):
        with self.session() as s:
            self.fork(s, "die", flags=STARTED)
            s.next(wire.STARTED)
            reply = s.next(wire.EXITED)
            assert reply.end[:2] in ((1, 0), (0, 0), (2, 9), (2, 15)), reply
            self.again(s)

    def step_zygote_ghost(self):
        with self.session() as s:
            self.fork(s, "ghost")
            self.ends(s)

    def step_zygote_derived(self):
        with self.session() as s:
            self.fork(s, "x", flags=STARTED | 0x10)
            s.next(wire.STARTED)
            self.ends(s)

    def step_zygote_broken(self):
        with self.session() as s:
            s.request(wire.SPAWN, argv=["x"], zygote="broken")
            reply = s.read()
            assert reply.type == wire.FAILED and reply.errno > 0 and reply.text, reply
            reply = wire.Peer.ask(s, wire.SPAWN, argv=["x"], zygote="unknown")
            assert reply.type == wire.FAILED and reply.errno > 0 and reply.text, reply

    def step_zygote_commands(self):
        with self.session() as s:
            s.zygotes()
            for action in (wire.ZYGOTE_WARM, wire.ZYGOTE_RELOAD, wire.ZYGOTE_STOP):
                s.ask(wire.ZYGOTE, zygote="dso", action=action)

    def step_zygote_full(self):
        """More than its socket holds."""
        with self.session() as s:
            s.request(wire.SPAWN, argv=["nap"], zygote="full")
            for _ in range(20):
                s.request(wire.SPAWN, argv=["x", "y" * 30000], zygote="full")
            for _ in range(21):
                self.ends(s)

    def again(self, s):
        """After it has died: it is not to wait before it comes back."""
        s.ask(wire.ZYGOTE, zygote="fake", action=wire.ZYGOTE_WARM)

    def step_zygote_lies(self):
        with self.session() as s:
            self.fork(s, "lie")
            reply = s.read()
            assert reply.type == wire.FAILED and reply.errno > 0 and reply.text, reply
            self.again(s)

    def step_zygote_mum(self):
        with self.session() as s:
            self.fork(s, "mum")
            reply = s.next(wire.EXITED)
            assert reply.end[:2] in ((1, 0), (0, 0)), reply
            self.again(s)

    def step_stock(self):
        """A fork request of CPython's client."""
        with self.session() as s, pipe() as child, pipe() as status:
            s.send(bytes([4]), [child[0], status[1], self.tokens.fileno(), self.tokens.fileno()])
            close(status, 1)
            try:
                said = s.sock.recv(1)
            except ConnectionError:
                said = b""
            os.set_blocking(status[0], True)
            assert readable(status[0]), "the pipe is still open"
            if said != b"A":
                raise Lost("stock: %r" % said)
