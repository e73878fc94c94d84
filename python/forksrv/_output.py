# SPDX-License-Identifier: LGPL-2.1-or-later
"""What waits to be sent: whole frames in order, each with the fds that travel on its first byte. It sends nothing itself; it says what
may go in one sendmsg, and is told how much of it went."""
from __future__ import annotations

import fcntl
import os
from collections import deque

from . import _wire

# A sendmsg of this size is taken whole or not at all, so it can carry the fds of several frames: a cut between two of them would leave
# the server with fds that no message names.
CHUNK = 16 * 1024
FRAMES_AT_ONCE = 64


class Frame:
    """A frame on its way. `sent`: the kernel has all of it."""

    __slots__ = ("data", "fds", "kept", "sent")

    def __init__(self, data: bytes, fds: list[int]) -> None:
        self.data = memoryview(data)
        self.fds = fds
        self.kept = False
        self.sent = False

    def keep(self) -> None:
        """fds are lent to us for as long as our caller waits: before it leaves early, they are duplicated."""
        if not self.kept and not self.sent:
            kept: list[int] = []
            try:
                for fd in self.fds:
                    kept.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
            except OSError:
                close_all(kept)
                raise
            self.fds, self.kept = kept, True

    def forget_fds(self) -> None:
        if self.kept:
            close_all(self.fds)
        self.fds = []


def close_all(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


class Output:
    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._taken = 0  # frames in the last part()
        self.deaf = False  # there is nobody to send to any more

    def __bool__(self) -> bool:
        return bool(self._frames)

    def add(self, data: bytes, fds: list[int] | None = None) -> Frame:
        frame = Frame(data, fds if fds is not None else [])
        if self.deaf:
            frame.sent = True
        else:
            self._frames.append(frame)
        return frame

    def keep(self) -> None:
        """Before a caller leaves early, at any point: whichever of these is its own."""
        for frame in self._frames:
            frame.keep()

    def take_back(self, frame: Frame) -> None:
        """The frame that was added last, nothing of which was sent."""
        if self._frames and self._frames[-1] is frame:
            self._frames.pop()

    def part(self) -> tuple[list[memoryview], list[int]]:
        """What may go in the next sendmsg."""
        frames = iter(self._frames)
        first = next(frames)
        buffers, fds, size = [first.data], first.fds, len(first.data)
        for frame in frames:
            size += len(frame.data)
            if len(buffers) == FRAMES_AT_ONCE or (size > CHUNK and (fds or frame.fds)) or len(fds) + len(frame.fds) > _wire.SENDMSG_FDS_MAX:
                break
            buffers.append(frame.data)
            fds = fds + frame.fds
        self._taken = len(buffers)
        return buffers, fds

    def sent(self, size: int) -> None:
        """`size` bytes of the last part() went, and with the first of them all of its fds."""
        if size == 0:
            return
        for i, frame in enumerate(self._frames):
            if i == self._taken:
                break
            frame.forget_fds()
        while size > 0:
            frame = self._frames[0]
            if size < len(frame.data):
                frame.data = frame.data[size:]
                return
            size -= len(frame.data)
            frame.sent = True
            self._frames.popleft()

    def drop(self) -> None:
        """The other side has hung up on us. What it said before that, and why, may still be there to be read."""
        self.deaf = True
        for frame in self._frames:
            frame.forget_fds()
            frame.sent = True
        self._frames.clear()
