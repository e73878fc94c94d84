# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker has from its caller unless it is told otherwise: environment, working directory, umask. It only looks."""
from __future__ import annotations

import _thread
import os

from . import _errors


# The variables that were looked at last, and as what they travel: most programs never change them.
_last: tuple[dict[bytes, bytes], bytes, int] = ({}, b"", 0)


def environment() -> tuple[bytes, int]:
    """As it is now, in one piece, whatever other threads do to it: strings that end in NUL, and how many."""
    global _last
    # os.environ keeps bytes inside; to get at them by os.environb takes four times as long, for every worker.
    variables = getattr(os.environ, "_data", None)
    if not isinstance(variables, dict):
        variables = dict(os.environb)
    last = _last
    if variables != last[0]:
        variables = variables.copy()
        # execve takes a variable without a name, a request does not.
        words = [b"%b=%b\0" % pair for pair in variables.items() if pair[0]]
        last = _last = (variables, b"".join(words), len(words))
    return last[1], last[2]


def folder() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise _errors.Error(error.errno, "cannot find the working directory (%s); name one with cwd=" % _errors.os_text(error)) from None


def umask() -> int:
    # umask(2) only tells the mask by setting another one: with threads about, one of them could make a file meanwhile.
    if _thread._count() > 0:
        return _umask_of_kernel()
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _umask_of_kernel() -> int:
    try:
        with open("/proc/self/status", "rb", buffering=0) as f:
            status = f.read(4096)
        at = status.index(b"\nUmask:") + 7
        return int(status[at:status.index(b"\n", at)], 8)
    except (OSError, ValueError):
        mask = os.umask(0o077)
        os.umask(mask)
        return mask
