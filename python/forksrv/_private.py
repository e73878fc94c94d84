# SPDX-License-Identifier: LGPL-2.1-or-later
"""The private instance: a socket, a key that nobody else ever sees and a lifeline, given to a forksrvd of the program's own as systemd would
give them. The connection is made before the daemon is there and waits in the backlog, so the socket's name can go again at once, and no
failure later leaves anything behind. The key is in a sealed memfd: never in an argument, a variable or a file."""
from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import stat

from . import _connect, _errors, _find, _place
from ._handshake import KEY_SIZE
from ._stdio import above_standard, pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NAMES = "control:forksrv.authkey:forksrv.alive"
PASSED = 3
FIRST_FREE_FD = 10  # above every number that the child fills
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
INHERITED = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "FORKSRV_PYTHON_DIR", "FORKSRV_ZYGOTE_DSO",
             "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "LLVM_PROFILE_FILE")
INHERITED_PREFIXES = ("LC_", "GCOV_PREFIX")
# Where a distribution or `make install` may have put it; only asked where the package was not installed together with it.
USUAL = ("/usr/libexec/forksrv/forksrvd", "/usr/local/libexec/forksrv/forksrvd", "/usr/lib/forksrv/forksrvd", "/usr/local/lib/forksrv/forksrvd")
# LISTEN_PID is to be the daemon's own pid, which only a process that becomes it can know. The outer shell goes at once, so that the daemon is
# a child of init (or the nearest subreaper) and not one that wait() of the program sees.
SHELL = "/bin/sh"
SCRIPT = SHELL + """ -c 'LISTEN_PID=$$; export LISTEN_PID; exec "$0" --private' "$0" &"""


class Door:
    """What another connection to a private instance needs: its socket, which has no name any more but is still a place, and the key."""

    def __init__(self, place: int, key_file: int) -> None:
        self.place, self.key_file = place, key_file

    def address(self) -> str:
        """For connect(2), while this process has the door."""
        return "/proc/%d/fd/%d" % (os.getpid(), self.place)

    def key(self) -> bytes:
        return os.pread(self.key_file, KEY_SIZE, 0)

    def close(self) -> None:
        for fd in (self.place, self.key_file):
            os.close(fd)


class Private:
    """sock: connected, nothing was said yet. key: for the handshake. lifeline: the instance ends when the last copy of it is closed. door: only if
    it is to be kept, and then the caller's."""

    def __init__(self, daemon: str | None, keep: bool = False) -> None:
        self.sock: socket.socket | None = None
        self.door: Door | None = None
        self.key = bytearray(os.urandom(KEY_SIZE))
        self.lifeline = -1
        parts: list[int] = []
        try:
            path = find_daemon(daemon)
            listener, self.sock, place = make_socket()
            parts += [place, listener]
            parts.append(make_key(self.key))
            alive, self.lifeline = pipe()
            parts.append(alive)
            _start(path, parts[1:])
            if keep:
                self.door = Door(parts.pop(0), parts.pop(1))
        except BaseException:
            self.close()
            raise
        finally:
            # Our own copies would keep the connection open after the daemon has gone.
            for fd in parts:
                os.close(fd)

    def close(self) -> None:
        _find.erase(self.key)
        if self.sock is not None:
            self.sock.close()
        if self.lifeline >= 0:
            os.close(self.lifeline)
            self.lifeline = -1


# ---- the parts


def find_daemon(daemon: str | None) -> str:
    path = daemon or _find.Environment().get("FORKSRV_DAEMON") or _place.DAEMON
    if path is not None:
        path = os.path.abspath(path)
        _check_daemon(path)
        return path
    for path in USUAL:
        if os.path.exists(path):
            return path
    _cannot_start(errno.ENOENT, "forksrvd", ". Looked for: %s" % ", ".join(USUAL))


def _check_daemon(path: str) -> None:
    """Said here, because the shell that starts it could tell nobody but its standard error."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode) or not os.access(path, os.X_OK, effective_ids=True):
            _cannot_start(errno.EACCES, path)
    except _errors.Error:
        raise
    except OSError as error:
        _cannot_start(error.errno or errno.EIO, path)


def _cannot_start(number: int, path: str, hint: str = "") -> NoReturn:
    if number == errno.ENOENT:
        hint += ". $FORKSRV_DAEMON can tell where forksrvd is"
    raise _errors.NoInstanceError(number, "a private instance cannot be started: %s: %s%s" % (path, os.strerror(number), hint))


def make_key(key: bytearray) -> int:
    """A memfd that cannot be changed any more, by anybody."""
    fd = above_standard(os.memfd_create("forksrv.authkey", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    try:
        os.pwrite(fd, key, 0)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
        return fd
    except BaseException:
        os.close(fd)
        raise


def make_socket() -> tuple[int, socket.socket, int]:
    """A listener, a connection to it, and the file that is its name, in a folder of our own, which only exists during this call."""
    runtime = _find.Environment().folder("XDG_RUNTIME_DIR")
    for base in (runtime, "/tmp"):
        if base is None:
            continue
        try:
            return _make_socket_below(base)
        except OSError as error:
            last = error
    raise _errors.Error(last.errno, "no socket for a private instance, neither below $XDG_RUNTIME_DIR nor below /tmp: %s"
                        % _errors.os_text(last)) from None


def _make_socket_below(base: str) -> tuple[int, socket.socket, int]:
    folder = os.path.join(base, "forksrv." + os.urandom(8).hex())
    os.mkdir(folder, 0o700)
    path = os.path.join(folder, "c")
    try:
        if len(os.fsencode(path)) > _find.SOCKET_PATH_MAX:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with _connect.new_socket() as listener:
            # Non-blocking, as systemd passes its sockets.
            listener.setblocking(False)
            listener.bind(path)
            try:
                listener.listen(16)
                sock = _connect.connect_path(path, None)
                try:
                    place = above_standard(os.open(path, os.O_PATH | os.O_CLOEXEC))
                except BaseException:
                    sock.close()
                    raise
            finally:
                os.unlink(path)
            return listener.detach(), sock, place
    finally:
        os.rmdir(folder)


# ---- the start


def _environment() -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith(INHERITED_PREFIXES)}
    env.update(LISTEN_FDS=str(PASSED), LISTEN_FDNAMES=NAMES)
    return env


def _inheritable() -> list[int]:
    """Every fd that a child would get, but for the standard ones."""
    try:
        fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return list(range(3, 1024))
    return [fd for fd in fds if fd > 2 and _is_inheritable(fd)]


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:
        return False


def _file_actions(null: int, passed: list[int]) -> list[tuple[int, ...]]:
    actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
    try:
        fcntl.fcntl(2, fcntl.F_GETFD)
    except OSError:
        actions.append((os.POSIX_SPAWN_DUP2, null, 2))
    actions += [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(passed)]
    last = 3 + len(passed)
    closefrom: int | None = getattr(os, "POSIX_SPAWN_CLOSEFROM", None)
    if closefrom is not None:
        actions.append((closefrom, last))
    else:
        # Python opens nothing that is inheritable; what the program did so, and closes meanwhile, is no error.
        actions += [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable() if fd >= last]
    return actions


def _start(path: str, parts: list[int]) -> None:
    """What systemd passes as fds 3, 4 and 5, from posix_spawn: the program may be large and have threads."""
    raised: list[int] = []
    try:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            for fd in (null, *parts):
                raised.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE_FD))
        finally:
            os.close(null)
        _spawn_and_wait([SHELL, "-c", SCRIPT, path], _file_actions(raised[0], raised[1:]))
    except OSError as error:
        if isinstance(error, _errors.Error):
            raise
        _cannot_start(error.errno or errno.EIO, path)
    finally:
        for fd in raised:
            os.close(fd)


def _spawn_and_wait(argv: list[str], actions: list[tuple[int, ...]]) -> None:
    """The outer shell is our child for a millisecond or two. Its SIGCHLD comes when it has been waited for: a handler that asks for any child
    then finds none of ours."""
    defaults = [n for n in range(1, signal.NSIG) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        # What the terminal sends to the program's group is not for the daemon.
        pid = os.posix_spawn(SHELL, argv, _environment(), file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults)
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # SIGCHLD is ignored, or another thread waits for any child
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
