# SPDX-License-Identifier: LGPL-2.1-or-later
"""The zygote's loop: forks for requests, keeps spares, tells the ends of its children. A child leaves the loop with what it is to do, so that
nothing of the zygote stands below it on the stack."""
import errno
import os
import select
import signal
import socket
import struct
import sys
import time

from . import _apply, _derived, _os, _program
from . import _speech as speech

_WNOWAIT = os.WEXITED | os.WNOHANG | os.WNOWAIT
_pid = struct.Struct("i")


class Loop:
    def __init__(self, sock, settings, function):
        self.sock = sock
        self.settings = settings
        self.function = function
        self.spares = set()
        self.taken_count = 0
        self.refill_at = 0.0
        self.most = _most_fds()
        self.preloaded = frozenset(sys.modules)
        # A spare says here that it has work; a signal writes here that a child ended.
        self.taken = _pipe()
        self.wakeup = _pipe()
        self.poll = select.poll()
        for fd in (self.taken[0], self.wakeup[0]):
            self.poll.register(fd, select.POLLIN)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(self.wakeup[1], warn_on_full_buffer=False)

    # ---- children

    def child(self):
        """In every child, first of all: what is the zygote's own."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def begin(self, request, was_spare):
        """In the child. Returns what it is to do, or ends it."""
        try:
            request = request.whole()
            return self.become(request, was_spare)
        except _apply.Failure as e:
            message = speech.unforked(request.serial, e.stage, e.errno, e.what)
        except (ValueError, KeyError, struct.error) as e:
            message = speech.unforked(request.serial, speech.S_REQUEST, errno.EBADMSG, str(e))
        try:
            speech.send(self.sock, message)
        finally:
            os._exit(127)

    def become(self, request, was_spare):
        kind = request.number(speech.A_KIND)
        if kind == speech.DERIVED:
            return self.become_derived(request, was_spare)
        if kind == speech.CPYTHON:
            return self.become_stock(request, was_spare)
        if kind != speech.PROGRAM:
            raise _apply.Failure(speech.S_ZYGOTE, errno.ENOTSUP, "this zygote does not know what to fork")
        argv = request.strings(speech.A_ARGV)
        if not argv:
            raise _apply.Failure(speech.S_REQUEST, errno.EINVAL, "no ARGV")
        self.become_worker(request, was_spare, [])
        function, preloaded = self.function, self.preloaded
        return lambda: _program.work(argv, function, preloaded)

    def become_worker(self, request, was_spare, kept):
        """`kept`: what it has open besides, above its own."""
        middle = self.step_aside() if request.number(speech.A_FLAGS) & speech.HAND_OVER else 0
        targets, pidfd, gate = _apply.apply(request, self.sock)
        self.say_forked(request, was_spare, pidfd)
        _apply.close_others(sorted([*targets, *kept, *([gate] if gate >= 0 else [])]), self.most)
        self.sock.detach()
        _apply.unblock(request)
        while middle and os.getppid() == middle:
            time.sleep(0.0002)
        _apply.wait_at(gate)

    def step_aside(self):
        """The worker is to be an orphan, which the service manager takes: a child of this process, which forksrvd ends. Or is gone itself."""
        middle = os.getpid()
        pid = os.fork()
        if pid > 0:
            end = select.poll()
            end.register(self.sock, 0)
            end.register(os.pidfd_open(pid), select.POLLIN)
            end.poll()
            os._exit(0)
        return middle

    def become_derived(self, request, was_spare):
        """A zygote of one client; its socket to the server is its own."""
        argv = [os.fsdecode(word) for word in request.strings(speech.A_ARGV)]
        try:
            _derived.check(argv)
        except _derived.Refused as e:
            raise _apply.Failure(speech.S_ZYGOTE, errno.ENOEXEC, str(e)) from None
        own = _apply.out_of_the_way(request, request.fd(speech.A_CHANNEL))
        self.become_worker(request, was_spare, [own])
        return lambda: _derived.work(argv, socket.socket(fileno=own))

    def become_stock(self, request, was_spare):
        """A process of multiprocessing whose client is CPython's own: it brings two pipes, and no environment, folder or files. Its end is
        told by forksrvd, which has the pipe, too."""
        cgroup = request.fd(speech.A_CGROUP) if speech.A_CGROUP in request.values else -1
        pidfd = _apply.apply_stock(request)
        self.say_forked(request, was_spare, pidfd)
        child_r, child_w, *fds = [fd for fd in request.fds if fd != cgroup]
        for fd in (cgroup, self.sock.detach(), *self.taken, *self.wakeup):
            if fd >= 0:
                os.close(fd)
        return lambda: _derived.work_stock(child_r, child_w, fds)

    def say_forked(self, request, was_spare, pidfd):
        """A server that is gone, or has given this request up, must not have it begun."""
        try:
            speech.send(self.sock, speech.forked(request.serial, os.getpid(), was_spare), pidfd)
        except OSError:
            os._exit(127)
        os.close(pidfd)

    def fork(self):
        pid = os.fork()
        if pid == 0:
            self.child()
        return pid

    # ---- spares

    def be_spare(self):
        """Waits for a request beside the others: the kernel wakes one of them. It is in the zygote's process group, which forksrvd ends with
        the zygote."""
        _program.rehearse()
        try:
            data, fds = speech.receive(self.sock)
        except OSError:
            data = b""
        if not data:
            os._exit(0)
        os.write(self.taken[1], _pid.pack(os.getpid()))
        return self.begin(speech.Request(data, fds), True)

    def refill(self):
        """One at a time. Returns what a child is to do."""
        if len(self.spares) >= self.settings.spares or time.monotonic() < self.refill_at:
            return None
        try:
            pid = self.fork()
        except OSError:
            self.refill_at = time.monotonic() + 1.0
            return None
        if pid == 0:
            return self.be_spare()
        self.spares.add(pid)
        if len(self.spares) == self.settings.spares:
            speech.send(self.sock, speech.spares(len(self.spares), self.taken_count))
        return None

    def no_spare(self, pid):
        if pid in self.spares:
            self.spares.discard(pid)
            self.refill_at = time.monotonic() + self.settings.refill

    def hear_taken(self):
        for (pid,) in _pid.iter_unpack(_drain(self.taken[0])):
            self.taken_count += 1
            self.no_spare(pid)

    # ---- ends

    def reap(self):
        """Told before a child is reaped, and what it used afterwards: should we end in between, the server still knows how it ended.
        Returns whether a spare was among them."""
        spare_ended = False
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, _WNOWAIT)
            except ChildProcessError:
                return spare_ended
            if found is None:
                return spare_ended
            pid = found.si_pid
            if pid in self.spares:
                self.hear_taken()  # it may have got work, and be done with it already
            if pid in self.spares:
                spare_ended = True
                self.no_spare(pid)
                if found.si_code != os.CLD_EXITED:  # it may just have read a request
                    speech.send(self.sock, speech.ended(pid, _KINDS[found.si_code], found.si_status))
                os.waitpid(pid, 0)
                continue
            speech.send(self.sock, speech.ended(pid, _KINDS[found.si_code], found.si_status))
            speech.send(self.sock, speech.reaped(pid, os.wait4(pid, 0)[2]))

    # ---- the loop

    def serve_one(self):
        """Returns what a child is to do, or None."""
        try:
            data, fds = speech.receive(self.sock, _DONTWAIT)
        except BlockingIOError:
            return None
        if not data:
            os._exit(0)
        request = speech.Request(data, fds)
        try:
            pid = self.fork()
        except OSError as e:
            speech.send(self.sock, speech.unforked(request.serial, speech.S_CLONE, e.errno, e.strerror))
            pid = -1
        if pid == 0:
            return self.begin(request, False)
        for fd in fds:
            os.close(fd)
        return None

    def wait(self):
        """With spares waiting, a request is theirs to read."""
        if self.spares:
            timeout = None
        else:
            self.poll.register(self.sock, select.POLLIN)
            timeout = None
        if len(self.spares) < self.settings.spares:
            timeout = max(0.0, self.refill_at - time.monotonic()) * 1000 + 0.5
        ready = self.poll.poll(timeout)
        if not self.spares:
            self.poll.unregister(self.sock)
        for fd, _ in ready:
            if fd == self.wakeup[0]:
                _drain(fd)

    def run(self):
        try:
            while True:
                self.hear_taken()
                spare_ended = self.reap()
                work = self.refill()
                if work is None:
                    self.wait()
                    self.hear_taken()
                    # When a spare ended, the server may have told all of them to.
                    if not self.spares or spare_ended:
                        work = self.serve_one()
                if work is not None:
                    return work
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)  # forksrvd is gone


_KINDS = {os.CLD_EXITED: speech.EXITED, os.CLD_KILLED: speech.KILLED, os.CLD_DUMPED: speech.DUMPED}
_DONTWAIT = 0x40


def _nothing(signum, frame):
    pass


def _pipe():
    ends = os.pipe()
    for fd in ends:
        os.set_blocking(fd, False)
    return ends


def _drain(fd):
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


def _most_fds():
    """Above this number no file can be open."""
    import resource
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(most if most > 0 else 1 << 20, 1 << 20)
