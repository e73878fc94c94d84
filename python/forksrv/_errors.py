# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can go wrong, as exceptions. Every one is an Error, and so an OSError: `errno` is the errno of the C library where there is one,
and str() is one text for people: what failed, where, and what to do. Nothing in here looks at anything but its arguments."""
from __future__ import annotations

import errno as _errno
import os


class Error(OSError):
    """Base of all exceptions of this package."""

    def __str__(self) -> str:
        return self.strerror if self.strerror is not None else super().__str__()


# ---- opening a session


class NoInstanceError(Error, ConnectionError):
    """No instance of forksrv: there is no socket at the address (ENOENT), or nobody behind it (ECONNREFUSED)."""


class NoKeyError(Error):
    """No authkey was found (ENOKEY). The text lists every place that was looked at."""


class KeyFileError(NoKeyError):
    """A key file is there but must not be used: others can read it, it belongs to somebody else (EPERM), it has not exactly 32 bytes or
    is no regular file (EINVAL), or it cannot be opened."""


class AuthenticationError(Error, PermissionError):
    """The two sides do not have the same key (EKEYREJECTED): the server refused ours, or could not prove that it has it."""


class UntrustedListenerError(AuthenticationError):
    """The socket was made by a user who is neither root nor this program's (EPERM). Nothing was sent to it."""


class RefusedError(Error, PermissionError):
    """The server takes no connection from us now (EACCES): it has too many, or is not for this user."""


class ProtocolError(Error):
    """Whoever answered does not speak the protocol of forksrv (EPROTO)."""


# ---- using it


class SessionLostError(Error, ConnectionError):
    """The session is over (ENOTCONN): it was closed, or the server went away. What became of its workers is not known here."""


class ForkedError(SessionLostError):
    """The session belongs to another process: after a fork, the child has to open its own."""


class TimeoutExpired(Error, TimeoutError):
    """The time that was allowed is over (ETIMEDOUT). Nothing is lost by it: the call can be made again.

    stdout and stderr: what communicate() had read until then; after run(), all that was ever written.
    """

    stdout: bytes | str | None = None
    stderr: bytes | str | None = None


class RequestError(Error):
    """The server refused a request; errno tells why."""


class NoWorkerError(RequestError, ProcessLookupError):
    """There is no such worker, or it ended already (ESRCH)."""


class EndUnknownError(Error):
    """The worker has ended, and nobody knows how (ENODATA): its zygote has not told it, and the kernel has forgotten. Or it has been handed
    over."""


class AmbiguousNameError(RequestError, FileExistsError):
    """Several workers have that name (EEXIST): use the id."""


class LimitError(RequestError):
    """A limit of the server is reached (EAGAIN), or one of the protocol (E2BIG). The text names it."""


# ---- starting workers


class SpawnError(Error):
    """A worker could not be started. Nothing runs.

    stage: where it failed: "request", "limit", "cgroup", "clone", "signals", "session", "fds", "cwd", "rlimit", "nice",
    "oom-score-adj", "privileges", "exec", "zygote". filename: the program or the folder that is meant.

    It is raised as the subclass that is an exception of Python for the same errno, where there is one.
    """

    stage: str = "request"


class SpawnNotFoundError(SpawnError, FileNotFoundError):
    """The program, its interpreter or the working directory is not there (ENOENT)."""


class SpawnPermissionError(SpawnError, PermissionError):
    """Not permitted (EACCES, EPERM)."""


class SpawnNotADirectoryError(SpawnError, NotADirectoryError):
    """The working directory, or a part of a path, is none (ENOTDIR)."""


class SpawnLimitError(SpawnError, LimitError):
    """A limit of the server is reached; it may be tried again later."""


class WorkerError(Error):
    """run(check=True): the worker ended with another code than 0, or by a signal. The attributes are those of CompletedWorker."""

    completed: object = None


_SPAWN_ERRORS: dict[int, type[SpawnError]] = {
    _errno.ENOENT: SpawnNotFoundError,
    _errno.EACCES: SpawnPermissionError,
    _errno.EPERM: SpawnPermissionError,
    _errno.ENOTDIR: SpawnNotADirectoryError,
}
_REQUEST_ERRORS: dict[int, type[RequestError]] = {
    _errno.ESRCH: NoWorkerError,
    _errno.EEXIST: AmbiguousNameError,
    _errno.EAGAIN: LimitError,
}


def spawn_error(number: int, text: str, stage: str, filename: str | None = None) -> SpawnError:
    """The natural exception of a worker that could not be started."""
    cls: type[SpawnError] = _SPAWN_ERRORS.get(number, SpawnError)
    if stage == "limit":
        cls = SpawnLimitError
    error = cls(number, text, filename) if filename is not None else cls(number, text)
    error.stage = stage
    return error


def request_error(number: int, text: str) -> RequestError:
    """The natural exception of a request that was refused."""
    return _REQUEST_ERRORS.get(number, RequestError)(number, text)


def timed_out(text: str) -> TimeoutExpired:
    return TimeoutExpired(_errno.ETIMEDOUT, text)


def end_unknown(worker: int, reason: str) -> EndUnknownError:
    if reason == "handed-over":
        return EndUnknownError(_errno.ENODATA, "worker %d has been handed over to the service manager, which knows its end" % worker)
    return EndUnknownError(_errno.ENODATA, "worker %d has ended, and nobody knows how: its zygote has not told it" % worker)


def forked(peer: str, pid: int) -> ForkedError:
    return ForkedError(_errno.ENOTCONN, "the session with %s belongs to process %d: after a fork, open a new one" % (peer, pid))


def os_text(error: OSError) -> str:
    """The kernel's words alone, without number and file name: those are in our own text."""
    return os.strerror(error.errno) if error.errno is not None else str(error)
