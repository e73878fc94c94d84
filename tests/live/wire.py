# SPDX-License-Identifier: LGPL-2.1-or-later
"""The protocol of forksrv a second time, written from docs/PROTOCOL.md and not from the C code: if both understand each other, the
document is right. It is a client that can also be told to do everything wrong."""
import array
import hmac
import os
import socket
import struct

WELCOME, FAILURE, CHALLENGE = b"#WELCOME#", b"#FAILURE#", b"#CHALLENGE#"

HELLO, SPAWN, SIGNAL, LIST, STATUS, WATCH, ZYGOTE, BYE, WAIT = range(1, 10)
HELLO_REPLY, STARTED, FAILED, EXITED, LISTED, STATUS_REPLY, EVENT, ERROR, DONE, ZYGOTES = range(0x101, 0x10B)
ZYGOTE_LIST, ZYGOTE_WARM, ZYGOTE_STOP, ZYGOTE_RELOAD = range(1, 5)

MORE = 0x100
REQUIRED = 0x8000
DETACHED, PROCESS_GROUP, NO_NEW_PRIVS, OWN_CGROUP = 1, 2, 4, 8
CONTROLLING_TERMINAL, HAND_OVER = 0x20, 0x40
REPORT_STARTED, REPORT_EXECED, PIDFD = 1 << 8, 1 << 9, 1 << 10

# name: (number, kind)
ATTRIBUTES = {
    "version": (0x01, "u32"), "software": (0x02, "str"), "features": (0x03, "u64"), "worker": (0x05, "u64"), "pid": (0x06, "u32"),
    "name": (0x07, "str"), "errno": (0x08, "u32"), "stage": (0x09, "u32"), "text": (0x0A, "str"), "record": (0x0B, "tree"),
    "key": (0x0C, "str"), "value": (0x0D, "u64"), "event": (0x0E, "u32"), "program": (0x10, "str"), "argv": (0x11, "strs"),
    "environ": (0x12, "strs"), "cwd": (0x13, "str"), "fdmap": (0x14, "pairs"), "umask": (0x15, "u32"), "rlimits": (0x16, "rlimits"),
    "nice": (0x17, "i32"), "oom_score_adj": (0x18, "i32"), "flags": (0x19, "u32"), "blocked": (0x1A, "u64"), "ignored": (0x1B, "u64"),
    "time_limit": (0x1C, "u64"), "grace": (0x1D, "u64"), "memory_max": (0x1E, "u64"), "tasks_max": (0x1F, "u64"),
    "cpu_weight": (0x20, "u64"), "signo": (0x22, "u32"), "signal_flags": (0x23, "u32"), "end": (0x24, "end"), "rusage": (0x25, "u64s"),
    "wall": (0x26, "u64"), "started_at": (0x27, "u64"), "session": (0x28, "u64"), "enable": (0x29, "u32"), "zygote": (0x2A, "str"), "action": (0x2B, "u32"),
    "into_cgroup": (0x31, "u32"), "gate": (0x32, "u32"), "slot_wait": (0x33, "u64"), "job": (0x34, "bytes"), "again": (0x35, "u64"),
}
NAMES = {number: (name, kind) for name, (number, kind) in ATTRIBUTES.items()}


def frame(payload):
    return struct.pack(">i", len(payload)) + payload


def to_bytes(s):
    return s if isinstance(s, bytes) else os.fsencode(s)


def encode(kind, value):
    if kind in ("u32", "i32"):
        return struct.pack(">I", value & 0xFFFFFFFF)
    if kind == "u64":
        return struct.pack(">Q", value)
    if kind == "bytes":
        return value
    if kind == "str":
        return to_bytes(value) + b"\0"
    if kind == "strs":
        return b"".join(to_bytes(s) + b"\0" for s in value)
    if kind == "pairs":
        return b"".join(struct.pack(">II", *pair) for pair in value)
    if kind == "rlimits":
        return b"".join(struct.pack(">IIQQ", resource, 0, soft, hard) for resource, soft, hard in value)
    raise ValueError(kind)


def decode(kind, value):
    if kind == "u32":
        return struct.unpack(">I", value)[0]
    if kind == "i32":
        return struct.unpack(">i", value)[0]
    if kind == "u64":
        return struct.unpack(">Q", value)[0]
    if kind == "u64s":
        return struct.unpack(">%dQ" % (len(value) // 8), value)
    if kind == "end":
        return struct.unpack(">IIII", value)[:3]
    if kind == "str":
        assert value[-1:] == b"\0" and b"\0" not in value[:-1]
        return os.fsdecode(value[:-1])
    if kind == "tree":
        return attributes(value)
    raise ValueError(kind)


def attribute(number, value):
    return struct.pack(">HHI", number, 0, len(value)) + value + b"\0" * (-len(value) % 4)


def attributes(data):
    found = {}
    while data:
        number, zero, length = struct.unpack(">HHI", data[:8])
        padded = length + (-length % 4)
        assert zero == 0 and len(data) >= 8 + padded and not data[8 + length:8 + padded].strip(b"\0")
        name, kind = NAMES[number & ~REQUIRED]
        value = decode(kind, data[8:8 + length])
        if name == "record":
            found.setdefault("records", []).append(value)
        else:
            assert name not in found
            found[name] = value
        data = data[8 + padded:]
    return found


def message(type_, serial, n_fds=0, **fields):
    """A whole frame. A field is an attribute's name; raw={number: bytes} adds any attribute at all."""
    raw = fields.pop("raw", {})
    body = b"".join(attribute(ATTRIBUTES[name][0], encode(ATTRIBUTES[name][1], value)) for name, value in fields.items())
    body += b"".join(attribute(number, value) for number, value in raw.items())
    return frame(struct.pack(">HHI", type_, n_fds, serial) + body)


class Closed(Exception):
    pass


class Message:
    def __init__(self, payload, fds_of):
        self.type, self.flags, self.serial = struct.unpack(">HHI", payload[:8])
        self.fields = attributes(payload[8:])
        self.fds = fds_of(self.flags & 0xFF)

    def __getattr__(self, name):
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self):
        return "Message(%#x, flags %#x, serial %d, %r)" % (self.type, self.flags, self.serial, self.fields)


class Peer:
    """A connection, byte by byte."""

    def __init__(self, address, timeout=30):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(address)
        self.buffer = b""
        self.fds = []
        self.serial = 0

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- bytes and frames

    def send(self, data, fds=()):
        if not fds:
            self.sock.sendall(data)
            return
        n = self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
        if n < len(data):
            self.sock.sendall(data[n:])

    def fill(self):
        data, control, flags, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
        assert not flags & socket.MSG_CTRUNC
        for level, type_, value in control:
            assert (level, type_) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            got = array.array("i")
            got.frombytes(value)
            self.fds.extend(got)
        if not data:
            raise Closed
        self.buffer += data

    def read_frame(self):
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">i", self.buffer[:4])[0]:
            self.fill()
        length = struct.unpack(">i", self.buffer[:4])[0]
        payload, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
        return payload

    def take_fds(self, n):
        assert len(self.fds) >= n
        taken, self.fds = self.fds[:n], self.fds[n:]
        return taken

    def read(self):
        return Message(self.read_frame(), self.take_fds)

    def read_to_end(self):
        """Everything until the other side closes, as a list of frames; a reset is an end, too."""
        frames = []
        try:
            while True:
                frames.append(self.read_frame())
        except (Closed, ConnectionResetError):
            return frames

    # ---- the handshake

    def read_challenge(self):
        challenge = self.read_frame()
        assert challenge.startswith(CHALLENGE + b"{sha256}") and len(challenge) == 11 + 8 + 40, challenge
        return challenge[len(CHALLENGE):]

    @staticmethod
    def answer(key, challenge, digest="sha256"):
        return b"{%s}" % digest.encode() + hmac.new(key, challenge, digest).digest()

    def handshake(self, key, digest="sha256"):
        challenge = self.read_challenge()
        mine = b"{%s}" % digest.encode() + os.urandom(40)
        self.send(frame(self.answer(key, challenge, digest)) + frame(CHALLENGE + mine))
        word = self.read_frame()
        if word != WELCOME:
            raise PermissionError(word)
        assert hmac.compare_digest(self.read_frame(), self.answer(key, mine, digest))
        self.send(frame(WELCOME))
        return self

    # ---- requests

    def next_serial(self):
        self.serial += 1
        return self.serial

    def request(self, type_, fds=(), **fields):
        serial = self.next_serial()
        self.send(message(type_, serial, len(fds), **fields), fds)
        return serial

    def ask(self, type_, fds=(), **fields):
        """One request and its one answer."""
        serial = self.request(type_, fds, **fields)
        reply = self.read()
        assert reply.serial == serial, reply
        return reply

    def status(self):
        reply = self.ask(STATUS)
        return {r["key"]: r.get("value", r.get("text")) for r in reply.records}

    def zygotes(self, name=None):
        """{name: {key: value}}, of one or of all."""
        fields = {"zygote": name} if name else {}
        reply, found = self.ask(ZYGOTE, action=ZYGOTE_LIST, **fields), {}
        while reply.type == ZYGOTES:
            for r in reply.fields.get("records", []):
                found.setdefault(r["zygote"], {})[r["key"]] = r.get("value", r.get("text"))
            if not reply.flags & MORE:
                return found
            reply = self.read()
        raise RuntimeError(reply)

    def run(self, *argv, fds=(), **fields):
        """A worker from its start to its end: EXITED or FAILED."""
        return self.ask(SPAWN, fds, argv=argv, **fields)


def connect(address, key, **options):
    return Peer(address, **options).handshake(key)
