# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way to the instance, for multiprocessing: one session by it, and for those that look for them the address and the key that CPython's own
server has as attributes. The key is looked up when it is asked for; nothing here has it in memory."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from ._client import Session
    from ._private import Door

# A derived zygote has this module, and with it all of its processes: what connects is imported by the program only.


class Way:
    """where: what connect() takes."""

    def __init__(self, private: bool, where: dict[str, Any]) -> None:
        self.private, self.where = private, where
        self.door: Door | None = None

    def connect(self) -> Session:
        if self.private:
            return self._connect_private(**self.where)
        from ._client import connect
        return connect(**self.where)

    def _connect_private(self, address: Any = None, user: Any = None, authkey: Any = None, authkey_file: Any = None,
                         timeout: float | None = 10.0, daemon: Any = None) -> Session:
        from . import _client, _connect, _private
        from ._deadline import deadline_after
        _connect.Target(address, user, authkey, authkey_file, True)
        deadline = deadline_after(timeout)
        parts = _private.Private(os.fspath(daemon) if daemon is not None else None, True)
        self.close()
        self.door = parts.door
        return _client.greet_private(parts, deadline)

    def close(self) -> None:
        door, self.door = self.door, None
        if door is not None:
            door.close()

    def address(self, session: Session) -> str:
        return session.address if self.door is None else self.door.address()

    def key(self, session: Session) -> bytes:
        from . import _find
        if self.door is not None:
            return self.door.key()
        user = self.where.get("user")
        system = any(c.system and c.path == session.address for c in _find.candidates(self.where.get("address"), user))
        key = _find.load_key(self.where.get("authkey"), self.where.get("authkey_file"), user, system)
        try:
            return bytes(key)
        finally:
            _find.erase(key)


def attribute(name: str, look: str) -> property:
    """An attribute of CPython's server: what was set, otherwise what it is."""
    def get(server: Any) -> Any:
        value = server.__dict__.get(name)
        link = server.__dict__.get("_forksrv_link")
        if value is None and link is not None and not server._forksrv_stock:
            value = getattr(server._forksrv_options.way, look)(link.session)
        return value

    def set_(server: Any, value: Any) -> None:
        server.__dict__[name] = value

    def delete(server: Any) -> None:
        server.__dict__[name] = None

    return property(get, set_, delete)


def check(server: Any) -> None:
    """The channel needs no key. A program that sets one, to be refused, is refused as CPython's server does it."""
    own, link = server.__dict__.get("_forkserver_authkey"), server.__dict__.get("_forksrv_link")
    if own is not None and link is not None and own != server._forksrv_options.way.key(link.session):
        from multiprocessing import AuthenticationError
        raise AuthenticationError("digest sent was rejected")
