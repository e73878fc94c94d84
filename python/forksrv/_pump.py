# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moves the bytes of a session for any number of threads: one lock around what is known, and whoever waits longest reads for all. The lock
is never held while anything blocks, and there is no thread of its own. What an answer means is decided elsewhere."""
from __future__ import annotations

import _thread
import os
import select
import socket
import time

from . import _errors
from ._core import Core
from ._deadline import left, poll_timeout
from ._output import Frame
from ._transfer import DONTWAIT, STUCK_SECONDS, Transfer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable
    from ._core import Slot

ROUNDS = 64  # reads of one process(): a busy server must not keep the program from its other work
LOOK_AGAIN = 3600.0


class Waiter:
    """A thread in wait(): it reads for all, writes for all, or sleeps until another one wakes it."""

    __slots__ = ("slot", "lock")

    def __init__(self, slot: Slot | Frame | None) -> None:
        self.slot = slot
        self.lock = _thread.allocate_lock()


class Pump:
    """transfer and core are used with the lock held; but reading, by the one thread that has the role of it."""

    def __init__(self, sock: socket.socket, core: Core) -> None:
        self.core = core
        self.transfer = Transfer(sock, core)
        self.lock = _thread.allocate_lock()
        self._pid = os.getpid()
        self._reader: Waiter | None = None
        self._writer: Waiter | None = None
        self._sleepers: list[Waiter] = []
        self._closing = False

    def check_process(self) -> None:
        """Before the lock: a thread that is not in the fork may hold it for ever."""
        if os.getpid() != self._pid:
            raise _errors.forked(self.core.peer, self._pid)

    def check(self) -> None:
        """With the lock held, before a request."""
        if self.core.lost:
            raise self.core.lost_error()

    # ---- with the lock held

    def wake(self, changed: list[Slot]) -> None:
        """Those who wait for one of these, for anything, or for a frame to be sent."""
        ids = {id(slot) for slot in changed}
        for sleeper in self._sleepers[:]:
            slot = sleeper.slot
            if (changed if slot is None else slot.sent if isinstance(slot, Frame) else id(slot) in ids):
                self._wake(sleeper)

    def _wake(self, sleeper: Waiter) -> None:
        self._sleepers.remove(sleeper)
        sleeper.lock.release()

    def _catch_up(self, me: Waiter) -> None:
        """Between two rounds: back to no role, and what was read meanwhile, whoever it was read by, to whom it concerns."""
        self._step_back(me)
        if self.transfer.pending:
            changed = self.transfer.digest()
            if self._sleepers:
                self.wake(changed)

    def _take_role(self, me: Waiter) -> None:
        if self._reader is None:
            self._reader = me
        elif self._writer is None and self.core.output:
            self._writer = me
        else:
            me.lock.acquire(False)
            self._sleepers.append(me)

    def _step_back(self, me: Waiter) -> None:
        if self._reader is me:
            self._reader = None
        elif self._writer is me:
            self._writer = None
        elif me in self._sleepers:
            self._sleepers.remove(me)

    def _leave(self, me: Waiter) -> None:
        """Whatever it was doing, and wherever it was interrupted: others go on with it."""
        self._step_back(me)
        if self._sleepers and (self._reader is None or (self._writer is None and self.core.output)):
            self._wake(self._sleepers[0])
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        """A thread that reads has the socket in its hands: first its read ends, then the number may be used again."""
        if not self._closing:
            return
        if self._reader is None and self._writer is None:
            self.transfer.sock.close()
            return
        try:
            self.transfer.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    # ---- without it

    def process(self) -> None:
        """What can be done without waiting."""
        me = Waiter(None)
        try:
            for _ in range(ROUNDS):
                with self.lock:
                    self._catch_up(me)
                    if self._reader is not None or self.core.lost:
                        return
                    self._reader = me
                if not self._read(DONTWAIT):
                    return
        finally:
            with self.lock:
                self._leave(me)

    def wait(self, until: Callable[[], object], slot: Slot | Frame | None, deadline: float | None) -> bool:
        """Until it holds, or the session is lost: True. False: the time is up. slot: what has to change for it; None: anything."""
        self.check_process()
        me, worked = Waiter(slot), False
        try:
            while True:
                with self.lock:
                    self._catch_up(me)
                    if until() or self.core.lost:
                        return True
                    if worked and deadline is not None and time.monotonic() >= deadline:
                        return False
                    self._take_role(me)
                self._work(me, deadline)
                worked = True
        finally:
            with self.lock:
                self._leave(me)

    def _work(self, me: Waiter, deadline: float | None) -> None:
        if self._reader is me:
            if deadline is None and not self.core.output:
                self._read(0)
            elif self._poll(select.POLLIN, deadline) & ~select.POLLOUT:
                self._read(DONTWAIT)
        elif self._writer is me:
            # While another thread reads, and knows of nothing to write.
            self._poll(0, deadline)
        else:
            seconds = left(deadline)
            me.lock.acquire(True, LOOK_AGAIN if seconds is None else min(seconds, LOOK_AGAIN))

    def _read(self, flags: int) -> bool:
        """Whether there was something."""
        try:
            self.transfer.read(flags)
        except BlockingIOError:
            return False
        except OSError as error:
            self.transfer.error = error
        return True

    def _poll(self, events: int, deadline: float | None) -> int:
        if self.transfer.stuck:
            soon = time.monotonic() + STUCK_SECONDS
            deadline = soon if deadline is None else min(deadline, soon)
        elif self.core.output:
            events |= select.POLLOUT
        poll = select.poll()
        poll.register(self.transfer.sock, events)
        ready = poll.poll(poll_timeout(deadline))
        return ready[0][1] if ready else 0

    # ---- the end

    def close(self, text: str) -> None:
        """What is queued is sent if that needs no waiting."""
        if os.getpid() != self._pid:
            # The parent's threads, and who holds the lock, are not here. Its session goes on without this copy of the socket.
            self.transfer.sock.close()
            return
        with self.lock:
            if not self.core.lost:
                try:
                    self.transfer.flush()
                except OSError:
                    pass
            self._closing = True
            self.wake(self.core.close(text))
            self._close_if_idle()
