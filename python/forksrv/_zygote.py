# SPDX-License-Identifier: LGPL-2.1-or-later
"""Zygotes as a client sees them: their state, and what may be asked of them. The workers that they fork are started by spawn(zygote=...)."""
from __future__ import annotations

from . import _wire
from ._records import counters
from ._spec import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
    from ._client import Session


def zygote_body(action: int, name: str | None = None) -> bytes:
    """Of a ZYGOTE message."""
    named = _wire.put_str(_wire.ATTRIBUTES["zygote"], name_of(name, "zygote")) if name is not None else b""
    return named + _wire.put_u32(_wire.ATTRIBUTES["action"], action)


def states(records: list[dict[str, Any]]) -> dict[str, dict[str, int | str]]:
    """Of the records of ZYGOTES: every counter of every zygote, by their names."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        found.setdefault(record.get("zygote", ""), []).append(record)
    return {name: counters(those) for name, those in found.items()}


class Zygote:
    """A zygote of the instance, by its name. See Session.zygote()."""

    def __init__(self, session: Session, name: str) -> None:
        name_of(name, "zygote")
        self._session = session
        self.name = name

    def warm(self, timeout: float | None = None) -> None:
        """Starts it, unless it runs already."""
        self._session._zygote(_wire.ZYGOTE_WARM, self.name, timeout)

    def stop(self, timeout: float | None = None) -> None:
        """Stops it; its workers go on."""
        self._session._zygote(_wire.ZYGOTE_STOP, self.name, timeout)

    def reload(self, timeout: float | None = None) -> None:
        """Replaces it by a fresh one, which loads its preload anew."""
        self._session._zygote(_wire.ZYGOTE_RELOAD, self.name, timeout)

    def state(self, timeout: float | None = None) -> dict[str, int | str]:
        """Its counters and texts; empty if it has never been asked for."""
        return self._session.zygotes(self.name, timeout=timeout).get(self.name, {})

    def __repr__(self) -> str:
        return "<Zygote %r>" % self.name
