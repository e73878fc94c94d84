# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages as bytes: framing, attributes, and the numbers of docs/PROTOCOL.md. Two tables say which attribute is what, and which message
may have which. It does no I/O, keeps no state but half frames, and does not know what a message means."""
from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator

VERSION = 1
FRAME_MAX = 4 * 1024 * 1024
ARGS_MAX = 3 * 1024 * 1024
STRINGS_MAX = 65536
PATH_MAX = 4096
NAME_MAX = 64
MAPPED_FDS_MAX = 250
SENDMSG_FDS_MAX = 253
TARGET_FD_MAX = 1023
RLIMITS_MAX = 16

# client → server
HELLO, SPAWN, SIGNAL, LIST, STATUS, WATCH, ZYGOTE, BYE, WAIT = range(0x0001, 0x000A)
# server → client
HELLO_REPLY, STARTED, FAILED, EXITED, LISTED, STATUS_REPLY, EVENT, ERROR, DONE, ZYGOTES = range(0x0101, 0x010B)

# Flags of a message; the low byte is the number of fds that belong to it.
FDS, MORE = 0x00FF, 0x0100
# Set on an attribute's number by its sender: who does not know it fails the request instead of skipping it.
REQUIRED = 0x8000

ATTRIBUTES = {
    "version": 0x01, "software": 0x02, "features": 0x03, "worker": 0x05, "pid": 0x06, "name": 0x07, "errno": 0x08, "stage": 0x09,
    "text": 0x0A, "record": 0x0B, "key": 0x0C, "value": 0x0D, "event": 0x0E, "program": 0x10, "argv": 0x11, "environ": 0x12, "cwd": 0x13,
    "fdmap": 0x14, "umask": 0x15, "rlimits": 0x16, "nice": 0x17, "oom_score_adj": 0x18, "flags": 0x19, "blocked": 0x1A, "ignored": 0x1B,
    "time_limit": 0x1C, "grace": 0x1D, "memory_max": 0x1E, "tasks_max": 0x1F, "cpu_weight": 0x20, "signo": 0x22, "signal_flags": 0x23,
    "end": 0x24, "rusage": 0x25, "wall": 0x26, "started_at": 0x27, "session": 0x28, "enable": 0x29, "zygote": 0x2A, "action": 0x2B,
    "into_cgroup": 0x31, "gate": 0x32, "slot_wait": 0x33, "job": 0x34, "again": 0x35,
}

# SPAWN_FLAGS
DETACHED, PROCESS_GROUP, NO_NEW_PRIVS, OWN_CGROUP, DERIVED = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
CONTROLLING_TERMINAL, HAND_OVER = 1 << 5, 1 << 6
REPORT_STARTED, REPORT_EXECED, PIDFD = 1 << 8, 1 << 9, 1 << 10
# SIGNAL_FLAGS
SIGNAL_GROUP, SIGNAL_ALL = 1 << 0, 1 << 1
# The kinds of END, and of EVENT
END_UNKNOWN, END_EXITED, END_KILLED, END_DUMPED = 0, 1, 2, 3
EVENT_STARTED, EVENT_FAILED, EVENT_ENDED, EVENT_LOST = 1, 2, 3, 4
# The actions of ZYGOTE
ZYGOTE_LIST, ZYGOTE_WARM, ZYGOTE_STOP, ZYGOTE_RELOAD = 1, 2, 3, 4

STAGES = ("none", "request", "limit", "cgroup", "clone", "signals", "session", "fds", "cwd", "rlimit", "nice", "oom-score-adj", "privileges",
          "exec", "zygote")


class Malformed(Exception):
    """The other side breaks the protocol. Never leaves this package: it becomes a ProtocolError or the end of a session."""


# ---- writing

_HEADER = struct.Struct(">iHHI")
_MESSAGE = struct.Struct(">HHI")
_ATTRIBUTE = struct.Struct(">HHI")
_U32 = struct.Struct(">HHII")
_U64 = struct.Struct(">HHIQ")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def put(number: int, value: bytes) -> bytes:
    """An attribute of any kind."""
    size = len(value)
    return b"".join((_ATTRIBUTE.pack(number, 0, size), value, _PADDING[size & 3]))


def put_u32(number: int, value: int) -> bytes:
    return _U32.pack(number, 0, 4, value & 0xFFFFFFFF)


def put_u64(number: int, value: int) -> bytes:
    return _U64.pack(number, 0, 8, value)


def put_str(number: int, value: bytes) -> bytes:
    return put(number, value + b"\0")


def message(type_: int, serial: int, body: bytes = b"", n_fds: int = 0) -> bytes:
    """A whole frame."""
    return _HEADER.pack(8 + len(body), type_, n_fds, serial) + body


# ---- reading


def _u32(value: bytes) -> int:
    if len(value) != 4:
        raise Malformed
    return int.from_bytes(value, "big")


def _u64(value: bytes) -> int:
    if len(value) != 8:
        raise Malformed
    return int.from_bytes(value, "big")


def _string(value: bytes) -> bytes:
    if not value or value.find(0) != len(value) - 1:
        raise Malformed
    return value[:-1]


def _name(value: bytes) -> str:
    return os.fsdecode(_string(value))


def _text(value: bytes) -> str:
    """For people: what is no UTF-8 is shown, and never fails to be printed."""
    return _string(value).decode("utf-8", "backslashreplace")


def _end(value: bytes) -> tuple[int, ...]:
    if len(value) != 16:
        raise Malformed
    return struct.unpack(">III", value[:12])


def _u64s(value: bytes) -> tuple[int, ...]:
    if len(value) % 8:
        raise Malformed
    return struct.unpack(">%dQ" % (len(value) // 8), value)


def _record(value: bytes) -> dict[str, Any]:
    return _attributes(value, 0, _MAY_HAVE[_RECORD])


_DECODERS: dict[str, Callable[[bytes], Any]] = {
    "software": _text, "features": _u64, "worker": _u64, "name": _name, "text": _text, "record": _record, "key": _text, "value": _u64,
    "program": _name, "end": _end, "rusage": _u64s, "wall": _u64, "started_at": _u64, "session": _u64, "zygote": _name,
}
_RECORD = 0
_ONE_WORKER = "worker pid name program flags end rusage wall started_at session zygote"
_FROM_SERVER = {
    HELLO_REPLY: "version software features",
    STARTED: "worker pid",
    FAILED: "worker errno stage text",
    EXITED: "worker end rusage wall",
    LISTED: "record",
    STATUS_REPLY: "record",
    EVENT: _ONE_WORKER + " event errno stage text value",
    ERROR: "errno text",
    DONE: "",
    ZYGOTES: "record",
    _RECORD: _ONE_WORKER + " text key value",
}
_MAY_HAVE = {type_: {ATTRIBUTES[name]: (name, _DECODERS.get(name, _u32)) for name in names.split()} for type_, names in _FROM_SERVER.items()}
_FLAGS = {STARTED: FDS, LISTED: MORE, ZYGOTES: MORE}
_KNOWN = frozenset(ATTRIBUTES.values())


def _attributes(data: bytes, at: int, may_have: dict[int, tuple[str, Callable[[bytes], Any]]]) -> dict[str, Any]:
    """By name; every RECORD in a list called "records". Unknown ones are skipped; known ones must be where they belong."""
    found: dict[str, Any] = {}
    end = len(data)
    while at < end:
        if end - at < 8:
            raise Malformed
        number, zero, size = _ATTRIBUTE.unpack_from(data, at)
        at += 8
        padded = size + (-size & 3)
        if zero != 0 or padded > end - at or data.count(0, at + size, at + padded) != padded - size:
            raise Malformed
        number &= ~REQUIRED
        expected = may_have.get(number)
        if expected is not None:
            name, decode = expected
            value = decode(data[at:at + size])
            if name == "record":
                found.setdefault("records", []).append(value)
            elif name in found:
                raise Malformed
            else:
                found[name] = value
        elif number in _KNOWN:
            raise Malformed
        at += padded
    return found


class Message:
    """A message of the server: its type, flags, serial, and its attributes by name."""

    __slots__ = ("type", "flags", "serial", "fields")

    def __init__(self, payload: bytes) -> None:
        """Malformed: it is none, or has what it must not have."""
        if len(payload) < 8:
            raise Malformed
        self.type: int
        self.flags: int
        self.serial: int
        self.type, self.flags, self.serial = _MESSAGE.unpack_from(payload)
        may_have = _MAY_HAVE.get(self.type) if self.type != _RECORD else None
        if may_have is None or self.flags & ~_FLAGS.get(self.type, 0):
            raise Malformed
        self.fields = _attributes(payload, 8, may_have)

    @property
    def n_fds(self) -> int:
        return self.flags & FDS


class Frames:
    """Cuts a stream into frames: bytes go in as they come, whole payloads come out."""

    __slots__ = ("_rest", "_most")

    def __init__(self, most: int = FRAME_MAX) -> None:
        self._rest = bytearray()
        self._most = most

    def __len__(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Malformed: a length of 0, over the bound, or negative; what came before it has been given out."""
        source: bytes | bytearray = data
        if self._rest:
            self._rest += data
            source = self._rest
        at, end = 0, len(source)
        while end - at >= 4:
            size = int.from_bytes(source[at:at + 4], "big")
            if size == 0 or size > self._most:
                raise Malformed
            if end - at - 4 < size:
                break
            yield bytes(source[at + 4:at + 4 + size])
            at += 4 + size
        if source is data:
            self._rest += data[at:]
        else:
            del self._rest[:at]
