# SPDX-License-Identifier: LGPL-2.1-or-later
"""A zygote that lies: a program for Runtime=exec, written from forksrv-zygote(7) with nothing of ours. Its last argument names the lie; what
it needs to know comes as the arguments of a request."""
import array
import os
import signal
import socket
import struct
import sys
import time

READY, UNREADY, FORKED, UNFORKED, ENDED, REAPED, BORN, SPARES, FORK = 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207, 0x208, 0x301
VERSION, PID, ERRNO, STAGE, TEXT, VALUE, ARGV, END, A_SPARES = 0x01, 0x06, 0x08, 0x09, 0x0A, 0x0D, 0x11, 0x24, 0x2C

sock = socket.socket(fileno=3)


def attribute(number, value):
    value = struct.pack(">I", value) if isinstance(value, int) else value
    return struct.pack(">HHI", number, 0, len(value)) + value + b"\0" * (-len(value) % 4)


def say(type_, serial=0, *attributes, fds=(), n_fds=None, raw=b""):
    """n_fds: how many it says that come."""
    data = struct.pack(">HHI", type_, len(fds) if n_fds is None else n_fds, serial) + b"".join(attribute(*a) for a in attributes) + raw
    throw(data, fds)


def throw(data, fds=()):
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def ready():
    say(READY, 0, (VERSION, 1))


def hear():
    """A request: its serial and arguments. At the end of all it leaves."""
    data, control, _, _ = sock.recvmsg(40000, 8192)
    for _, _, value in control:
        fds = array.array("i")
        fds.frombytes(value)
        for fd in fds:
            os.close(fd)
    if not data:
        os._exit(0)
    serial, argv, rest = struct.unpack(">I", data[4:8])[0], [], data[8:]
    while rest:
        number, _, length = struct.unpack(">HHI", rest[:8])
        if number & 0x7FFF == ARGV:
            argv = [word.decode() for word in rest[8:8 + length].split(b"\0")[:-1]]
        rest = rest[8 + length + (-length % 4):]
    return serial, argv


def child(then=lambda: None):
    """A process that says nothing by itself and ends once it is told to, or with us. In a group of its own before anybody hears
    of it, as our group is killed with us."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        then()
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    os.setpgid(pid, pid)
    return pid, write


def forked(serial, pid, *more):
    pidfd = os.pidfd_open(pid)
    say(FORKED, serial, (PID, pid), *more, fds=[pidfd])
    os.close(pidfd)


def ended(pid, kind=1, value=0):
    say(ENDED, 0, (PID, pid), (END, struct.pack(">IIII", kind, value, 0, 0)))


def finish(pid, write):
    os.close(write)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ended(pid)
    os.waitpid(pid, 0)
    say(REAPED, 0, (PID, pid))


def serve(serial):
    """The truth."""
    pid, write = child()
    forked(serial, pid)
    finish(pid, write)


def serve_all():
    while True:
        serve(hear()[0])


def sleep():
    while True:
        time.sleep(1000)


# ---- before it is ready

def version():
    say(READY, 0, (VERSION, 2))
    sleep()


def exits():
    print("cannot go on", flush=True)
    os._exit(3)


def stops_early():
    os.kill(os.getpid(), signal.SIGSTOP)
    sleep()


def closes_early():
    sock.close()
    sleep()


def gives_up_and_stays():
    say(UNREADY, 0, (ERRNO, 5), (TEXT, b"Preload=x: no\0"))
    sleep()


def leaves_a_child():
    """The socket stays open, in a session of its own."""
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    hear()


def before_ready():
    """Nobody asked it for anything; nor is that a process of its own."""
    forked(1, os.getpid())
    sleep()


def bytes_early():
    throw(b"\1\2\3")
    sleep()


def huge_early():
    """Cut where the server's buffer ends, it would be well-formed."""
    say(READY, 0, (VERSION, 1), (0x7FFF, b"x" * (4096 + 1024 - 8 - 12 - 8)), (TEXT, b"more\0"), (0x7FFF, b"x" * 60000))
    sleep()


def empty_early():
    try:
        for _ in range(50):
            throw(b"", [0, 1, 2])
    except OSError:
        pass
    sleep()


def fds_early():
    say(READY, 0, (VERSION, 1), fds=[0, 1, 2], n_fds=0)
    sleep()


def many_fds_early():
    say(READY, 0, (VERSION, 1), fds=[0] * 253)
    sleep()


def of_a_server():
    say(0x102, 1)
    sleep()


def fork_itself():
    say(FORK, 1)
    sleep()


# ---- instead of an answer

def at_work(lie):
    """READY, then the lie for each request, and nothing more."""
    def run():
        ready()
        while True:
            lie(*hear())
    return run


def no_pidfd(serial, _):
    say(FORKED, serial, (PID, os.getpid()))


def a_pipe(serial, _):
    say(FORKED, serial, (PID, os.getpid()), fds=[os.pipe()[0]])


def two_pidfds(serial, _):
    pid, _ = child()
    say(FORKED, serial, (PID, pid), fds=[os.pidfd_open(pid)] * 2)


def of_that_process(serial, argv):
    forked(serial, int(argv[1]))


def of_the_server(serial, _):
    forked(serial, os.getppid())


def of_itself(serial, _):
    forked(serial, os.getpid())


def of_a_dead_one(serial, _):
    """Its pidfd tells nothing any more, and the number is the server's own."""
    pid, write = child()
    pidfd = os.pidfd_open(pid)
    os.close(write)
    os.waitpid(pid, 0)
    say(FORKED, serial, (PID, os.getppid()), fds=[pidfd])


def born(_, __):
    pid, _ = child()
    say(BORN, 0, (PID, pid), fds=[os.pidfd_open(pid)])


def no_such_end(serial, _):
    pid, _ = child()
    forked(serial, pid)
    ended(pid, 7)


def no_such_code(_, __):
    ended(os.getpid(), 1, 256)


def malformed(serial, _):
    say(UNFORKED, serial, raw=struct.pack(">HHI", TEXT, 0, 100) + b"abcd")


def twice_the_same(serial, _):
    say(UNFORKED, serial, (STAGE, 8), (STAGE, 8))


def does_not_belong(serial, _):
    say(UNFORKED, serial, (VALUE, b"12345678"))


def a_long_text(serial, _):
    say(UNFORKED, serial, (TEXT, b"x" * 4096 + b"\0"))


def closes(_, __):
    sock.close()
    sleep()


def leaves(_, __):
    os._exit(0)


def doubts(_, __):
    """Children that were killed, again and again, and never an answer."""
    while True:
        ended(99999999, 2, 9)
        time.sleep(0.05)


def unforked_nonsense(serial, _):
    say(UNFORKED, serial, (STAGE, 4711), (ERRNO, 0))


def unforked_silent(serial, _):
    say(UNFORKED, serial)


# ---- beside the truth

def ready_twice(serial, _):
    ready()
    say(UNREADY, 0, (TEXT, b"no\0"))
    serve(serial)


def of_no_request(serial, _):
    """A worker that nobody asked for: it is ended."""
    pid, _ = child()
    forked(serial + 4711, pid)
    os.waitpid(pid, 0)
    serve(serial)


def forked_twice(serial, _):
    second, _ = child()
    pid, write = child()
    forked(serial, pid)
    forked(serial, second)
    os.waitpid(second, 0)
    finish(pid, write)


def both(serial, _):
    pid, write = child()
    forked(serial, pid)
    say(UNFORKED, serial, (STAGE, 8), (ERRNO, 2))
    finish(pid, write)


def unforked_first(serial, _):
    """It is told that there is none, and then there is one."""
    say(UNFORKED, serial, (STAGE, 8), (ERRNO, 2), (TEXT, b"cwd: no\0"))
    pid, _ = child()
    forked(serial, pid)
    os.waitpid(pid, 0)


def of_nobody(serial, _):
    for i in range(100):
        ended(10000000 + i, 2, 9)
        say(REAPED, 0, (PID, 10000000 + i))
    say(SPARES, 0, (A_SPARES, 4000000000), (VALUE, b"\xff" * 8))
    serve(serial)


def of_that_worker(serial, argv):
    ended(int(argv[1]), 2, 9)
    say(REAPED, 0, (PID, int(argv[1])))
    serve(serial)


def reaped_first(serial, _):
    pid, write = child()
    forked(serial, pid)
    say(REAPED, 0, (PID, pid))
    finish(pid, write)
    ended(pid, 2, 9)


def floods(serial, _):
    for _ in range(100000):
        say(SPARES, 0, (A_SPARES, 1))
    serve(serial)


def prints(serial, _):
    """More than a pipe holds, with what terminals would take for commands."""
    os.write(1, b"\0\x1b[2J\xff\n" * 100000)
    serve(serial)


def once(path):
    """Whether it is the first process that comes here."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def stops(path):
    ready()
    while True:
        serial, _ = hear()
        if once(path):
            os.kill(os.getpid(), signal.SIGSTOP)
        serve(serial)


def never_reads(path):
    ready()
    if once(path):
        sleep()
    serve_all()


LIES = {f.__name__: f for f in (
    version, exits, stops_early, closes_early, gives_up_and_stays, leaves_a_child, before_ready, bytes_early, huge_early, empty_early, fds_early,
    many_fds_early, of_a_server, fork_itself, stops, never_reads)}
LIES.update({f.__name__: at_work(f) for f in (
    no_pidfd, a_pipe, two_pidfds, of_that_process, of_the_server, of_itself, of_a_dead_one, born, no_such_end, no_such_code, malformed,
    twice_the_same, does_not_belong, a_long_text, closes, leaves, doubts, unforked_nonsense, unforked_silent, ready_twice, of_no_request,
    forked_twice, both, unforked_first, of_nobody, of_that_worker, reaped_first, floods, prints)})
LIES["sleeps"] = sleep

if __name__ == "__main__":
    lie, *where = sys.argv[-1].split(":")
    LIES[lie](*where)
