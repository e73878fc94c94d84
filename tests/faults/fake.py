# SPDX-License-Identifier: LGPL-2.1-or-later
"""A zygote that does all that a zygote can do, at a word, and is warm at once: a program for Runtime=exec, for workers that outlive it, for a
zygote derived from it, and for requests that are in a memfd. The first argument of a request says what its worker does."""
import array
import mmap
import os
import select
import signal
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "live"))
import liar  # noqa: E402

KIND, LARGE, CHANNEL, SPAWN_FLAGS = 0x2D, 0x2E, 0x30, 0x19
HAND_OVER = 0x40


def attributes(data):
    found = {}
    while data:
        number, _, length = struct.unpack(">HHI", data[:8])
        found[number & 0x7FFF] = data[8:8 + length]
        data = data[8 + length + (-length % 4):]
    return found


def number(found, key):
    return struct.unpack(">I", found[key])[0] if key in found else 0


class Request:
    def __init__(self):
        data, control, _, _ = liar.sock.recvmsg(65536, 8192)
        self.fds = array.array("i")
        for _, _, value in control:
            self.fds.frombytes(value)
        if not data:
            os._exit(0)
        self.serial, found = struct.unpack(">I", data[4:8])[0], attributes(data[8:])
        if LARGE in found:
            with mmap.mmap(self.fds[number(found, LARGE)], 0, prot=mmap.PROT_READ) as m:
                found = attributes(m[8:])
        self.kind, self.found = number(found, KIND), found
        self.argv = [word.decode() for word in found.get(liar.ARGV, b"stock\0").split(b"\0")[:-1]]

    def channel(self):
        return self.fds[number(self.found, CHANNEL)]

    def close(self):
        for fd in self.fds:
            os.close(fd)


children = {}


def fork(then):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        for signo in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signo, signal.SIG_DFL)
        then()
        os._exit(0)
    return pid


def killed(pid):
    """By the server. If it cannot, that is not for ever."""
    pidfd = os.pidfd_open(pid)
    if not select.select([pidfd], [], [], 1)[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(pidfd)
    os.waitpid(pid, 0)


def derived(sock):
    """Its own zygote: a worker that the server did not ask for, and which ends; and one beside it that is one too many."""
    liar.sock = sock
    pid, write = liar.child()
    second, _ = liar.child(then=lambda: os.close(write))
    for child in (pid, second):
        liar.say(liar.BORN, 0, (liar.PID, child), fds=[os.pidfd_open(child)])
    killed(second)
    liar.finish(pid, write)


def work(request):
    what = request.argv[0]
    if request.kind == 1:
        derived(socket.socket(fileno=os.dup(request.channel())))
    elif what == "hold":
        signal.pause()
    elif what == "die":
        # Until its zygote is gone, and a moment longer.
        os.close(leaving[1])
        os.read(leaving[0], 1)
    elif what == "token":
        os.write(request.fds[0], request.argv[1].encode() + b"\n")


def hand_over():
    """A process in the middle, which the server ends, so that the worker is its manager's child."""
    middle, zygote = os.getpid(), os.getppid()
    if os.fork() != 0:
        while os.getppid() == zygote:
            time.sleep(0.01)
        os._exit(0)
    pidfd = os.pidfd_open(os.getpid())
    liar.say(liar.FORKED, serial, (liar.PID, os.getpid()), fds=[pidfd])
    while os.getppid() == middle:
        time.sleep(0.001)
    os._exit(7)


def serve(request):
    global serial
    serial = request.serial
    if request.argv[0] == "cannot":
        liar.say(liar.UNFORKED, request.serial, (liar.STAGE, 8), (liar.ERRNO, 2), (liar.TEXT, b"cwd: no\0"))
        return
    if request.argv[0] == "nap":
        # Until its socket is full.
        time.sleep(0.1)
    if request.argv[0] == "lie":
        liar.throw(b"\xff" * 12)
        return
    if request.argv[0] == "mum":
        # It keeps to itself how that has ended, and goes.
        pid = fork(lambda: work(request))
        liar.forked(request.serial, pid)
        os.waitpid(pid, 0)
        os._exit(0)
    if number(request.found, SPAWN_FLAGS) & HAND_OVER:
        pid = fork(hand_over)
        children[pid] = os.pidfd_open(pid)
        return
    if request.argv[0] == "ghost":
        # Of a request that nobody has made.
        ghost, _ = liar.child()
        liar.forked(request.serial + 4711, ghost)
        killed(ghost)
    pid = fork(lambda: work(request))
    children[pid] = os.pidfd_open(pid)
    liar.say(liar.FORKED, request.serial, (liar.PID, pid), fds=[children[pid]])
    if request.argv[0] == "die":
        # With an orphan that is nobody's worker.
        fork(lambda: work(request))
        os._exit(0)


def reap(pid):
    os.close(children.pop(pid))
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    liar.ended(pid, 1 if info.si_code == os.CLD_EXITED else 2, info.si_status)
    os.waitpid(pid, 0)
    liar.say(liar.REAPED, 0, (liar.PID, pid))


leaving = os.pipe()

if __name__ == "__main__":
    print("it prints", flush=True)
    liar.ready()
    while True:
        ready, _, _ = select.select([liar.sock, *children.values()], [], [])
        for pid in [pid for pid, pidfd in children.items() if pidfd in ready]:
            reap(pid)
        if liar.sock in ready:
            request = Request()
            serve(request)
            request.close()
