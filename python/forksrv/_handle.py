# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the blocking Worker and the one for asyncio have in common: everything that is known already. It does no I/O."""
from __future__ import annotations

from . import _core, _errors, _records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence, TypeVar
    from ._spec import Word
    W = TypeVar("W", bound="Handle")


class Handle:
    """A worker that was started, or attached to, on a session."""

    def __init__(self, core: _core.Core, state: _core.WorkerState, args: Sequence[Word]) -> None:
        self._core = core
        self._state = state
        self.args = args
        """What it was started with; empty after attach()."""

    @property
    def id(self) -> int:
        """The worker's id: unique in the life of its instance; 0 while it is not known."""
        return self._state.id

    @property
    def pid(self) -> int:
        """0 while it is not known. To signal or to wait, use the methods, or the pidfd: a number may be used again."""
        return self._state.pid

    @property
    def pidfd(self) -> int | None:
        """A pidfd of the worker, or None. It can be polled: it is readable once the worker has ended. The handle's: it is closed with it."""
        return self._state.pidfd if self._state.pidfd >= 0 else None

    def take_pidfd(self) -> int | None:
        """Gives the pidfd away: the caller closes it."""
        fd, self._state.pidfd = self._state.pidfd, -1
        return fd if fd >= 0 else None

    @property
    def state(self) -> str:
        """"submitted" (no answer yet), "running", "failed" (it never ran), "ended", or "lost" (the session was lost first: its end is not
        known here). An end that its zygote has not told is "ended", with an `end` that has no code and no signal."""
        return self._state.state

    @property
    def end(self) -> _records.End | None:
        """How it ended, once that is known."""
        return self._state.end

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: the exit code, or the negative number of the signal; None while it is not known to have ended."""
        return self._state.end.returncode if self._state.end is not None else None

    def _result(self) -> int:
        """Of one that is over."""
        if self._state.end is not None:
            code = self._state.end.returncode
            if code is None:
                raise _errors.end_unknown(self._state.id, self._state.end.reason)
            return code
        if self._state.error is not None:
            raise self._state.error.with_traceback(None)
        raise self._core.lost_error()

    def _known_id(self) -> int:
        if self._state.id == 0 and not self._state.over:
            raise ValueError("the worker's id is not known, because it was started with report=None: it cannot be signalled")
        return self._state.id

    def _not_in_time(self, what: str) -> _errors.TimeoutExpired:
        return _errors.timed_out("worker %s did not %s in time" % (self._state.id or "(of unknown id)", what))

    def __repr__(self) -> str:
        return "<%s %d, pid %d, %s>" % (type(self).__name__, self.id, self.pid, self.state)


def by_over(workers: list[W]) -> tuple[list[W], list[W]]:
    """Those that are over, and those that are not."""
    over: list[W] = []
    waiting: list[W] = []
    for worker in workers:
        (over if worker._state.over else waiting).append(worker)
    return over, waiting
