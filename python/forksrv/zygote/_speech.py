# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a zygote and its children say, and what they hear: messages of forksrv-zygote(7), one datagram each. Bytes in, bytes out; it knows no
sockets but to send on one."""
import array
import os
import socket
import struct

READY, UNREADY, FORKED, UNFORKED, ENDED, REAPED, BORN, SPARES = range(0x201, 0x209)
FORK = 0x301

(A_VERSION, A_SOFTWARE, A_PID, A_NAME, A_ERRNO, A_STAGE, A_TEXT) = (0x01, 0x02, 0x06, 0x07, 0x08, 0x09, 0x0A)
(A_ARGV, A_ENVIRON, A_CWD, A_FDMAP, A_UMASK, A_RLIMITS, A_NICE) = (0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17)
A_VALUE = 0x0D
(A_FLAGS, A_BLOCKED, A_IGNORED, A_END, A_RUSAGE) = (0x19, 0x1A, 0x1B, 0x24, 0x25)
(A_SPARES, A_KIND, A_LARGE, A_CGROUP, A_CHANNEL, A_GATE) = (0x2C, 0x2D, 0x2E, 0x2F, 0x30, 0x32)
REQUIRED = 0x8000

PROGRAM, DERIVED, CPYTHON = range(3)
PROCESS_GROUP, NO_NEW_PRIVS, CONTROLLING_TERMINAL, HAND_OVER = 2, 4, 0x20, 0x40

# Stages of FAILED that a zygote's child can name.
(S_REQUEST, S_CGROUP, S_CLONE, S_SIGNALS, S_SESSION, S_FDS, S_CWD, S_RLIMIT, S_NICE) = (1, 3, 4, 5, 6, 7, 8, 9, 10)
(S_PRIVILEGES, S_ZYGOTE) = (12, 14)
STAGE_NAMES = {S_REQUEST: "request", S_CGROUP: "cgroup", S_CLONE: "clone", S_SIGNALS: "signals", S_SESSION: "session", S_FDS: "fds",
               S_CWD: "cwd", S_RLIMIT: "rlimit", S_NICE: "nice", S_PRIVILEGES: "privileges", S_ZYGOTE: "zygote"}

EXITED, KILLED, DUMPED = 1, 2, 3

DATAGRAM = 33 * 1024  # the longest that is sent to us
TEXT = 4095  # bytes of a text

_header = struct.Struct(">HHI")
_attribute = struct.Struct(">HHI")
_u32 = struct.Struct(">HHII")
_u64 = struct.Struct(">HHIQ")
_forked = struct.Struct(">HHI HHII HHII")
_ended = struct.Struct(">HHI HHII HHIIIII")
_usage = struct.Struct(">9Q")


def _text(number, text):
    """The end of a text that is too long: an exception's last lines say most."""
    data = text.encode("utf-8", "replace").replace(b"\0", b"?")
    if len(data) > TEXT:
        data = "…".encode() + data[len(data) - TEXT + 3:].decode("utf-8", "ignore").encode()
    data += b"\0"
    return _attribute.pack(number, 0, len(data)) + data + b"\0" * (-len(data) % 4)


def ready(software, trouble):
    message = _header.pack(READY, 0, 0) + _u32.pack(A_VERSION, 0, 4, 1) + _text(A_SOFTWARE, software)
    return message + _text(A_TEXT, trouble) if trouble else message


def unready(text):
    return _header.pack(UNREADY, 0, 0) + _u32.pack(A_ERRNO, 0, 4, 5) + _text(A_TEXT, text)


def forked(serial, pid, was_spare):
    return _forked.pack(FORKED, 1, serial, A_PID, 0, 4, pid, A_SPARES, 0, 4, was_spare)


def born(pid, name):
    return _header.pack(BORN, 2, 0) + _u32.pack(A_PID, 0, 4, pid) + _text(A_NAME, name[:60])


def unforked(serial, stage, errno, what):
    text = "%s: %s" % (STAGE_NAMES[stage], what)
    return _header.pack(UNFORKED, 0, serial) + _u32.pack(A_STAGE, 0, 4, stage) + _u32.pack(A_ERRNO, 0, 4, errno or 5) + _text(A_TEXT, text)


def ended(pid, kind, value, rusage=None):
    message = _ended.pack(ENDED, 0, 0, A_PID, 0, 4, pid, A_END, 0, 16, kind, value, 0, 0)
    return message if rusage is None else message + usage(rusage)


def usage(rusage):
    """As an attribute; from what os.wait4 gives."""
    return _attribute.pack(A_RUSAGE, 0, 72) + _usage.pack(
        int(rusage.ru_utime * 1e6), int(rusage.ru_stime * 1e6), rusage.ru_maxrss, rusage.ru_minflt, rusage.ru_majflt, rusage.ru_inblock,
        rusage.ru_oublock, rusage.ru_nvcsw, rusage.ru_nivcsw)


def reaped(pid, rusage):
    return _header.pack(REAPED, 0, 0) + _u32.pack(A_PID, 0, 4, pid) + usage(rusage)


def spares(n, taken):
    return _header.pack(SPARES, 0, 0) + _u32.pack(A_SPARES, 0, 4, n) + _u64.pack(A_VALUE, 0, 8, taken)


def send(sock, message, *fds):
    """Waits for room; a server that is gone raises."""
    if fds:
        sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
    else:
        sock.send(message)


class Request:
    """FORK, as it came. Which attributes there are; their values are taken apart by who needs them."""

    __slots__ = ("serial", "values", "fds")

    def __init__(self, data, fds):
        type_, flags, self.serial = _header.unpack_from(data)
        if type_ != FORK or flags & 0xFF != len(fds):
            raise ValueError("not a FORK message, or its file descriptors do not match")
        self.fds = fds
        self.values = values = {}
        at, end = 8, len(data)
        while at < end:
            number, _, size = _attribute.unpack_from(data, at)
            values[number & ~REQUIRED] = data[at + 8:at + 8 + size]
            at += 8 + (size + 3 & ~3)

    def number(self, attribute, otherwise=0):
        value = self.values.get(attribute)
        return otherwise if value is None else int.from_bytes(value, "big")

    def signed(self, attribute):
        return int.from_bytes(self.values[attribute], "big", signed=True)

    def fd(self, attribute):
        index = self.number(attribute, -1)
        if not 0 <= index < len(self.fds):
            raise ValueError("a file descriptor is missing")
        return self.fds[index]

    def strings(self, attribute):
        value = self.values.get(attribute)
        return value.split(b"\0")[:-1] if value else []

    def whole(self):
        """One that did not fit into its datagram is in a file."""
        if A_LARGE not in self.values:
            return self
        fd = self.fd(A_LARGE)
        return Request(os.pread(fd, os.fstat(fd).st_size, 0), self.fds)


_room_for_fds = socket.CMSG_SPACE(253 * 4)


def receive(sock, flags=0):
    """The next message and its fds, close-on-exec; (b"", []) if the server is done with us."""
    data, control, _, _ = sock.recvmsg(DATAGRAM, _room_for_fds, flags | socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _, _, value in control:
        fds.frombytes(value)
    return data, fds.tolist()
