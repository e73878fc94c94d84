# SPDX-License-Identifier: LGPL-2.1-or-later
"""Time limits as absolute times, so that a wait that is interrupted, or woken for something else, does not start anew. None is no limit."""
from __future__ import annotations

import time


def deadline_after(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


def left(deadline: float | None) -> float | None:
    """Seconds, never less than 0."""
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)


def poll_timeout(deadline: float | None) -> int | None:
    """Milliseconds for select.poll, rounded up so that it never returns early; a day at most, after which the caller looks again."""
    seconds = left(deadline)
    return None if seconds is None else min(int(seconds * 1000 + 0.999), 86400 * 1000)
