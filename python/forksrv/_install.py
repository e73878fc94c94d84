# SPDX-License-Identifier: LGPL-2.1-or-later
"""forksrv.install(): what the caller wants, from arguments and environment. multiprocessing is imported only here."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _yes(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "yes", "true", "on")


def install(zygote: str | None = None, *, private: bool | None = None, fallback: bool | None = None, spares: int | None = None,
            **where: Any) -> None:
    """Has multiprocessing create its processes through forksrv.

    From here on Process, Pool, Manager, queues, nested processes and concurrent.futures.ProcessPoolExecutor with the start method "forkserver"
    (which becomes the default one, unless the program names another) get processes that are forked by a zygote of this program alone. That zygote
    comes from a warm one of the instance, imports this program's __main__ once, and ends with the program.

    zygote      its name; otherwise $FORKSRV_ZYGOTE, then "python". See forksrv.zygote(5).
    private     an instance of this program's own, instead of the one that systemd keeps; otherwise $FORKSRV_PRIVATE.
    fallback    use multiprocessing's own fork server, with a warning, where no zygote can be had; otherwise $FORKSRV_FALLBACK. Without it that
                is an exception, when the first process is started.
    spares      how many processes are kept forked ahead; otherwise $FORKSRV_SPARES, then 4.

    What else connect() takes (address, user, authkey, authkey_file, timeout, daemon) says which instance.

    Nothing is connected before the first process is started. It must be called before that, at best at the start of the program; calling it again,
    or in a process of a program that has it, does nothing. Without a change to the program: `FORKSRV_ZYGOTE=NAME python3 -m forksrv prog.py`.

    Raises RuntimeError if the program has started multiprocessing's own fork server already. When a process is started: the exceptions of
    connect(), and SpawnError if the zygote cannot be warmed or runs another minor version of Python.
    """
    from . import _door, _multiprocessing
    if private is None:
        private = _yes("FORKSRV_PRIVATE")
    if fallback is None:
        fallback = _yes("FORKSRV_FALLBACK")
    if spares is None:
        spares = int(os.environ.get("FORKSRV_SPARES") or _multiprocessing.SPARES)
    if not 1 <= spares <= 256:
        raise ValueError("spares must be 1 to 256, not %d" % spares)
    name = zygote or os.environ.get("FORKSRV_ZYGOTE") or "python"
    _multiprocessing.install(_multiprocessing.Options(name, _door.Way(private, where), spares, fallback))
