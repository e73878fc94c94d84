# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which file descriptors a worker gets: its standard files as subprocess knows them, and others by number. It makes pipes, owns them until
they are given away, and closes them if they are not."""
from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping, Union, IO
    File = Union[int, IO[Any], None]

# As in subprocess, whose own constants therefore do, too.
PIPE, STDOUT, DEVNULL = -1, -2, -3


def above_standard(fd: int) -> int:
    """What is ours must never be taken for the program's standard input or output, which it may have closed. Takes fd over."""
    if fd > 2:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def pipe() -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC)
    return above_standard(read), above_standard(write)


def fileno(file: Any, what: str) -> int:
    fd = file if isinstance(file, int) else file.fileno()
    if not isinstance(fd, int) or isinstance(fd, bool) or fd < 0:
        raise ValueError("%s: no open file is meant by %r" % (what, file))
    return fd


class Standard:
    """fds: {number in the worker: ours}, borrowed but for the pipes' ends. ends: our ends of the pipes by number: owned, until taken."""

    def __init__(self, stdin: File, stdout: File, stderr: File, others: Mapping[int, File] | None) -> None:
        self.fds: dict[int, int] = {}
        self.ends: dict[int, int] = {}
        self._theirs: list[int] = []
        try:
            for number, file in enumerate((stdin, stdout)):
                self._place(number, file)
            if isinstance(stderr, int) and stderr == STDOUT:
                if 1 in self.fds:
                    self.fds[2] = self.fds[1]
            else:
                self._place(2, stderr)
            for target, file in (others or {}).items():
                self._other(target, file)
        except BaseException:
            self.close()
            raise

    def _place(self, number: int, file: File) -> None:
        if file is None:
            # The caller's own, if it has one: else /dev/null.
            if _is_open(number):
                self.fds[number] = number
        elif isinstance(file, int) and file == PIPE:
            self._pipe(number)
        elif not (isinstance(file, int) and file == DEVNULL):
            self.fds[number] = fileno(file, ("stdin", "stdout", "stderr")[number])

    def _pipe(self, number: int) -> None:
        read, write = pipe()
        ours, theirs = (write, read) if number == 0 else (read, write)
        self.ends[number] = ours
        self.fds[number] = theirs
        self._theirs.append(theirs)

    def _other(self, target: int, file: File) -> None:
        if target in (0, 1, 2) and target in self.ends:
            raise ValueError("file descriptor %d of the worker is a pipe already" % target)
        if file is None:
            raise ValueError("fds: %r has no file" % (target,))
        if isinstance(file, int) and file == DEVNULL:
            fd = above_standard(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            self._theirs.append(fd)
        else:
            fd = fileno(file, "fds")
        self.fds[target] = fd

    def close_theirs(self) -> None:
        """The worker has them, or will never have them."""
        theirs, self._theirs = self._theirs, []
        for fd in theirs:
            os.close(fd)

    def take(self, number: int) -> int:
        """Our end of a pipe, from now on the caller's; -1: there is none."""
        return self.ends.pop(number, -1)

    def close(self) -> None:
        self.close_theirs()
        while self.ends:
            os.close(self.ends.popitem()[1])


def _is_open(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return False
    return True
