# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child becomes what its request asks for: session, cgroup, files, folder, limits, environment. What fails is told with its stage, and then
the child ends; only one that is complete says FORKED, and only then does its work begin."""
import fcntl
import os
import resource
import select
import signal
import struct

from . import _speech as speech
from . import _os


class Failure(Exception):
    def __init__(self, stage, errno, what):
        self.stage, self.errno, self.what = stage, errno, what


def _at(stage, call, *args):
    try:
        return call(*args)
    except OSError as e:
        raise Failure(stage, e.errno, e.strerror) from None


# What the interpreter itself ignores; a worker's program finds it so, as it would if it had been started by itself.
_OWN = (signal.SIGPIPE, signal.SIGXFSZ)


def set_signals(request):
    """Handlers that a preloaded module has set stay: it would have set them in a process of its own, too."""
    ignored = request.number(speech.A_IGNORED)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for signum in _OWN:
        signal.signal(signum, signal.SIG_IGN)
    while ignored:
        signum = ignored.bit_length()
        ignored &= ~(1 << signum - 1)
        _at(speech.S_SIGNALS, signal.signal, signum, signal.SIG_IGN)


def unblock(request):
    blocked = request.number(speech.A_BLOCKED)
    signal.pthread_sigmask(signal.SIG_SETMASK, [n for n in range(1, 65) if blocked >> n - 1 & 1])


def _set_session(request):
    if request.number(speech.A_FLAGS) & speech.PROCESS_GROUP:
        _at(speech.S_SESSION, os.setpgid, 0, 0)
    else:
        _at(speech.S_SESSION, os.setsid)


def _set_terminal(request):
    if request.number(speech.A_FLAGS) & speech.CONTROLLING_TERMINAL:
        _at(speech.S_SESSION, _os.controlling_terminal, 0)


def _fd_map(request):
    """{number in the worker: fd here}; 0, 1 and 2 always."""
    pairs = request.values.get(speech.A_FDMAP, b"")
    mapped = {}
    for index, target in struct.iter_unpack(">II", pairs):
        if index >= len(request.fds) or target > 1023 or target in mapped:
            raise Failure(speech.S_REQUEST, 22, "FDMAP names a file descriptor that was not sent, or a target twice or over 1023")
        mapped[target] = request.fds[index]
    for target in range(3):
        if target not in mapped:
            mapped[target] = _at(speech.S_FDS, os.open, "/dev/null", os.O_RDWR | os.O_NOCTTY)
    return mapped


def raise_fd(fd, above):
    return fd if fd >= above else _at(speech.S_FDS, fcntl.fcntl, fd, fcntl.F_DUPFD_CLOEXEC, above)


def out_of_the_way(request, fd):
    """The same file at a number that none of the worker's will have."""
    targets = [target for _, target in struct.iter_unpack(">II", request.values.get(speech.A_FDMAP, b""))]
    return raise_fd(fd, max([2, *targets]) + 1)


def set_fds(request, sock):
    """The worker's files are in their places; all else is still open. Returns the numbers, sorted, a pidfd of this process, and the gate or -1.
    Our own limit, which is also the worker's, may leave no room for numbers that are in use only meanwhile, or for a target."""
    mapped = _fd_map(request)
    targets = sorted(mapped)
    above = targets[-1] + 1
    own, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    small = own != resource.RLIM_INFINITY and above + len(targets) + 3 > own
    if small:
        _at(speech.S_FDS, resource.setrlimit, resource.RLIMIT_NOFILE, (most, most))
    if sock.fileno() < above:
        # The socket object goes on with another number.
        moved = raise_fd(sock.fileno(), above)
        sock.detach()
        sock.__init__(fileno=moved)
    sources = {target: raise_fd(fd, above) for target, fd in mapped.items()}
    gate = raise_fd(request.fd(speech.A_GATE), above) if speech.A_GATE in request.values else -1
    for target, fd in sources.items():
        _at(speech.S_FDS, os.dup2, fd, target)
    pidfd = _pidfd()
    if small:
        _at(speech.S_FDS, resource.setrlimit, resource.RLIMIT_NOFILE, (own, most))
    return targets, pidfd, gate


def close_others(targets, most):
    low = 0
    for target in targets:
        if target > low:
            os.closerange(low, target)
        low = target + 1
    os.closerange(low, most)


def _set_limits(request):
    cwd = request.values.get(speech.A_CWD, b"/\0")[:-1]
    try:
        os.chdir(cwd)
    except OSError as e:
        raise Failure(speech.S_CWD, e.errno, "%s: %s" % (e.strerror, os.fsdecode(cwd))) from None
    os.umask(request.number(speech.A_UMASK, 0o22) & 0o777)
    for which, _, soft, hard in struct.iter_unpack(">IIQQ", request.values.get(speech.A_RLIMITS, b"")):
        try:
            resource.setrlimit(which, tuple(-1 if v == 2 ** 64 - 1 else v for v in (soft, hard)))
        except (OSError, ValueError) as e:
            raise Failure(speech.S_RLIMIT, getattr(e, "errno", None) or 22, str(e)) from None
    if speech.A_NICE in request.values:
        _at(speech.S_NICE, os.setpriority, os.PRIO_PROCESS, 0, request.signed(speech.A_NICE))
    if request.number(speech.A_FLAGS) & speech.NO_NEW_PRIVS:
        _at(speech.S_PRIVILEGES, _os.no_new_privs)


def set_environ(request):
    """The whole environment; what the zygote has, and the request has not, goes."""
    wanted = {}
    for variable in request.strings(speech.A_ENVIRON):
        name, equals, value = variable.partition(b"=")
        if not name or not equals:
            raise Failure(speech.S_REQUEST, 22, "a variable of the environment is not NAME=VALUE")
        wanted[name] = value
    set_environ_to(wanted)


def set_environ_to(wanted):
    have = getattr(os.environ, "_data", None)
    if not isinstance(have, dict):
        os.environb.clear()
        os.environb.update(wanted)
        return
    # The same without what os.environ does for each of them: a quarter of the time that a worker takes to begin.
    for name in have:
        if name not in wanted:
            os.unsetenv(name)
    for name, value in wanted.items():
        if have.get(name) != value:
            os.putenv(name, value)
    have.clear()
    have.update(wanted)


def _pidfd():
    return _at(speech.S_FDS, os.pidfd_open, os.getpid())


def apply_stock(request):
    """What a request has that brings nothing but fds. Returns a pidfd of this process."""
    set_signals(request)
    _set_session(request)
    if speech.A_CGROUP in request.values:
        _at(speech.S_CGROUP, os.write, request.fd(speech.A_CGROUP), b"0")
    unblock(request)
    return _pidfd()


def apply(request, sock):
    """All but the last steps: saying FORKED, closing what is not the worker's, unblocking signals. Returns the numbers of its fds, a
    pidfd of itself, since its limits may leave no room for one, and its gate."""
    set_signals(request)
    _set_session(request)
    if speech.A_CGROUP in request.values:
        _at(speech.S_CGROUP, os.write, request.fd(speech.A_CGROUP), b"0")
    targets, pidfd, gate = set_fds(request, sock)
    _set_terminal(request)
    _set_limits(request)
    set_environ(request)
    return targets, pidfd, gate


def wait_at(gate):
    """What the worker waits for before it begins. If whoever should have opened it is gone, the worker, which is told as started, ends."""
    if gate < 0:
        return
    wait = select.poll()
    wait.register(gate, select.POLLIN)
    wait.poll()
    try:
        opened = os.read(gate, 1)
    except OSError:
        opened = b""
    if not opened:
        os._exit(125)
    os.close(gate)
