# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session without its socket: requests become frames, bytes that came in become answers and bring them to whom they concern. The
blocking Session and the one for asyncio share it. It does no I/O, takes no locks and wakes nobody; it tells what changed."""
from __future__ import annotations

import errno
import os
from collections import deque

from . import _errors, _records, _wire
from ._output import Frame, Output, close_all
from ._stdio import above_standard
from ._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Union
    Slot = Union["Request", "WorkerState", "Watching"]

# Events that are kept for a program that does not take them.
WATCH_MAX = 4096
SIGKILL = 9

SUBMITTED, RUNNING, FAILED, ENDED, LOST = "submitted", "running", "failed", "ended", "lost"


class Request:
    """A request that has one answer, perhaps in parts."""

    __slots__ = ("serial", "frame", "answer", "parts", "done", "error", "waiters")

    def __init__(self, answer: int) -> None:
        self.serial = 0
        self.frame: Frame | None = None
        self.answer = answer
        self.parts: list[dict[str, Any]] = []
        self.done = False
        self.error: _errors.Error | None = None
        self.waiters: set[Any] = set()

    def records(self) -> list[dict[str, Any]]:
        return [record for part in self.parts for record in part.get("records", ())]


class WorkerState:
    """What is known of a worker. Its pidfd is owned by it."""

    __slots__ = ("serial", "frame", "state", "id", "pid", "pidfd", "end", "error", "program", "cwd", "unwanted", "waiters", "__weakref__")

    def __init__(self, program: str | None = None, cwd: str | None = None) -> None:
        self.serial = 0
        self.frame: Frame | None = None
        self.state = SUBMITTED
        self.id = 0
        self.pid = 0
        self.pidfd = -1
        self.end: _records.End | None = None
        self.error: _errors.Error | None = None
        self.program = program
        self.cwd = cwd
        self.unwanted = False
        self.waiters: set[Any] = set()

    def answered(self, report: bool) -> tuple[Callable[[], object], WorkerState | Frame]:
        """What to wait for after the request, and what changes with it: the first answer, or if none is asked for, that it was sent."""
        if report:
            return lambda: self.state is not SUBMITTED, self
        assert self.frame is not None
        frame: Frame = self.frame
        return lambda: frame.sent, frame

    @property
    def over(self) -> bool:
        return self.state is not SUBMITTED and self.state is not RUNNING

    def close_pidfd(self) -> None:
        fd, self.pidfd = self.pidfd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # An exception out of a signal handler may have come before it was made.
        if getattr(self, "pidfd", -1) >= 0:
            self.close_pidfd()


class Watching:
    """Events for one reader, bounded. What does not fit is counted, and told after what came before the gap."""

    __slots__ = ("events", "missed", "waiters")

    def __init__(self) -> None:
        self.events: deque[_records.Event] = deque()
        self.missed = 0
        self.waiters: set[Any] = set()

    def add(self, event: _records.Event) -> None:
        if len(self.events) < WATCH_MAX:
            self.events.append(event)
        else:
            self.missed += max(event.count, 1)

    def __bool__(self) -> bool:
        return bool(self.events) or self.missed > 0

    def take(self) -> _records.Event:
        if self.events:
            return self.events.popleft()
        missed, self.missed = self.missed, 0
        return _records.Event("lost", None, None, missed)


class Core:
    def __init__(self, peer: str) -> None:
        """peer: what it is connected to, for texts."""
        self.peer = peer
        self.output = Output()
        self.lost = ""  # why the session is over
        self._lost_errno = 0
        self._slots: dict[int, Request | WorkerState] = {}
        self._serial = 0
        self._frames = _wire.Frames()
        self._fds: deque[int] = deque()
        self._watching: list[Watching] = []
        self._changed: list[Slot] = []

    # ---- requests

    def _next_serial(self) -> int:
        while True:
            self._serial = self._serial % 0xFFFFFFFF + 1
            if self._serial not in self._slots:
                return self._serial

    def _send(self, slot: Request | WorkerState, type_: int, body: bytes, fds: list[int] | None = None) -> None:
        if len(body) + 8 > _wire.FRAME_MAX:
            raise _errors.LimitError(errno.E2BIG, "the request is larger than the 4 MiB that the server takes")
        slot.serial = self._next_serial()
        self._slots[slot.serial] = slot
        slot.frame = self.output.add(_wire.message(type_, slot.serial, body, len(fds) if fds else 0), fds)

    def request(self, type_: int, answer: int, body: bytes = b"") -> Request:
        request = Request(answer)
        self._send(request, type_, body)
        return request

    def spawn(self, body: bytes, fds: list[int], program: str, cwd: str) -> WorkerState:
        """fds: borrowed until the frame is sent or kept."""
        state = WorkerState(program, cwd)
        self._send(state, _wire.SPAWN, body, fds)
        return state

    def attach(self, body: bytes) -> WorkerState:
        state = WorkerState()
        self._send(state, _wire.WAIT, body)
        return state

    def take_back(self, slot: Request | WorkerState) -> None:
        """The request that was made last, nothing of which was sent: as if it had never been made."""
        assert slot.frame is not None
        self.output.take_back(slot.frame)
        self._slots.pop(slot.serial, None)

    def signal(self, worker: int, signo: int, flags: int) -> Request:
        body = _wire.put_u64(_wire.ATTRIBUTES["worker"], worker) + _wire.put_u32(_wire.ATTRIBUTES["signo"], signo)
        if flags:
            body += _wire.put_u32(_wire.ATTRIBUTES["signal_flags"], flags)
        return self.request(_wire.SIGNAL, _wire.DONE, body)

    def give_up(self, state: WorkerState) -> None:
        """Its starter was told that it was not started, or did not wait to be told: should it be, it is killed at once."""
        state.unwanted = True
        if state.state is RUNNING and not self.lost:
            self.signal(state.id, SIGKILL, _wire.SIGNAL_GROUP)

    # ---- watching

    def watch(self, watching: Watching) -> Request:
        """Joins the session's readers of events."""
        self._watching.append(watching)
        return self.request(_wire.WATCH, _wire.DONE, _wire.put_u32(_wire.ATTRIBUTES["enable"], 1))

    def unwatch(self, watching: Watching) -> Request | None:
        """None: others still watch, or it did not."""
        if watching in self._watching:
            self._watching.remove(watching)
            if not self._watching and not self.lost:
                return self.request(_wire.WATCH, _wire.DONE, _wire.put_u32(_wire.ATTRIBUTES["enable"], 0))
        return None

    # ---- answers

    def receive(self, data: bytes, fds: list[int]) -> list[Slot]:
        """One read; b"" is the end. Returns what changed. The session may be lost afterwards."""
        self._fds.extend(fds)
        try:
            if not data:
                self._lose(errno.ECONNRESET, "%s closed the session" % self.peer)
            for payload in self._frames.feed(data):
                self._take(_wire.Message(payload))
                if self.lost:
                    break
            if not self.lost and self._fds and not len(self._frames):
                self._lose(errno.EPROTO, "%s sent file descriptors that belong to nothing" % self.peer)
        except _wire.Malformed:
            self._lose(errno.EPROTO, "%s sent what this package does not understand" % self.peer)
        return self._take_changed()

    def interrupted(self) -> None:
        """An exception out of a signal handler came in the middle of something: nobody can tell any more what was done of it."""
        self._lose(errno.EINTR, "%s: an exception interrupted it while an answer was taken, and half of one would be worse than none" % self.peer)

    def broke(self, error: OSError, what: str) -> list[Slot]:
        """Reading or writing failed for good."""
        self._lose(error.errno or errno.EIO, "cannot %s %s: %s" % (what, self.peer, _errors.os_text(error)))
        return self._take_changed()

    def lost_fds(self) -> list[Slot]:
        self._lose(errno.EMFILE, "this program can have no more open files: fds from the server were lost")
        return self._take_changed()

    def close(self, text: str) -> list[Slot]:
        self._lose(errno.ENOTCONN, text)
        return self._take_changed()

    def lost_error(self) -> _errors.SessionLostError:
        """A new one each time: whoever raises it adds to its traceback."""
        error = _errors.SessionLostError(errno.ENOTCONN, "the session is over: %s" % self.lost)
        error.__cause__ = OSError(self._lost_errno, os.strerror(self._lost_errno))
        return error

    def _take_changed(self) -> list[Slot]:
        changed, self._changed = self._changed, []
        return changed

    def _lose(self, number: int, text: str) -> None:
        """The session is over: every worker that still had to end is LOST."""
        if self.lost:
            return
        self.lost, self._lost_errno = text, number
        for slot in self._slots.values():
            if isinstance(slot, WorkerState):
                slot.state = LOST
            else:
                slot.error = self.lost_error()
                slot.done = True
            self._changed.append(slot)
        self._changed += self._watching
        self._slots.clear()
        self.output.drop()
        close_all(list(self._fds))
        self._fds.clear()

    def _take(self, m: _wire.Message) -> None:
        if m.n_fds > len(self._fds) or m.n_fds > 1:
            raise _wire.Malformed
        pidfd = above_standard(self._fds.popleft()) if m.n_fds else -1
        try:
            slot = self._slots.get(m.serial)
            if m.type == _wire.EVENT:
                self._event(m.fields)
            elif m.type == _wire.ERROR and m.serial == 0:
                text = m.fields.get("text") or os.strerror(_number(m.fields))
                self._lose(_number(m.fields), "%s ended the session: %s" % (self.peer, text))
            elif isinstance(slot, WorkerState):
                if self._worker(slot, m, pidfd):
                    pidfd = -1
            elif slot is not None:
                self._answer(slot, m)
            else:
                raise _wire.Malformed
        finally:
            if pidfd >= 0:
                os.close(pidfd)

    def _answer(self, request: Request, m: _wire.Message) -> None:
        if m.type == _wire.ERROR:
            number = _number(m.fields)
            request.error = _errors.request_error(number, m.fields.get("text") or os.strerror(number))
        elif m.type != request.answer:
            raise _wire.Malformed
        else:
            request.parts.append(m.fields)
            if m.flags & _wire.MORE:
                return
        request.done = True
        del self._slots[m.serial]
        self._changed.append(request)

    def _worker(self, state: WorkerState, m: _wire.Message, pidfd: int) -> bool:
        """Whether the pidfd was taken over."""
        if m.type == _wire.STARTED:
            state.id, state.pid = m.fields.get("worker", 0), m.fields.get("pid", 0)
            state.state = RUNNING
            self._changed.append(state)
            if state.unwanted:
                self.give_up(state)
                return False
            state.close_pidfd()
            state.pidfd = pidfd
            return True
        if m.type == _wire.EXITED:
            state.id = m.fields.get("worker", state.id)
            state.end = _records.end(m.fields)
            state.state = ENDED
        elif m.type == _wire.FAILED or m.type == _wire.ERROR:
            state.error = _worker_error(state, m)
            state.state = FAILED
        else:
            raise _wire.Malformed
        del self._slots[m.serial]
        self._changed.append(state)
        return False

    def _event(self, fields: dict[str, Any]) -> None:
        kind = fields.get("event", 0)
        if not 0 < kind < len(_records.KINDS):
            return  # of a newer server
        if kind == _wire.EVENT_LOST:
            event = _records.Event("lost", None, None, fields.get("value", 1))
        else:
            info = _records.info(fields)
            info.running = kind == _wire.EVENT_STARTED
            error = _spawn_error(fields, info.program) if kind == _wire.EVENT_FAILED else None
            event = _records.Event(_records.KINDS[kind], info, error, 0)
        for watching in self._watching:
            watching.add(event)
        self._changed += self._watching


def hello_body() -> bytes:
    return (_wire.put_u32(_wire.ATTRIBUTES["version"], _wire.VERSION) +
            _wire.put_str(_wire.ATTRIBUTES["software"], b"python-forksrv " + __version__.encode()))


def _number(fields: dict[str, Any]) -> int:
    """A positive errno; never 0, never out of range."""
    number: int = fields.get("errno", 0)
    return number if 0 < number < 4096 else errno.EIO


def _spawn_error(fields: dict[str, Any], program: str | None, cwd: str | None = None) -> _errors.SpawnError:
    number, stage = _number(fields), fields.get("stage", 1)
    name = _wire.STAGES[stage] if stage < len(_wire.STAGES) else "unknown"
    text = fields.get("text") or "%s: %s" % (name, os.strerror(number))
    return _errors.spawn_error(number, text, name, {"exec": program, "cwd": cwd}.get(name))


def _worker_error(state: WorkerState, m: _wire.Message) -> _errors.Error:
    if m.type == _wire.FAILED:
        return _spawn_error(m.fields, state.program, state.cwd)
    number = _number(m.fields)
    return _errors.request_error(number, m.fields.get("text") or os.strerror(number))
