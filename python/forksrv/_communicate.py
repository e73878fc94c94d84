# SPDX-License-Identifier: LGPL-2.1-or-later
"""Talks to a worker's pipes until all of them are closed: writes its input, collects what it says, each as the other side is ready. What was
read is kept when the time is up, so that it can be asked again. It does not wait for the worker itself."""
from __future__ import annotations

import os
import select

from ._deadline import left, poll_timeout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

# What a pipe that poll() calls writable takes without blocking.
PIPE_BUF = 4096
READ = 64 * 1024


class Text:
    """How bytes become str: as subprocess does it. encoding None: the locale's."""

    def __init__(self, encoding: str | None, errors: str | None) -> None:
        self.encoding = encoding
        self.errors = errors or "strict"

    def wrap(self, file: IO[bytes], writes: bool) -> IO[str]:
        import io
        return io.TextIOWrapper(file, encoding=self.encoding, errors=self.errors, write_through=writes)

    def _codec(self) -> str:
        if self.encoding is not None and self.encoding != "locale":
            return self.encoding
        import locale
        return locale.getpreferredencoding(False)

    def decode(self, data: bytes) -> str:
        return data.decode(self._codec(), self.errors).replace("\r\n", "\n").replace("\r", "\n")

    def encode(self, data: str) -> bytes:
        return data.encode(self._codec(), self.errors)


def text_of(text: bool, encoding: str | None, errors: str | None) -> Text | None:
    """None: bytes."""
    return Text(encoding, errors) if text or encoding is not None or errors is not None else None


class Communication:
    def __init__(self, stdin: IO[Any] | None, outputs: list[IO[Any] | None], data: bytes) -> None:
        """outputs: stdout, stderr; either may be None."""
        self._data = memoryview(data)
        self._chunks: list[list[bytes] | None] = [None if file is None else [] for file in outputs]
        self._poll = select.poll()
        self._open: dict[int, tuple[IO[Any], int]] = {}
        for index, file in enumerate(outputs):
            if file is not None and not file.closed:
                self._add(file, index, select.POLLIN)
        if stdin is not None and not stdin.closed:
            try:
                stdin.flush()
            except BrokenPipeError:
                pass
            if data:
                self._add(stdin, -1, select.POLLOUT)
            else:
                _close(stdin)

    def _add(self, file: IO[Any], index: int, events: int) -> None:
        self._open[file.fileno()] = (file, index)
        self._poll.register(file.fileno(), events)

    def _done(self, fd: int) -> None:
        self._poll.unregister(fd)
        _close(self._open.pop(fd)[0])

    def go_on(self, deadline: float | None) -> bool:
        """Until all is closed: True; False: the time is up."""
        while self._open:
            ready = self._poll.poll(poll_timeout(deadline))
            for fd, _ in ready:
                index = self._open[fd][1]
                (self._write if index < 0 else self._read)(fd, index)
            if not ready and left(deadline) == 0:
                return False
        return True

    def _read(self, fd: int, index: int) -> None:
        data = os.read(fd, READ)
        chunks = self._chunks[index]
        if data and chunks is not None:
            chunks.append(data)
        else:
            self._done(fd)

    def _write(self, fd: int, index: int) -> None:
        try:
            self._data = self._data[os.write(fd, self._data[:PIPE_BUF]):]
        except BrokenPipeError:
            self._data = self._data[:0]
        if not self._data:
            self._done(fd)

    def results(self) -> list[bytes | None]:
        """What was read until now."""
        return [None if chunks is None else b"".join(chunks) for chunks in self._chunks]


def _close(file: IO[Any]) -> None:
    try:
        file.close()
    except BrokenPipeError:
        pass
