# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts processes through forksrv, the fork server for systemd.

A session is one authenticated connection to an instance of forksrvd. A worker is a process that was started on request. A private instance
needs no set-up at all:

    >>> import forksrv
    >>> with forksrv.connect(private=True) as session:
    ...     done = session.run(["uname"], capture_output=True, text=True)
    ...     print(done.returncode, done.stdout)
    0 Linux

connect() without arguments finds the instance that systemd keeps for the user, and its key (see connect; `systemctl --user enable --now
forksrv.socket` makes both). A worker has the program's own working directory, environment, umask and standard files, unless it is told
otherwise, and nothing else:

    session.run(["make", "-j4"], cwd="/src", env={"PATH": "/usr/bin:/bin"}, check=True)
    session.run(["sort"], input=b"b\\na\\n", stdout=forksrv.PIPE).stdout

spawn() returns as soon as the program runs. Its Worker is used as a subprocess.Popen is:

    worker = session.spawn(["sleep", "60"], time_limit=10.0, rlimits={"nofile": 64}, name="nap")
    worker.pid, worker.pidfd, worker.poll()
    worker.terminate()
    worker.wait()           # -15
    worker.end              # End(code=None, signal=15, core_dumped=False, reason='signalled', wall=..., user_time=..., ...)

A program that is not there is a FileNotFoundError, as it should be, and says where it failed (SpawnError.stage):

    try:
        session.spawn(["/bin/nope"])
    except FileNotFoundError as error:
        print(error)        # exec: No such file or directory: /bin/nope

Many at once: the requests of one session need not wait for each other. With report=None, spawn() does not even wait for an answer.

    workers = [session.spawn(["gzip", name], report=None) for name in names]
    for worker in session.as_completed(workers):
        print(worker.args, worker.returncode)

Threads may share a session. After os.fork(), the child has to open one of its own. Workers that are detached=True outlive the session;
session.attach("nap") gets a handle of one again, session.list() shows all, session.watch() tells what happens to them:

    with session.watch() as events:
        for event in events:
            print(event.kind, event.worker)

The same for asyncio is forksrv.aio: `session = await forksrv.aio.connect()`, `worker = await session.spawn(...)`, `await worker.wait()`.

All exceptions are Error, an OSError with one text for people. docs/SECURITY.md says what is protected, and from whom.
"""
from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import aio
    from ._client import Session, Watch, connect
    from ._errors import (AmbiguousNameError, AuthenticationError, EndUnknownError, Error, ForkedError, KeyFileError, LimitError, NoInstanceError,
                          NoKeyError, NoWorkerError, ProtocolError, RefusedError, RequestError, SessionLostError, SpawnError, SpawnLimitError,
                          SpawnNotADirectoryError, SpawnNotFoundError, SpawnPermissionError, TimeoutExpired, UntrustedListenerError, WorkerError)
    from ._install import install
    from ._records import End, Event, Hello, WorkerInfo
    from ._run import CompletedWorker
    from ._stdio import DEVNULL, PIPE, STDOUT
    from ._version import __version__
    from ._worker import Worker
    from ._zygote import Zygote

# Each part is imported when it is first asked for: a zygote has this package in it, and needs little of it.
_PARTS = {
    "_client": "connect Session Watch",
    "_worker": "Worker",
    "_install": "install",
    "_zygote": "Zygote",
    "_run": "CompletedWorker",
    "_records": "End WorkerInfo Event Hello",
    "_stdio": "PIPE STDOUT DEVNULL",
    "_errors": "Error NoInstanceError NoKeyError KeyFileError AuthenticationError UntrustedListenerError RefusedError ProtocolError "
               "SessionLostError ForkedError EndUnknownError TimeoutExpired RequestError NoWorkerError AmbiguousNameError LimitError SpawnError "
               "SpawnNotFoundError SpawnPermissionError SpawnNotADirectoryError SpawnLimitError WorkerError",
    "_version": "__version__",
}
_WHERE = {name: module for module, names in _PARTS.items() for name in names.split()}

__all__ = [
    "connect", "Session", "Worker", "Watch", "Zygote", "CompletedWorker", "End", "WorkerInfo", "Event", "Hello", "PIPE", "STDOUT", "DEVNULL",
    "install",
    "Error", "NoInstanceError", "NoKeyError", "KeyFileError", "AuthenticationError", "UntrustedListenerError", "RefusedError", "ProtocolError",
    "SessionLostError", "ForkedError", "EndUnknownError", "TimeoutExpired",
    "RequestError", "NoWorkerError", "AmbiguousNameError", "LimitError", "SpawnError",
    "SpawnNotFoundError", "SpawnPermissionError", "SpawnNotADirectoryError", "SpawnLimitError", "WorkerError", "__version__",
]


def __getattr__(name: str) -> object:
    import importlib
    if name == "aio":
        return importlib.import_module(".aio", __name__)
    if name not in _WHERE:
        raise AttributeError("module %r has no attribute %r" % (__name__, name))
    found = globals()[name] = getattr(importlib.import_module("." + _WHERE[name], __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "aio"})
