# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same for asyncio: connect(), Session, Worker and Watch have the names and arguments of those of forksrv, and are awaited.

    import asyncio, forksrv.aio

    async def main():
        async with await forksrv.aio.connect(private=True) as session:
            done = await session.run(["uname"], capture_output=True, text=True)
            workers = [await session.spawn(["sleep", n]) for n in "123"]
            await asyncio.gather(*(worker.wait() for worker in workers))

    asyncio.run(main())

A session belongs to the event loop that it was opened in, and nothing blocks that loop. A call that is cancelled loses nothing: an answer that
nobody waits for is dropped, and a worker whose start nobody waits for is killed.
"""
from __future__ import annotations

import os
import warnings

from . import _connect, _core, _errors, _find, _handshake, _records, _wire
from ._aio_link import Link, greet, reach, within
from ._aio_worker import Worker
from ._communicate import text_of
from ._deadline import deadline_after, left
from ._handle import by_over
from ._run import CompletedWorker, prepare
from ._spec import U64_MAX, Spec, attach_body, name_of, number, patience
from ._stdio import Standard
from ._zygote import states, zygote_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, AsyncIterator, Iterable, Mapping, Sequence
    from ._spec import Limit, Word
    from ._stdio import File

__all__ = ["connect", "Session", "Worker", "Watch", "Zygote"]

DROPPED = "nobody has it any more"


async def connect(address: str | os.PathLike[str] | None = None, *, user: str | None = None,
                  authkey: bytes | bytearray | memoryview | None = None, authkey_file: str | os.PathLike[str] | None = None,
                  private: bool = False, timeout: float | None = 10.0, daemon: str | os.PathLike[str] | None = None,
                  lazy: bool = False) -> Session:
    """Opens a session; see forksrv.connect()."""
    from . import _private
    target = _connect.Target(address, user, authkey, authkey_file, private)
    deadline = deadline_after(timeout)
    lifeline = -1
    if private:
        parts = _private.Private(os.fspath(daemon) if daemon is not None else None)
        assert parts.sock is not None
        sock, peer, key, lifeline = parts.sock, "private", parts.key, parts.lifeline
    else:
        async with within(timeout, "too many connections wait for the server already"):
            sock, peer, key = await reach(target)
    try:
        async with within(left(deadline), "%s did not answer in time" % peer):
            await greet(sock, key, peer)
        core = _core.Core(peer)
        core.output.add(_handshake.Handshake.welcome())
        link = Link(sock, core)
        if not lazy:
            link.flush()
        return Session(link, lifeline)
    except BaseException:
        sock.close()
        if lifeline >= 0:
            os.close(lifeline)
        raise
    finally:
        _find.erase(key)


# ---- a session


class Session:
    """One authenticated connection to an instance; connect() makes it. See forksrv.Session, which has the same methods."""

    def __init__(self, link: Link, lifeline: int) -> None:
        self._link = link
        self._lifeline = lifeline

    @property
    def address(self) -> str:
        """What it is connected to: the path of the socket, or "private"."""
        return self._link.core.peer

    @property
    def closed(self) -> bool:
        """Whether the session is over: closed, or lost."""
        return bool(self._link.core.lost)

    def fileno(self) -> int:
        """The loop looks after it. -1 once the session is closed."""
        return self._link.fileno()

    async def close(self) -> None:
        """Ends the session. Its workers are ended by the server, detached ones go on. May be called again."""
        self._close()

    def _close(self) -> None:
        self._link.close("it was closed by this program")
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)

    def __del__(self) -> None:
        if getattr(self, "_lifeline", -1) < 0 and (not hasattr(self, "_link") or self._link.fileno() < 0):
            return
        if os.getpid() == self._link.pid and not self.closed:
            warnings.warn("unclosed %r" % self, ResourceWarning, source=self, stacklevel=2)
        # It may be another thread in which the last reference goes.
        if os.getpid() == self._link.pid and not self._link.loop.is_closed():
            self._link.loop.call_soon_threadsafe(self._link.close, DROPPED)
        if self._lifeline >= 0:
            os.close(self._lifeline)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, type_: object, value: object, traceback: object) -> None:
        self._close()

    def __repr__(self) -> str:
        return "<forksrv.aio.Session %s%s>" % (self.address, ", over" if self.closed else "")

    # ---- asking

    def _check(self) -> _core.Core:
        self._link.check()
        return self._link.core

    async def _answer(self, request: _core.Request, timeout: float | None) -> _core.Request:
        self._link.send(request)
        return await self._link.answer(request, timeout)

    async def _request(self, type_: int, answer: int, body: bytes, timeout: float | None) -> _core.Request:
        return await self._answer(self._check().request(type_, answer, body), timeout)

    # ---- workers

    async def spawn(self, argv: Sequence[Word], *, program: Word | None = None,
                    env: Mapping[str, str] | Mapping[bytes, bytes] | None = None, cwd: Word | None = None, stdin: File = None,
                    stdout: File = None, stderr: File = None, fds: Mapping[int, File] | None = None, umask: int | None = None,
                    rlimits: Mapping[int, Limit] | Mapping[str, Limit] | None = None, nice: int | None = None, oom_score_adj: int | None = None,
                    blocked_signals: Iterable[int] = (), ignored_signals: Iterable[int] = (), time_limit: float | None = None,
                    grace: float | None = None, name: str | None = None, memory_max: int | None = None, tasks_max: int | None = None,
                    cpu_weight: int | None = None, detached: bool = False, process_group: bool = False, no_new_privs: bool = False,
                    own_cgroup: bool = False, report: str | None = "exec", pidfd: bool = True, zygote: str | None = None,
                    derived: bool = False, controlling_terminal: bool = False, cgroup: int | None = None, gate: int | None = None,
                    hand_over: bool = False, slot_wait: float | None = None, text: bool = False, encoding: str | None = None,
                    errors: str | None = None, timeout: float | None = None) -> Worker:
        """Starts a worker and returns its handle; see forksrv.Session.spawn(). Pipes are asyncio's StreamReader and StreamWriter; text,
        encoding and errors concern communicate() and run() alone."""
        self._check()
        standard = Standard(stdin, stdout, stderr, fds)
        try:
            spec = Spec(argv, standard.fds, program=program, env=env, cwd=cwd, umask=umask, rlimits=rlimits, nice=nice,
                        oom_score_adj=oom_score_adj, blocked_signals=blocked_signals, ignored_signals=ignored_signals, time_limit=time_limit,
                        grace=grace, name=name, memory_max=memory_max, tasks_max=tasks_max, cpu_weight=cpu_weight, detached=detached,
                        process_group=process_group, no_new_privs=no_new_privs, own_cgroup=own_cgroup, report=report, pidfd=pidfd,
                        zygote=zygote, derived=derived, cgroup=cgroup, gate=gate, hand_over=hand_over,
                        controlling_terminal=controlling_terminal, slot_wait=patience(slot_wait, timeout))
            state = self._link.core.spawn(spec.body, spec.fds, spec.program, spec.cwd)
            self._link.send(state)
            standard.close_theirs()
            worker = Worker(self, state, argv, text_of(text, encoding, errors))
            try:
                await self._link.started(state, report is not None, timeout)
                await worker._connect_pipes(standard)
            except BaseException:
                self._link.core.give_up(state)
                self._link.flush()
                worker.close()
                raise
            return worker
        finally:
            standard.close()

    async def attach(self, worker: int | str, *, timeout: float | None = None) -> Worker:
        """A handle for a worker that another session started, by its id or its name; see forksrv.Session.attach()."""
        self._check()
        state = self._link.core.attach(attach_body(worker))
        self._link.send(state)
        await self._link.started(state, True, timeout)
        return Worker(self, state, [], None)

    async def run(self, argv: Sequence[Word], *, input: bytes | str | None = None, capture_output: bool = False,
                  timeout: float | None = None, check: bool = False, **options: Any) -> CompletedWorker:
        """Starts a worker, waits for its end, and returns a CompletedWorker; see forksrv.Session.run(). If it is cancelled, the worker's
        process group is killed."""
        prepare(input, capture_output, options)
        deadline = deadline_after(timeout)
        async with await self.spawn(argv, timeout=timeout, **options) as worker:
            try:
                stdout, stderr = await worker.communicate(input, left(deadline))
            except _errors.TimeoutExpired as expired:
                await worker.kill(group=True)
                expired.stdout, expired.stderr = await worker.communicate()
                raise
            except BaseException:
                worker._kill_unheard()
                raise
            assert worker.end is not None and worker.returncode is not None
        completed = CompletedWorker(argv, worker.returncode, stdout, stderr, worker.end)
        if check:
            completed.check_returncode()
        return completed

    async def as_completed(self, workers: Iterable[Worker], timeout: float | None = None) -> AsyncIterator[Worker]:
        """Yields these workers of this session as they end, fail or are lost. TimeoutExpired: not all within `timeout` seconds."""
        deadline = deadline_after(timeout)
        waiting = list(workers)
        while waiting:
            over, waiting = by_over(waiting)
            for worker in over:
                yield worker
            if not over:
                async with within(left(deadline), "%d of the workers did not end in time" % len(waiting)):
                    await self._link.wait(lambda: any(worker._state.over for worker in waiting), self._link.anything)

    # ---- other requests

    async def signal(self, worker: int | Worker, signal: int, *, group: bool = False, everything: bool = False,
                     timeout: float | None = None) -> None:
        """Sends a signal to a worker; see forksrv.Session.signal()."""
        id_ = worker._known_id() if isinstance(worker, Worker) else number(worker, 0, U64_MAX, "a worker's id")
        flags = (_wire.SIGNAL_GROUP if group else 0) | (_wire.SIGNAL_ALL if everything else 0)
        self._check()
        await self._answer(self._link.core.signal(id_, int(signal), flags), timeout)

    async def list(self, *, timeout: float | None = None) -> list[_records.WorkerInfo]:
        """All workers of the instance, and the ends that it keeps."""
        request = await self._request(_wire.LIST, _wire.LISTED, b"", timeout)
        return [_records.info(record) for record in request.records()]

    async def status(self, *, timeout: float | None = None) -> dict[str, int | str]:
        """Counters, limits and texts of the instance."""
        return _records.counters((await self._request(_wire.STATUS, _wire.STATUS_REPLY, b"", timeout)).records())

    async def ping(self, *, timeout: float | None = None) -> _records.Hello:
        """One round trip: who answers."""
        return _records.hello((await self._request(_wire.HELLO, _wire.HELLO_REPLY, _core.hello_body(), timeout)).parts[0])

    def watch(self, *, timeout: float | None = None) -> Watch:
        """Events of ALL workers of the instance, from now on: `async for event in session.watch()`; see forksrv.Session.watch()."""
        self._check()
        return Watch(self, timeout)

    # ---- zygotes

    async def _zygote(self, action: int, name: str | None, timeout: float | None) -> _core.Request:
        return await self._request(_wire.ZYGOTE, _wire.ZYGOTES if action == _wire.ZYGOTE_LIST else _wire.DONE, zygote_body(action, name), timeout)

    async def zygotes(self, name: str | None = None, *, timeout: float | None = None) -> dict[str, dict[str, int | str]]:
        """The zygotes of the instance; see forksrv.Session.zygotes()."""
        return states((await self._zygote(_wire.ZYGOTE_LIST, name, timeout)).records())

    def zygote(self, name: str) -> Zygote:
        """A handle for warm(), stop() and reload(). Asks the server nothing."""
        return Zygote(self, name)


class Zygote:
    """A zygote of the instance, by its name; see forksrv.Zygote."""

    def __init__(self, session: Session, name: str) -> None:
        name_of(name, "zygote")
        self._session = session
        self.name = name

    async def warm(self, timeout: float | None = None) -> None:
        """Starts it, unless it runs already."""
        await self._session._zygote(_wire.ZYGOTE_WARM, self.name, timeout)

    async def stop(self, timeout: float | None = None) -> None:
        """Stops it; its workers go on."""
        await self._session._zygote(_wire.ZYGOTE_STOP, self.name, timeout)

    async def reload(self, timeout: float | None = None) -> None:
        """Replaces it by a fresh one, which loads its preload anew."""
        await self._session._zygote(_wire.ZYGOTE_RELOAD, self.name, timeout)

    async def state(self, timeout: float | None = None) -> dict[str, int | str]:
        """Its counters and texts; empty if it has never been asked for."""
        return (await self._session.zygotes(self.name, timeout=timeout)).get(self.name, {})


# ---- events


class Watch:
    """An asynchronous iterator of Event, and a context manager that ends it; see forksrv.Watch."""

    def __init__(self, session: Session, timeout: float | None) -> None:
        self._session = session
        self._watching = _core.Watching()
        self._over = False
        self._timeout = timeout
        self._request: _core.Request | None = session._link.core.watch(self._watching)
        session._link.send(self._request)

    async def _confirmed(self) -> None:
        if self._request is not None:
            await self._session._link.answer(self._request, self._timeout)
            self._request = None

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> _records.Event:
        """The next event."""
        await self._confirmed()
        await self._session._link.wait(lambda: self._watching or self._over, self._watching.waiters)
        if self._over:
            raise StopAsyncIteration
        if not self._watching:
            raise self._session._link.core.lost_error()
        return self._watching.take()

    async def next(self, timeout: float | None = None) -> _records.Event:
        """The next event. TimeoutExpired: none within `timeout` seconds."""
        async with within(timeout, "no event in time"):
            return await self.__anext__()

    async def close(self) -> None:
        """No events any more. A task that waits for one is told so."""
        if not self._over and os.getpid() == self._session._link.pid:
            self._over = True
            self._session._link.core.unwatch(self._watching)
            self._session._link.tell([self._watching])
            self._session._link.flush()

    async def __aenter__(self) -> Watch:
        """Returns once the server has confirmed: no event after it is missed."""
        await self._confirmed()
        return self

    async def __aexit__(self, type_: object, value: object, traceback: object) -> None:
        await self.close()
