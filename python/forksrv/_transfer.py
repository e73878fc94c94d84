# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket of a session: sends what is queued, receives what is there, with fds on the right bytes. Nothing is lost by an exception out of a
signal handler. Whether it may block, and who waits, others decide; its callers see to it that it is used by one at a time."""
from __future__ import annotations

import array
import errno
import socket
from collections import deque

from . import _errors, _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from ._core import Core, Request, Slot, WorkerState

RECEIVE = 64 * 1024
CONTROL = socket.CMSG_SPACE(_wire.SENDMSG_FDS_MAX * 4)
# Plain numbers: an operation on the enums of `socket` takes as long as a system call.
DONTWAIT = int(socket.MSG_DONTWAIT)
CTRUNC = int(socket.MSG_CTRUNC)
RECEIVE_FLAGS = int(socket.MSG_CMSG_CLOEXEC)
SEND_FLAGS = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
SOL_SOCKET, SCM_RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)
# The kernel takes no fds now: more of them are on their way than this user may have open, or memory is short.
STUCK = (errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM)
STUCK_SECONDS = 0.001


def rights(fds: list[int]) -> list[tuple[int, int, array.array[int]]]:
    return [(SOL_SOCKET, SCM_RIGHTS, array.array("i", fds))] if fds else []


def fds_of(control: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, type_, data in control:
        if level == SOL_SOCKET and type_ == SCM_RIGHTS:
            fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
    return fds.tolist()


class Transfer:
    def __init__(self, sock: socket.socket, core: Core) -> None:
        self.sock = sock
        self.core = core
        self.stuck = False  # poll does not tell when fds can be sent again
        # Results of system calls, put there by the interpreter's own C code: an exception out of a signal handler can come after a call has
        # returned and before the next line of Python, and what the call returned would be lost.
        self._received: deque[Any] = deque()
        self._sent: deque[int] = deque()
        self.error: OSError | None = None
        """What read() raised, for digest()."""

    @property
    def pending(self) -> bool:
        """Whether digest() has something to do."""
        return bool(self._received) or self.error is not None or bool(self.core.output)

    # ---- sending

    def flush(self) -> None:
        """As much as the kernel takes now."""
        core, output = self.core, self.core.output
        if not core.lost:
            self._settle()
        while output and not core.lost:
            buffers, fds = output.part()
            try:
                self._sent.extend(map(self.sock.sendmsg, (buffers,), (rights(fds),), (SEND_FLAGS,)))
            except BlockingIOError:
                return
            except OSError as error:
                self.stuck = error.errno in STUCK
                if self.stuck:
                    return
                if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                    raise
                output.drop()
            self._settle()

    def _settle(self) -> None:
        if self._sent:
            try:
                self.core.output.sent(self._sent[0])
                self._sent.popleft()
            except BaseException:
                self.core.interrupted()
                raise
        self.stuck = False

    def flush_new(self, slot: Request | WorkerState) -> None:
        """The same for a request that was just made. What is wrong with its own fds is an error of its caller, not of the session. They are
        only lent to us: what cannot be sent at once is duplicated."""
        frame = slot.frame
        assert frame is not None
        try:
            self.flush()
            frame.keep()
        except OSError as error:
            self.core.take_back(slot)
            raise _errors.Error(error.errno, "a file descriptor cannot be sent to %s: %s" % (self.core.peer, _errors.os_text(error))) from None

    # ---- receiving

    def read(self, flags: int) -> None:
        """One read. Raises OSError."""
        self._received.extend(map(self.sock.recvmsg, (RECEIVE,), (CONTROL,), (RECEIVE_FLAGS | flags,)))

    def digest(self) -> list[Slot]:
        """What was read, to whom it concerns, and on with what is queued. Returns what changed."""
        try:
            changed = self._digest()
        except BaseException:
            self.core.interrupted()
            raise
        if self.core.output:
            try:
                self.flush()
            except OSError as error:
                changed += self.core.broke(error, "write to")
        return changed

    def _digest(self) -> list[Slot]:
        changed: list[Slot] = []
        while self._received:
            data, control, flags, _ = self._received[0]
            changed += self.core.receive(data, fds_of(control) if control else [])
            self._received.popleft()
            if flags & CTRUNC:
                changed += self.core.lost_fds()
        if self.error is not None:
            error, self.error = self.error, None
            changed += self.core.receive(b"", []) if error.errno == errno.ECONNRESET else self.core.broke(error, "read from")
        return changed
