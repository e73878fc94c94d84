# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the server tells, as values: how a worker ended, a line of a list, an event. They know nothing of the session that they came by.
They are no dataclasses, since importing those would take longer than all else here together."""
from __future__ import annotations

from . import _wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MICRO = 1e-6


class Record:
    """Named values that are compared and shown as a dataclass's are."""

    __slots__: tuple[str, ...] | dict[str, str] = ()

    def __init__(self, *values: object) -> None:
        for name, value in zip(self.__slots__, values, strict=True):
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """All values by their names; a record inside of this one as a dict, too."""
        values = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value.as_dict() if isinstance(value, Record) else value for name, value in values}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % (name, getattr(self, name)) for name in self.__slots__))


class End(Record):
    """How a worker ended. Times are seconds, sizes KiB. One with neither a code nor a signal has ended in a way that nobody knows: its zygote
    has not told it."""

    __slots__ = {
        "code": "The exit code, 0 to 255; None if a signal ended it.",
        "signal": "The number of the signal that ended it, or None.",
        "core_dumped": "Whether it dumped core.",
        "reason": 'Why: "exited", "signalled", "time-limit", "session-ended" or "stopped" (the instance was).',
        "wall": "From its start to its end.",
        "user_time": "Processor time of its own.",
        "system_time": "Processor time of the kernel for it.",
        "max_rss": "The most memory that it had at once.",
        "minor_faults": "", "major_faults": "", "blocks_in": "", "blocks_out": "", "voluntary_switches": "", "involuntary_switches": "",
    }
    code: int | None
    signal: int | None
    core_dumped: bool
    reason: str
    wall: float
    user_time: float
    system_time: float
    max_rss: int
    minor_faults: int
    major_faults: int
    blocks_in: int
    blocks_out: int
    voluntary_switches: int
    involuntary_switches: int

    @property
    def returncode(self) -> int | None:
        """As subprocess has it: the exit code, or the negative number of the signal. None: nobody knows."""
        return self.code if self.code is not None else -self.signal if self.signal is not None else None


class WorkerInfo(Record):
    """One worker as list() and events tell it."""

    __slots__ = {
        "id": "The worker's id.",
        "pid": "Its process id; 0 if it has none.",
        "name": 'What spawn() named it; "" if it has no name.',
        "program": "What it executes.",
        "zygote": 'The name of the zygote that forked it; "" if it was executed.',
        "running": "Whether it runs.",
        "detached": "As spawn() was told.", "process_group": "As spawn() was told.", "no_new_privs": "As spawn() was told.",
        "own_cgroup": "As spawn() was told.", "controlling_terminal": "As spawn() was told.",
        "session": "Number of the session that started it; None: it is gone.",
        "started_at": "When it was started, as time.time() has it.",
        "wall": "Seconds since its start, or from its start to its end.",
        "end": "How it ended, an End; None: it has not.",
    }
    id: int
    pid: int
    name: str
    program: str
    zygote: str
    running: bool
    detached: bool
    process_group: bool
    no_new_privs: bool
    own_cgroup: bool
    controlling_terminal: bool
    session: int | None
    started_at: float
    wall: float
    end: End | None


class Event(Record):
    """What happened to some worker of the instance; see watch()."""

    __slots__ = {
        "kind": '"started", "failed", "ended", or "lost": this reader was too slow, and `count` events are missing.',
        "worker": 'The WorkerInfo; None for "lost".',
        "error": 'The SpawnError of "failed", otherwise None.',
        "count": 'How many events are missing, for "lost"; otherwise 0.',
    }
    kind: str
    worker: WorkerInfo | None
    error: Exception | None
    count: int


class Hello(Record):
    """Who answers at the other end."""

    __slots__ = {
        "protocol": "The version of its protocol.",
        "software": 'Its name and version: "forksrv 0.1.0".',
        "features": 'A frozenset of "exec", "cgroups", "memory", "tasks", "cpu", "zygotes"; what a newer server has besides is not listed.',
    }
    protocol: int
    software: str
    features: frozenset[str]


FEATURES = ("exec", "cgroups", "memory", "tasks", "cpu", "zygotes")
REASONS = ("unknown", "exited", "signalled", "time-limit", "session-ended", "stopped", "handed-over")
KINDS = ("", "started", "failed", "ended", "lost")


def end(fields: dict[str, Any]) -> End:
    """From END, RUSAGE and WALL. What is missing is 0."""
    kind, value, reason = fields.get("end", (_wire.END_EXITED, 0, 0))
    usage = (*fields.get("rusage", ()), *(0,) * 9)
    code = value & 0xFF if kind == _wire.END_EXITED else None
    signal = value & 0x7F if kind in (_wire.END_KILLED, _wire.END_DUMPED) else None
    return End(code, signal, kind == _wire.END_DUMPED,
               REASONS[reason] if reason < len(REASONS) else REASONS[0], fields.get("wall", 0) * MICRO, usage[0] * MICRO, usage[1] * MICRO,
               *usage[2:9])


def info(fields: dict[str, Any]) -> WorkerInfo:
    flags = fields.get("flags", 0)
    ended = "end" in fields
    return WorkerInfo(fields.get("worker", 0), fields.get("pid", 0), fields.get("name", ""), fields.get("program", ""), fields.get("zygote", ""),
                      not ended,
                      bool(flags & _wire.DETACHED), bool(flags & _wire.PROCESS_GROUP), bool(flags & _wire.NO_NEW_PRIVS),
                      bool(flags & _wire.OWN_CGROUP), bool(flags & _wire.CONTROLLING_TERMINAL), fields.get("session"),
                      fields.get("started_at", 0) * MICRO, fields.get("wall", 0) * MICRO, end(fields) if ended else None)


def hello(fields: dict[str, Any]) -> Hello:
    bits = fields.get("features", 0)
    return Hello(fields.get("version", 0), fields.get("software", ""), frozenset(f for i, f in enumerate(FEATURES) if bits >> i & 1))


def counters(records: list[dict[str, Any]]) -> dict[str, int | str]:
    """KEY and VALUE or TEXT of each record."""
    return {r["key"]: r["text"] if "text" in r else r.get("value", 0) for r in records if "key" in r}
