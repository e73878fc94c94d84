# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an instance may be and where its key is: in the places, the order and with the errors of libforksrv(3). A place that exists but
cannot be used is an error, never a reason to look further. It connects to nothing; whether somebody answers is found out elsewhere."""
from __future__ import annotations

import errno
import os
import stat

from . import _errors
from ._handshake import KEY_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, NoReturn

SOCKET_PATH_MAX = 107
PATH_MAX = 4096
USER_MAX = 64
LISTEN_FDS_START = 3
CREDENTIAL = "forksrv.authkey"
STORES = ("/etc/credstore", "/run/credstore", "/usr/local/lib/credstore", "/usr/lib/credstore")
KEYGEN = "forksrv keygen makes one"
AT_SECURE = 23


def is_secure() -> bool:
    """Whether this program was started with another user's rights: then its environment is not to be trusted (secure_getenv)."""
    try:
        with open("/proc/self/auxv", "rb", buffering=0) as f:
            words = memoryview(f.read(4096)).cast("N")
        return any(words[i] == AT_SECURE and words[i + 1] != 0 for i in range(0, len(words) - 1, 2))
    except (OSError, TypeError):
        return os.geteuid() != os.getuid() or os.getegid() != os.getgid()


class Environment:
    """The environment as far as it may be trusted."""

    def __init__(self) -> None:
        self._secure = is_secure()

    def get(self, name: str) -> str | None:
        return None if self._secure else os.environ.get(name)

    def folder(self, name: str) -> str | None:
        value = self.get(name)
        return value if value is not None and value.startswith("/") else None


# ---- the address


class Candidate:
    """system: only root can have made the socket."""

    __slots__ = ("path", "system")

    def __init__(self, path: str, system: bool = False) -> None:
        if len(os.fsencode(path)) > SOCKET_PATH_MAX:
            raise _errors.Error(errno.EINVAL, "the address %s is longer than a socket's path can be (%d bytes)" % (path, SOCKET_PATH_MAX))
        self.path = path
        self.system = system


def check_address(address: str | bytes | os.PathLike[str]) -> str:
    path = os.fsdecode(address)
    if not 0 < len(os.fsencode(path)) <= SOCKET_PATH_MAX or "\0" in path:
        raise ValueError("the address must have 1 to %d bytes, and no NUL: %r" % (SOCKET_PATH_MAX, path))
    return path


def check_user(user: str) -> str:
    """It becomes part of paths."""
    if "/" in user or "\0" in user or user in ("", ".", "..") or len(os.fsencode(user)) > USER_MAX:
        raise ValueError("%r is no name of a user" % user)
    return user


def system_address(user: str) -> Candidate:
    return Candidate("/run/forksrv/%s/control" % user, True)


def _own_name() -> str | None:
    # Name services can take milliseconds; everybody knows this one.
    if os.geteuid() == 0:
        return "root"
    import pwd
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return None


def candidates(address: str | None, user: str | None) -> list[Candidate]:
    """In the order in which they are to be tried."""
    if address is not None:
        return [Candidate(address)]
    if user is not None:
        return [system_address(user)]
    environment = Environment()
    named = environment.get("FORKSRV_ADDRESS")
    if named:
        return [Candidate(named)]
    found = []
    runtime = environment.folder("XDG_RUNTIME_DIR")
    if runtime is not None:
        found.append(Candidate(runtime + "/forksrv/control"))
    name = _own_name()
    if name is not None:
        found.append(system_address(name))
    return found


# ---- the key


def load_key(authkey: bytes | bytearray | memoryview | None, authkey_file: str | None, user: str | None, system: bool) -> bytearray:
    """system: the address is that of a system instance. The caller erases the key when it has served."""
    if authkey is not None:
        return check_key(authkey)
    if authkey_file is not None:
        return _named_file(authkey_file, "the program")
    environment = Environment()
    path = environment.get("FORKSRV_AUTHKEY_FILE")
    if path:
        return _named_file(path, "$FORKSRV_AUTHKEY_FILE")
    looked = ["$FORKSRV_AUTHKEY_FILE (not set)"]
    for place in _places(environment, user, system, looked):
        key = place.read()
        if key is not None:
            return key
        looked.append(place.what)
    raise _errors.NoKeyError(errno.ENOKEY, "no authkey was found. Looked at: %s. %s" % (", ".join(looked), KEYGEN))


def check_key(authkey: bytes | bytearray | memoryview) -> bytearray:
    key = bytearray(authkey)
    if len(key) != KEY_SIZE:
        raise ValueError("the authkey must have exactly %d bytes, not %d" % (KEY_SIZE, len(key)))
    return key


def erase(key: bytearray) -> None:
    """As far as Python lets us: a bytearray is changed in its place."""
    key[:] = bytes(len(key))


class _File:
    def __init__(self, path: str, credential: bool = False) -> None:
        self.what = path
        self._credential = credential

    def read(self) -> bytearray | None:
        """None: there is no such file."""
        try:
            fd = os.open(self.what, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _errors.KeyFileError(error.errno, "authkey file %s: %s" % (self.what, _errors.os_text(error))) from None
        try:
            return _read_key(fd, self.what, self._credential)
        finally:
            os.close(fd)


class _Passed:
    """systemd's OpenFile=: the environment is only looked at, it is the program's own."""

    what = "an fd passed by OpenFile=forksrv.authkey"

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def read(self) -> bytearray | None:
        pid, count, names = (self._environment.get(name) for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
        if pid is None or count is None or names is None or pid != str(os.getpid()) or not count.isdecimal():
            return None
        for i, name in enumerate(names.split(":")[:min(int(count), 1024)]):
            if name == CREDENTIAL:
                return _read_key(LISTEN_FDS_START + i, "forksrv.authkey passed by OpenFile=", False)
        return None


def _places(environment: Environment, user: str | None, system: bool, looked: list[str]) -> Iterator[_File | _Passed]:
    root = os.geteuid() == 0
    credentials, runtime = environment.folder("CREDENTIALS_DIRECTORY"), environment.folder("XDG_RUNTIME_DIR")
    if credentials is not None:
        yield _File(os.path.join(credentials, CREDENTIAL), credential=True)
    else:
        looked.append("$CREDENTIALS_DIRECTORY (not set)")
    yield _Passed(environment)
    # For root, the session instance's key would only be refused by the system's.
    if not (root and system):
        if runtime is not None:
            yield _File(os.path.join(runtime, "credstore", CREDENTIAL))
        else:
            looked.append("$XDG_RUNTIME_DIR (not set)")
    if root:
        for store in STORES:
            yield _File("%s/%s.%s" % (store, CREDENTIAL, user if user is not None else "root"))


def _named_file(path: str, who: str) -> bytearray:
    """A file that somebody named must be there."""
    key = _File(path).read()
    if key is None:
        raise _errors.NoKeyError(errno.ENOKEY, "no authkey: %s, which %s names, does not exist. %s" % (path, who, KEYGEN))
    return key


def _readable_by_others(st: os.stat_result, credential: bool) -> bool:
    if st.st_nlink == 0:
        return False  # a memfd has no name that others could open
    # systemd gives a service's user access to its credentials by an ACL, whose mask shows as the group's bits.
    others = stat.S_IRWXO if credential and st.st_uid == 0 else stat.S_IRWXG | stat.S_IRWXO
    return bool(st.st_mode & others)


def _refuse(number: int, path: str, why: str) -> NoReturn:
    raise _errors.KeyFileError(number, "authkey file %s %s" % (path, why))


def _read_key(fd: int, path: str, credential: bool) -> bytearray:
    try:
        st = os.fstat(fd)
    except OSError as error:
        raise _errors.KeyFileError(error.errno, "authkey file %s: %s" % (path, _errors.os_text(error))) from None
    if not stat.S_ISREG(st.st_mode):
        _refuse(errno.EINVAL, path, "is not a regular file")
    if st.st_uid not in (0, os.geteuid()):
        _refuse(errno.EPERM, path, "belongs to uid %d, neither to root nor to this program's user" % st.st_uid)
    if _readable_by_others(st, credential):
        _refuse(errno.EPERM, path, "has mode %04o: others than its owner can use it. chmod 600 it" % (st.st_mode & 0o7777))
    if st.st_size != KEY_SIZE:
        _refuse(errno.EINVAL, path, "has %d bytes, not %d: it is no key. %s" % (st.st_size, KEY_SIZE, KEYGEN))
    key = bytearray(KEY_SIZE)
    # The position of the fd stays as it is: other sessions of this program may read the same one.
    if os.preadv(fd, [key], 0) != KEY_SIZE:
        _refuse(errno.EINVAL, path, "became shorter while it was read")
    return key
