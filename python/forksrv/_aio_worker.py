# SPDX-License-Identifier: LGPL-2.1-or-later
"""Worker for asyncio: the handle of one process, to be used as an asyncio.subprocess.Process is."""
from __future__ import annotations

import asyncio
import os

from . import _core, _errors
from ._aio_link import within
from ._communicate import Text
from ._core import SIGKILL
from ._deadline import deadline_after, left
from ._handle import Handle
from ._stdio import Standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence
    from ._spec import Word
    from .aio import Session

SIGTERM = 15
READ = 64 * 1024


class Worker(Handle):
    """A worker that was started, or attached to, on a session; see forksrv.Worker, and asyncio.subprocess.Process, as which it is used.

    stdin is a StreamWriter, stdout and stderr are StreamReaders, each None where PIPE was not asked for.
    """

    def __init__(self, session: Session, state: _core.WorkerState, args: Sequence[Word], text: Text | None) -> None:
        super().__init__(session._link.core, state, args)
        self._session = session
        self._link = session._link
        self._text = text
        self._chunks: dict[int, list[bytes]] = {}
        self._transports: list[asyncio.BaseTransport] = []
        self.stdin: asyncio.StreamWriter | None = None
        self.stdout: asyncio.StreamReader | None = None
        self.stderr: asyncio.StreamReader | None = None

    async def _connect_pipes(self, standard: Standard) -> None:
        loop = self._link.loop
        fd = standard.take(0)
        if fd >= 0:
            protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), loop=loop)
            transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(fd, "wb", buffering=0))
            self.stdin = asyncio.StreamWriter(transport, protocol, None, loop)
            self._transports.append(transport)
        self.stdout, self.stderr = await self._reader(standard.take(1)), await self._reader(standard.take(2))

    async def _reader(self, fd: int) -> asyncio.StreamReader | None:
        if fd < 0:
            return None
        loop = self._link.loop
        reader = asyncio.StreamReader(loop=loop)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), os.fdopen(fd, "rb", buffering=0))
        self._transports.append(transport)
        return reader

    async def wait(self, timeout: float | None = None) -> int:
        """Waits for its end and returns the return code; see forksrv.Worker.wait()."""
        state = self._state
        if not state.over:
            async with within(timeout, str(self._not_in_time("end"))):
                await self._link.wait(lambda: state.over, state.waiters)
        return self._result()

    def poll(self) -> int | None:
        """The return code, or None while it is not known to have ended."""
        return self._result() if self._state.over else None

    async def send_signal(self, signal: int, group: bool = False, everything: bool = False) -> None:
        """Sends a signal to the worker; group: to its process group; everything: to all in its own cgroup (SIGKILL only)."""
        if self._state.over:
            return
        try:
            await self._session.signal(self._known_id(), signal, group=group, everything=everything)
        except _errors.NoWorkerError:
            pass

    async def terminate(self, group: bool = False) -> None:
        """SIGTERM."""
        await self.send_signal(SIGTERM, group)

    async def kill(self, group: bool = False) -> None:
        """SIGKILL."""
        await self.send_signal(SIGKILL, group)

    def _kill_unheard(self) -> None:
        if self._state.id and not self._state.over:
            self._core.give_up(self._state)
            self._link.flush()

    # ---- its pipes

    async def communicate(self, input: bytes | str | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Writes `input` to its standard input, reads its output until the end, waits for it, and returns (stdout, stderr). After
        TimeoutExpired it can be called again, without input; nothing is lost."""
        data = self._text.encode(input) if self._text is not None and isinstance(input, str) else input
        if isinstance(data, str):
            raise TypeError("input must be bytes: the worker was not started with text=True")
        deadline = deadline_after(timeout)
        try:
            async with within(timeout, str(self._not_in_time("close its pipes"))):
                await asyncio.gather(self._feed(data), self._collect(1, self.stdout), self._collect(2, self.stderr))
            await self.wait(left(deadline))
        except _errors.TimeoutExpired as expired:
            expired.stdout, expired.stderr = (self._output(n, False) for n in (1, 2))
            raise
        return self._output(1, True), self._output(2, True)

    async def _feed(self, data: bytes | None) -> None:
        if self.stdin is None:
            return
        try:
            if data:
                self.stdin.write(data)
            await self.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.stdin.close()

    async def _collect(self, number: int, reader: asyncio.StreamReader | None) -> None:
        if reader is not None:
            chunks = self._chunks.setdefault(number, [])
            while data := await reader.read(READ):
                chunks.append(data)

    def _output(self, number: int, decode: bool) -> Any:
        chunks = self._chunks.get(number)
        if chunks is None:
            return None
        data = b"".join(chunks)
        return self._text.decode(data) if self._text is not None and decode else data

    def close(self) -> None:
        """Closes the pipes and the pidfd. The worker goes on."""
        self._close_pipes()
        self._state.close_pidfd()

    def _close_pipes(self) -> None:
        for transport in self._transports:
            transport.close()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, type_: type[BaseException] | None, value: object, traceback: object) -> None:
        self._close_pipes()
        if not self._state.over and not self._core.lost and type_ is not asyncio.CancelledError:
            await self.wait()
