# SPDX-License-Identifier: LGPL-2.1-or-later
"""From an address to a socket with somebody trustworthy behind it, and the handshake on it. Who made the listener is looked at before a
byte is sent: whoever answers a challenge for somebody it does not know can be used as an oracle. No fd is received in here."""
from __future__ import annotations

import errno
import os
import select
import socket
import struct

from . import _errors, _find, _handshake
from ._deadline import left, poll_timeout
from ._stdio import above_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NOBODY_THERE = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR)
RECEIVE = 4 * (4 + _handshake.FRAME_MAX)


class Target:
    """What connect() was asked for, checked."""

    def __init__(self, address: str | bytes | os.PathLike[str] | None, user: str | None, authkey: bytes | bytearray | memoryview | None,
                 authkey_file: str | os.PathLike[str] | None, private: bool) -> None:
        if private and any(value is not None for value in (address, user, authkey, authkey_file)):
            raise ValueError("a private instance has an address and a key of its own: neither can be given")
        self.address = _find.check_address(address) if address is not None else None
        self.user = _find.check_user(user) if user is not None else None
        if authkey is not None:
            _find.check_key(authkey)
        self.authkey = authkey
        self.authkey_file = os.fspath(authkey_file) if authkey_file is not None else None


# ---- the connection


def new_socket() -> socket.socket:
    fd = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC).detach()
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=above_standard(fd))


def connect_path(path: str, deadline: float | None) -> socket.socket:
    """Raises OSError; TimeoutError where the backlog stays full."""
    sock = new_socket()
    try:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:
            sock.setblocking(True)
            _connect_waiting(sock, path, deadline)
        sock.setblocking(True)
        return sock
    except BaseException:
        sock.close()
        raise


def _connect_waiting(sock: socket.socket, path: str, deadline: float | None) -> None:
    """A full backlog: poll cannot wait for a place in it, but a blocking connect with a time limit does. Everything later on this socket
    says MSG_DONTWAIT itself."""
    while True:
        seconds = left(deadline)
        if seconds is not None and seconds == 0:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        microseconds = 0 if seconds is None else max(int(min(seconds, 86400) * 1e6), 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", microseconds // 1000000, microseconds % 1000000))
        try:
            sock.connect(path)
            # A connect that a signal interrupted looks like one that is done.
            sock.getpeername()
            return
        except (BlockingIOError, InterruptedError):
            continue
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise


def _check_listener(sock: socket.socket, candidate: _find.Candidate) -> None:
    _, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if uid == 0 or (not candidate.system and uid == os.geteuid()):
        return
    raise _errors.UntrustedListenerError(
        errno.EPERM, "%s: the socket was made by uid %d, neither by root%s: nothing was sent to it"
        % (candidate.path, uid, "" if candidate.system else " nor by this program's user"))


def _no_instance(tried: list[tuple[str, int]]) -> NoReturn:
    words = "; ".join("%s: %s" % (path, os.strerror(number)) for path, number in tried)
    number = errno.ECONNREFUSED if any(n == errno.ECONNREFUSED for _, n in tried) else errno.ENOENT
    raise _errors.NoInstanceError(number, "no instance of forksrv answers (%s). Is forksrv.socket or forksrv@USER.socket started?"
                                  % (words or "XDG_RUNTIME_DIR is not set, and this uid has no name"))


def reach(target: Target, deadline: float | None) -> tuple[socket.socket, str, bytearray]:
    """Connected to somebody who may be trusted: the socket, what it is connected to, and the key. BlockingIOError: with a deadline that is
    over already, the backlog is full."""
    tried = []
    for candidate in _find.candidates(target.address, target.user):
        try:
            sock = connect_path(candidate.path, deadline)
        except OSError as error:
            if error.errno in NOBODY_THERE:
                tried.append((candidate.path, error.errno))
                continue
            cls = _errors.TimeoutExpired if isinstance(error, TimeoutError) else _errors.Error
            raise cls(error.errno, "cannot connect to %s: %s" % (candidate.path, _errors.os_text(error))) from None
        try:
            _check_listener(sock, candidate)
            return sock, candidate.path, _find.load_key(target.authkey, target.authkey_file, target.user, candidate.system)
        except BaseException:
            sock.close()
            raise
    _no_instance(tried)


# ---- the handshake


def refused(peer: str, failed: _handshake.Failed) -> _errors.Error:
    """What went wrong in the handshake, for people."""
    if failed.why == _handshake.REFUSED and failed.at_once:
        return _errors.RefusedError(errno.EACCES, "%s takes no connection from us now: it has too many, or is not for this user. "
                                    "Its journal says why" % peer)
    if failed.why == _handshake.REFUSED:
        return _errors.AuthenticationError(errno.EKEYREJECTED, "%s refuses our authkey, or we took too long. Is it the key of this instance?"
                                           % peer)
    if failed.why in (_handshake.WRONG_MAC, _handshake.REFLECTED):
        return _errors.AuthenticationError(errno.EKEYREJECTED, "%s cannot prove that it has our authkey (%s): nothing was told to it"
                                           % (peer, failed.why))
    return _errors.ProtocolError(errno.EPROTO, "%s does not speak the protocol of forksrv: %s" % (peer, failed.why))


def closed(peer: str) -> _errors.Error:
    return _errors.ProtocolError(errno.EPROTO, "%s closed the connection during the handshake. Its journal or standard error may say why" % peer)


def no_answer(peer: str) -> _errors.Error:
    return _errors.timed_out("%s did not answer in time" % peer)


def greet(sock: socket.socket, key: bytearray, peer: str, deadline: float | None) -> None:
    """All of the handshake but our last word."""
    handshake = _handshake.Handshake(key)
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while not handshake.done:
        if not poll.poll(poll_timeout(deadline)):
            if left(deadline) == 0:
                raise no_answer(peer)
            continue
        step(sock, handshake, peer)


def step(sock: socket.socket, handshake: _handshake.Handshake, peer: str) -> None:
    """One read and what follows from it. What is sent are some hundred bytes into a socket with nothing in it."""
    try:
        data = sock.recv(RECEIVE, socket.MSG_DONTWAIT)
        if not data:
            raise closed(peer)
        out = handshake.feed(data)
        if out:
            sock.send(out, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except _handshake.Failed as failed:
        # The peer is to know why, but need not be there any more.
        try:
            if failed.last_word:
                sock.send(failed.last_word, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            pass
        raise refused(peer, failed) from None
    except BlockingIOError:
        pass
    except (ConnectionResetError, BrokenPipeError):
        raise closed(peer) from None
