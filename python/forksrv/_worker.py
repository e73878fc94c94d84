# SPDX-License-Identifier: LGPL-2.1-or-later
"""Worker: the handle of one process that was started on a session, to be used as a subprocess.Popen is."""
from __future__ import annotations

import os

from ._communicate import Communication, Text
from ._core import SIGKILL, WorkerState
from ._deadline import deadline_after, left
from ._errors import NoWorkerError, TimeoutExpired
from ._handle import Handle
from ._stdio import Standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any, Sequence
    from ._client import Session
    from ._spec import Word

SIGTERM = 15


class Worker(Handle):
    """A worker that was started, or attached to, on a session. What is dropped is the handle only; the worker itself goes on.

    As a context manager it closes its pipes and waits for the worker at the end.
    """

    def __init__(self, session: Session, state: WorkerState, args: Sequence[Word], standard: Standard | None, text: Text | None) -> None:
        super().__init__(session._pump.core, state, args)
        self._session = session
        self._text = text
        self._communication: Communication | None = None
        self.stdin: IO[Any] | None = None
        """The pipe to its standard input, with stdin=PIPE."""
        self.stdout: IO[Any] | None = None
        """The pipe from its standard output, with stdout=PIPE."""
        self.stderr: IO[Any] | None = None
        """The pipe from its standard error, with stderr=PIPE."""
        if standard is not None:
            self.stdin, self.stdout, self.stderr = (self._pipe(standard.take(number), number == 0) for number in range(3))

    def _pipe(self, fd: int, writes: bool) -> IO[Any] | None:
        if fd < 0:
            return None
        file = os.fdopen(fd, "wb" if writes else "rb")
        return self._text.wrap(file, writes) if self._text is not None else file

    # ---- its end

    def poll(self) -> int | None:
        """The return code, or None while it has not ended. Waits for nothing. Errors: those of wait() but TimeoutExpired."""
        if not self._state.over:
            self._session.process()
        return self._result() if self._state.over else None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end and returns the return code; `end` then tells more.

        TimeoutExpired: not within `timeout` seconds. SpawnError: it never ran (after report=None or "start"). SessionLostError.
        """
        state = self._state
        if not state.over and not self._session._wait(lambda: state.over, state, deadline_after(timeout)):
            raise self._not_in_time("end")
        return self._result()

    # ---- signals

    def send_signal(self, signal: int, group: bool = False, everything: bool = False) -> None:
        """Sends a signal to the worker; group: to its process group; everything: to all in its own cgroup (SIGKILL only).

        Does nothing if it has ended.
        """
        if self._state.over:
            return
        try:
            self._session.signal(self._known_id(), signal, group=group, everything=everything)
        except NoWorkerError:
            pass

    def terminate(self, group: bool = False) -> None:
        """SIGTERM."""
        self.send_signal(SIGTERM, group)

    def kill(self, group: bool = False) -> None:
        """SIGKILL."""
        self.send_signal(SIGKILL, group)

    # ---- its pipes

    def communicate(self, input: bytes | str | None = None, timeout: float | None = None) -> tuple[Any, Any]:
        """Writes `input` to its standard input, reads its output until the end, waits for it, and returns (stdout, stderr): None for what is
        no pipe. After TimeoutExpired it can be called again; nothing is lost."""
        deadline = deadline_after(timeout)
        if self._communication is None:
            data = self._text.encode(input) if self._text is not None and isinstance(input, str) else input or b""
            if isinstance(data, str):
                raise TypeError("input must be bytes: the worker was not started with text=True")
            self._communication = Communication(self.stdin, [self.stdout, self.stderr], data)
        elif input is not None:
            raise ValueError("input was given to the first call already")
        if not self._communication.go_on(deadline):
            raise self._with_output(self._not_in_time("close its pipes"))
        try:
            self.wait(left(deadline))
        except TimeoutExpired as expired:
            raise self._with_output(expired)
        return self._output()

    def _output(self) -> tuple[Any, Any]:
        assert self._communication is not None
        out, err = self._communication.results()
        if self._text is None:
            return out, err
        return None if out is None else self._text.decode(out), None if err is None else self._text.decode(err)

    def _with_output(self, expired: TimeoutExpired) -> TimeoutExpired:
        assert self._communication is not None
        expired.stdout, expired.stderr = self._communication.results()
        return expired

    def close(self) -> None:
        """Closes the pipes and the pidfd. The worker goes on."""
        self._close_pipes()
        self._state.close_pidfd()

    def _close_pipes(self) -> None:
        for file in (self.stdin, self.stdout, self.stderr):
            if file is not None:
                try:
                    file.close()
                except BrokenPipeError:
                    pass

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, type_: object, value: object, traceback: object) -> None:
        self._close_pipes()
        if not self._state.over and not self._core.lost:
            self.wait()
