# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session in an event loop: the loop tells when its socket is ready, tasks wait for what changes. Nothing in here blocks, and no answer is
understood here."""
from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager

from . import _connect, _core, _errors, _handshake
from ._transfer import DONTWAIT, STUCK_SECONDS, Transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import AsyncIterator, Callable

# Until a full backlog is tried again: poll cannot tell when there is a place in it.
TRY_AGAIN_SECONDS = 0.01


@asynccontextmanager
async def within(timeout: float | None, text: str) -> AsyncIterator[None]:
    """Our own TimeoutExpired in the place of asyncio's TimeoutError."""
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise _errors.timed_out(text) from None
        raise


# ---- opening


async def reach(target: _connect.Target) -> tuple[socket.socket, str, bytearray]:
    while True:
        try:
            # A time that is over already: nothing in there waits.
            return _connect.reach(target, 0.0)
        except _errors.TimeoutExpired:
            await asyncio.sleep(TRY_AGAIN_SECONDS)


async def greet(sock: socket.socket, key: bytearray, peer: str) -> None:
    loop = asyncio.get_running_loop()
    handshake = _handshake.Handshake(key)
    while not handshake.done:
        readable = loop.create_future()
        loop.add_reader(sock, _resolve, readable)
        try:
            await readable
        finally:
            loop.remove_reader(sock)
        _connect.step(sock, handshake, peer)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Link:
    """core and transfer belong to the loop; every method is to be called in it."""

    def __init__(self, sock: socket.socket, core: _core.Core) -> None:
        self.core = core
        self.loop = asyncio.get_running_loop()
        self.pid = os.getpid()
        self.unsent: set[asyncio.Future[None]] = set()
        self.anything: set[asyncio.Future[None]] = set()
        self._transfer = Transfer(sock, core)
        self._writes = False
        self.loop.add_reader(sock, self._readable)

    def fileno(self) -> int:
        return self._transfer.sock.fileno()

    def check(self) -> None:
        """Before a request."""
        if os.getpid() != self.pid:
            raise _errors.forked(self.core.peer, self.pid)
        if self.core.lost:
            raise self.core.lost_error()

    def close(self, text: str) -> None:
        sock = self._transfer.sock
        if sock.fileno() < 0:
            return
        if os.getpid() == self.pid:
            self.flush()
            self.tell(self.core.close(text))
        sock.close()

    # ---- bytes

    def _readable(self) -> None:
        try:
            self._transfer.read(DONTWAIT)
        except BlockingIOError:
            pass
        except OSError as error:
            self._transfer.error = error
        self.tell(self._transfer.digest())

    def flush(self) -> None:
        """What is queued, as far as it goes, and the rest when it can be."""
        try:
            self._transfer.flush()
        except OSError as error:
            self.tell(self.core.broke(error, "write to"))
        self.tell([])

    def send(self, slot: _core.Request | _core.WorkerState) -> None:
        """A request that was just made goes out."""
        self._transfer.flush_new(slot)
        self._watch_socket()

    def tell(self, changed: list[_core.Slot]) -> None:
        """Wakes whoever waits for one of these."""
        for slot in changed:
            for future in slot.waiters:
                _resolve(future)
        for future in self.anything if changed else ():
            _resolve(future)
        for future in self.unsent:
            _resolve(future)
        self._watch_socket()

    def _watch_socket(self) -> None:
        if self.core.lost:
            self.loop.remove_reader(self._transfer.sock)
        if self._transfer.stuck:
            self.loop.call_later(STUCK_SECONDS, self.flush)
        writes = bool(self.core.output) and not self._transfer.stuck
        if writes != self._writes:
            self._writes = writes
            if writes:
                self.loop.add_writer(self._transfer.sock, self.flush)
            else:
                self.loop.remove_writer(self._transfer.sock)

    # ---- waiting

    async def wait(self, until: Callable[[], object], waiters: set[asyncio.Future[None]]) -> None:
        """Until it holds, or the session is lost."""
        while not until() and not self.core.lost:
            future = self.loop.create_future()
            waiters.add(future)
            try:
                await future
            finally:
                waiters.discard(future)

    async def answer(self, request: _core.Request, timeout: float | None) -> _core.Request:
        """To a request that was sent."""
        async with within(timeout, "%s did not answer in time" % self.core.peer):
            await self.wait(lambda: request.done, request.waiters)
        if request.error is not None:
            raise request.error
        return request

    async def started(self, state: _core.WorkerState, report: bool, timeout: float | None) -> None:
        """Up to the first answer to a SPAWN or WAIT that was sent."""
        until, slot = state.answered(report)
        async with within(timeout, "%s did not answer in time" % self.core.peer):
            await self.wait(until, state.waiters if slot is state else self.unsent)
        if report and state.error is not None:
            raise state.error
        if report and state.state is _core.LOST:
            raise self.core.lost_error()
