# SPDX-License-Identifier: LGPL-2.1-or-later
"""run(): one worker from its start to its end, as subprocess.run does it. This is what the blocking and the asyncio one share."""
from __future__ import annotations

from ._errors import WorkerError
from ._records import End, Record
from ._stdio import PIPE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CompletedWorker(Record):
    """A worker that run() has waited for."""

    __slots__ = {
        "args": "What it was started with.",
        "returncode": "The exit code, or the negative number of the signal.",
        "stdout": "What it wrote, if stdout was PIPE; otherwise None.",
        "stderr": "What it wrote, if stderr was PIPE; otherwise None.",
        "end": "How it ended: an End.",
    }
    args: Any
    returncode: int
    stdout: Any
    stderr: Any
    end: End

    def check_returncode(self) -> None:
        """Raises WorkerError unless the return code is 0."""
        if self.returncode == 0:
            return
        end = self.end
        what = "was ended by signal %d" % end.signal if end.signal is not None else "ended with code %d" % (end.code or 0)
        why = "" if end.reason in ("exited", "signalled") else " (%s)" % end.reason
        error = WorkerError(None, "the worker %r %s%s" % (self.args, what, why))
        error.completed = self
        raise error


def prepare(input: object, capture_output: bool, options: dict[str, Any]) -> None:
    """What run() asks of spawn()."""
    if capture_output:
        if options.get("stdout") is not None or options.get("stderr") is not None:
            raise ValueError("stdout and stderr must not be given together with capture_output")
        options["stdout"] = options["stderr"] = PIPE
    if input is not None:
        if options.get("stdin") is not None:
            raise ValueError("stdin must not be given together with input")
        options["stdin"] = PIPE
    # To be ended when the time is up it must have an id. Its failure to exec is told as well as its end is.
    if options.get("report") is None:
        options["report"] = "start"
    options.setdefault("pidfd", False)
