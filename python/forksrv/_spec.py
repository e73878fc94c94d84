# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a worker shall be, as the body of a SPAWN message. Every value is checked here, and what is wrong with one is said as a ValueError
or TypeError before anything is sent. It opens nothing and sends nothing."""
from __future__ import annotations

import errno
import math
import os

from . import _caller, _errors, _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable, Mapping, Sequence, Union
    Word = Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]
    Limit = Union[int, None, tuple[Union[int, None], Union[int, None]]]

_A = _wire.ATTRIBUTES
U64_MAX = (1 << 64) - 1
_REPORTS = {"exec": _wire.REPORT_EXECED, "start": _wire.REPORT_STARTED, None: 0}
_UNQUOTED = frozenset(range(32)) | {127}


def word(value: Word, what: str) -> bytes:
    data = os.fsencode(value)
    if 0 in data:
        raise ValueError("%s must not have a NUL in it: %r" % (what, value))
    return data


def path(value: Word, what: str) -> bytes:
    data = word(value, what)
    if not 0 < len(data) < _wire.PATH_MAX:
        raise ValueError("%s must have 1 to %d bytes" % (what, _wire.PATH_MAX - 1))
    return data


def number(value: int, least: int, most: int, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("%s must be an int, not %r" % (what, value))
    if not least <= value <= most:
        raise ValueError("%s must be %d to %d, not %d" % (what, least, most, value))
    return value


def microseconds(seconds: float, what: str) -> int:
    """More than nothing; None and infinity are for the caller to leave out."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError("%s must be a number of seconds, not %r" % (what, seconds))
    if not seconds > 0:
        raise ValueError("%s must be more than 0 seconds, not %r" % (what, seconds))
    return min(max(round(seconds * 1e6), 1), U64_MAX - 1)


# ---- argv and environment


def _strings(words: list[bytes]) -> bytes:
    return b"\0".join(words) + b"\0" if words else b""


def argv_of(argv: Sequence[Word]) -> list[bytes]:
    if isinstance(argv, (str, bytes, os.PathLike)):
        raise TypeError("argv must be a list of words, not one string: [%r]" % (argv,))
    words = [word(w, "an argument") for w in argv]
    if not words:
        raise ValueError("argv must have at least one word")
    return words


def environ_of(env: Mapping[str, str] | Mapping[bytes, bytes] | None) -> tuple[bytes, int]:
    """The strings, and how many."""
    if env is None:
        return _caller.environment()
    variables = []
    for name, value in env.items():
        key = word(name, "a variable's name")
        if not key or b"=" in key:
            raise ValueError("a variable's name must not be empty and have no '=' in it: %r" % (name,))
        variables.append(key + b"=" + word(value, "a variable"))
    return _strings(variables), len(variables)


def _check_args(argv: bytes, environ: bytes, count: int) -> None:
    if len(argv) + len(environ) > _wire.ARGS_MAX:
        raise _errors.LimitError(errno.E2BIG, "arguments and environment have %d bytes together: 3 MiB at most" % (len(argv) + len(environ)))
    if count > _wire.STRINGS_MAX:
        raise _errors.LimitError(errno.E2BIG, "arguments and variables are %d together: %d at most" % (count, _wire.STRINGS_MAX))


# ---- signals and limits


def signals(numbers: Iterable[int], what: str) -> int:
    """A set: bit n-1 for signal n."""
    mask = 0
    for n in numbers:
        mask |= 1 << (number(int(n), 1, 64, "a signal of " + what) - 1)
    return mask


def _resource(name: int | str) -> int:
    if isinstance(name, str):
        import resource
        found = getattr(resource, "RLIMIT_" + name.upper().removeprefix("RLIMIT_"), None)
        if found is None:
            raise ValueError("there is no resource limit %r" % name)
        name = int(found)
    return number(name, 0, 15, "a resource limit's number")


def _amount(value: int | None) -> int:
    return U64_MAX if value is None or value == -1 else number(value, 0, U64_MAX, "a resource limit")


def rlimits_of(limits: Mapping[int, Limit] | Mapping[str, Limit]) -> bytes:
    parts = []
    for name, limit in limits.items():
        soft, hard = limit if isinstance(limit, (tuple, list)) else (limit, limit)
        soft, hard = _amount(soft), _amount(hard)
        if soft > hard:
            raise ValueError("resource limit %s: the soft limit %d is over the hard one, %d" % (name, soft, hard))
        parts.append(b"".join((_resource(name).to_bytes(4, "big"), bytes(4), soft.to_bytes(8, "big"), hard.to_bytes(8, "big"))))
    if len(parts) > _wire.RLIMITS_MAX:
        raise ValueError("%d resource limits: %d at most" % (len(parts), _wire.RLIMITS_MAX))
    return b"".join(parts)


# ---- fds


def fdmap_of(fds: Mapping[int, int]) -> tuple[bytes, list[int]]:
    """{target: fd} as FDMAP, and the fds to be sent: one that is mapped to several numbers travels once."""
    if len(fds) > _wire.MAPPED_FDS_MAX:
        raise _errors.LimitError(errno.E2BIG, "%d file descriptors: a worker can be given %d at most" % (len(fds), _wire.MAPPED_FDS_MAX))
    index: dict[int, int] = {}
    parts = []
    for target, fd in fds.items():
        number(target, 0, _wire.TARGET_FD_MAX, "a file descriptor's number in the worker")
        parts.append(index.setdefault(fd, len(index)).to_bytes(4, "big") + target.to_bytes(4, "big"))
    return b"".join(parts), list(index)


# ---- all of it


class Spec:
    """body: the attributes of SPAWN. fds: what travels with it, borrowed. program, cwd: for texts."""

    __slots__ = ("body", "fds", "program", "cwd")

    def __init__(self, argv: Sequence[Word], fds: Mapping[int, int], *, program: Word | None = None,
                 env: Mapping[str, str] | Mapping[bytes, bytes] | None = None, cwd: Word | None = None, umask: int | None = None,
                 rlimits: Mapping[int, Limit] | Mapping[str, Limit] | None = None, nice: int | None = None, oom_score_adj: int | None = None,
                 blocked_signals: Iterable[int] = (), ignored_signals: Iterable[int] = (), time_limit: float | None = None,
                 grace: float | None = None, name: str | None = None, memory_max: int | None = None, tasks_max: int | None = None,
                 cpu_weight: int | None = None, detached: bool = False, process_group: bool = False, no_new_privs: bool = False,
                 own_cgroup: bool = False, report: str | None = "exec", pidfd: bool = True, zygote: str | None = None, derived: bool = False,
                 controlling_terminal: bool = False, cgroup: int | None = None, gate: int | None = None, hand_over: bool = False,
                 slot_wait: float | None = None) -> None:
        words = argv_of(argv)
        argv_bytes, (environ_bytes, count) = _strings(words), environ_of(env)
        _check_args(argv_bytes, environ_bytes, len(words) + count)
        folder = _folder(cwd)
        fdmap, self.fds = fdmap_of(fds)
        parts = [_wire.put(_A["argv"], argv_bytes), _wire.put_str(_A["cwd"], folder),
                 _wire.put_u32(_A["umask"], _caller.umask() if umask is None else number(umask, 0, 0o777, "umask")),
                 _wire.put_u32(_A["flags"], _flags(detached, process_group, no_new_privs, own_cgroup, derived, controlling_terminal, hand_over,
                                                   report, pidfd))]
        if environ_bytes:
            parts.append(_wire.put(_A["environ"], environ_bytes))
        if fdmap:
            parts.append(_wire.put(_A["fdmap"], fdmap))
        if program is not None:
            parts.append(_wire.put_str(_A["program"], path(program, "program")))
        if rlimits:
            parts.append(_wire.put(_A["rlimits"], rlimits_of(rlimits)))
        parts += _numbers(nice, oom_score_adj, memory_max, tasks_max, cpu_weight)
        parts += _times(time_limit, grace)
        if slot_wait is not None:
            parts.append(_wire.put_u64(_A["slot_wait"], U64_MAX if slot_wait == math.inf else microseconds(slot_wait, "slot_wait")))
        parts += _names(name, zygote)
        for key, fd in (("into_cgroup", cgroup), ("gate", gate)):
            if fd is not None:
                # A server that does not know them must not start the worker without.
                parts.append(_wire.put_u32(_A[key] | _wire.REQUIRED, len(self.fds)))
                self.fds.append(fd)
        for key, numbers in (("blocked", blocked_signals), ("ignored", ignored_signals)):
            if numbers:
                parts.append(_wire.put_u64(_A[key], signals(numbers, key + "_signals")))
        self.body = b"".join(parts)
        self.program = os.fsdecode(program) if program is not None else os.fsdecode(words[0])
        self.cwd = os.fsdecode(folder)


def _folder(cwd: Word | None) -> bytes:
    """An absolute path: the server has another working directory than its client."""
    if cwd is None:
        return os.fsencode(_caller.folder())
    folder = path(cwd, "cwd")
    return folder if folder.startswith(b"/") else path(os.path.join(os.fsencode(_caller.folder()), folder), "cwd")


def _flags(detached: bool, process_group: bool, no_new_privs: bool, own_cgroup: bool, derived: bool, controlling_terminal: bool, hand_over: bool,
           report: str | None, pidfd: bool) -> int:
    if report not in _REPORTS:
        raise ValueError('report must be "exec", "start" or None, not %r' % (report,))
    flags = _REPORTS[report]
    if pidfd and flags:
        flags |= _wire.PIDFD
    for wanted, flag in ((detached, _wire.DETACHED), (process_group, _wire.PROCESS_GROUP), (no_new_privs, _wire.NO_NEW_PRIVS),
                         (own_cgroup, _wire.OWN_CGROUP), (derived, _wire.DERIVED), (controlling_terminal, _wire.CONTROLLING_TERMINAL),
                         (hand_over, _wire.HAND_OVER)):
        if wanted:
            flags |= flag
    return flags


def _numbers(nice: int | None, oom_score_adj: int | None, memory_max: int | None, tasks_max: int | None,
             cpu_weight: int | None) -> list[bytes]:
    parts = []
    if nice is not None:
        parts.append(_wire.put_u32(_A["nice"], number(nice, -20, 19, "nice")))
    if oom_score_adj is not None:
        parts.append(_wire.put_u32(_A["oom_score_adj"], number(oom_score_adj, -1000, 1000, "oom_score_adj")))
    for name, value, most in (("memory_max", memory_max, U64_MAX), ("tasks_max", tasks_max, U64_MAX), ("cpu_weight", cpu_weight, 10000)):
        if value is not None:
            parts.append(_wire.put_u64(_A[name], number(value, 1, most, name)))
    return parts


def _times(time_limit: float | None, grace: float | None) -> list[bytes]:
    return [_wire.put_u64(_A[name], microseconds(value, name)) for name, value in (("time_limit", time_limit), ("grace", grace))
            if value is not None and value != math.inf]


def patience(slot_wait: float | None, timeout: float | None) -> float | None:
    """How long the server may keep the request: no longer than somebody waits for its answer."""
    if slot_wait is None or timeout is None or slot_wait <= timeout:
        return slot_wait
    return timeout if timeout > 0 else None


def _names(name: str | None, zygote: str | None) -> list[bytes]:
    parts = []
    if name is not None:
        parts.append(_wire.put_str(_A["name"], name_of(name, "name")))
    if zygote is not None:
        # A server without zygotes must not exec what was meant for one.
        parts.append(_wire.put_str(_A["zygote"] | _wire.REQUIRED, name_of(zygote, "zygote")))
    return parts


def attach_body(worker: int | str) -> bytes:
    """Of a WAIT: for an id or a name."""
    if isinstance(worker, int):
        return _wire.put_u64(_A["worker"], number(worker, 1, U64_MAX, "a worker's id"))
    return _wire.put_str(_A["name"], name_of(worker, "a worker's name"))


def name_of(name: str, what: str) -> bytes:
    data = word(name, what)
    if not 0 < len(data) <= _wire.NAME_MAX or not _UNQUOTED.isdisjoint(data):
        raise ValueError("%s must have 1 to %d bytes and no control characters: %r" % (what, _wire.NAME_MAX, name))
    return data
