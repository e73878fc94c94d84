# SPDX-License-Identifier: LGPL-2.1-or-later
"""The client's half of the mutual challenge-response (docs/PROTOCOL.md), as a machine without I/O: bytes in, bytes out. It answers by
SHA-256, or SHA-384 if asked, never by MD5; refuses a challenge that is short or its own; and tells nothing to a server before that
server has proved that it knows the key."""
from __future__ import annotations

import os

from . import _wire

FRAME_MAX = 256
KEY_SIZE = 32
NONCE_SIZE = 40
NONCE_MIN = 20
CHALLENGE, WELCOME, FAILURE = b"#CHALLENGE#", b"#WELCOME#", b"#FAILURE#"
DIGESTS = {b"{sha256}": "sha256", b"{sha384}": "sha384"}
PREFIX = 8

# Why it failed, as libforksrv says it.
TOO_LONG = "a frame of the handshake is empty or too long"
BAD_CHALLENGE = "the challenge is malformed or too short"
WEAK_DIGEST = "the digest is missing, MD5 or unknown (sha256 and sha384 are accepted)"
WRONG_MAC = "wrong authkey"
REFLECTED = "our own challenge was sent back"
REFUSED = "the peer refused: it has another authkey, or no room for us now"
NOT_WELCOME = "the peer answered neither welcome nor failure"
TOO_MUCH = "it says more than it is asked for"


class Failed(Exception):
    """args[0] is one of the texts above; `at_once`: the peer's very first word was it; `last_word`: what is to be sent to it."""

    def __init__(self, why: str, at_once: bool) -> None:
        super().__init__(why)
        self.why = why
        self.at_once = at_once
        # A refusal is the peer's own word: it knows.
        self.last_word = b"" if why == REFUSED else _wire.frame(FAILURE)


def digest_of(offer: bytes) -> str:
    """The digest that a challenge or an answer names."""
    name = DIGESTS.get(bytes(offer[:PREFIX]))
    if name is None:
        raise _Stop(WEAK_DIGEST)
    return name


def mac(key: bytes | bytearray, offer: bytes, digest: str) -> bytes:
    import hmac
    return hmac.digest(key, offer, digest)


class _Stop(Exception):
    pass


class Handshake:
    """feed() it what comes in, send what it returns, until `done`. Its last word, welcome(), is left to the caller, who may send it
    together with the first request."""

    def __init__(self, key: bytes | bytearray, nonce: bytes | None = None) -> None:
        """nonce: 40 fresh random bytes."""
        self._key = key
        self._nonce = nonce if nonce is not None else os.urandom(NONCE_SIZE)
        self._frames = _wire.Frames(FRAME_MAX)
        self._steps = [self._challenge, self._word, self._answer]
        self._step = 0
        self._failed = False

    @property
    def done(self) -> bool:
        """Both sides have proved themselves."""
        return self._step == len(self._steps) and not self._failed

    @staticmethod
    def welcome() -> bytes:
        return _wire.frame(WELCOME)

    def feed(self, data: bytes) -> bytes:
        """Raises Failed."""
        out = b""
        try:
            for payload in self._frames.feed(data):
                if self.done:
                    raise _Stop(TOO_MUCH)
                out += self._steps[self._step](payload)
                self._step += 1
            if self.done and len(self._frames):
                raise _Stop(TOO_MUCH)
            return out
        except (_Stop, _wire.Malformed) as stop:
            self._failed = True
            why = str(stop) if isinstance(stop, _Stop) else TOO_LONG
            raise Failed(why, self._step == 0) from None

    def _challenge(self, payload: bytes) -> bytes:
        """The server's challenge: answered by the digest that it names, and with our own challenge in the same write."""
        if payload == FAILURE:
            raise _Stop(REFUSED)
        if not payload.startswith(CHALLENGE):
            raise _Stop(BAD_CHALLENGE)
        offer = payload[len(CHALLENGE):]
        digest, theirs = digest_of(offer), offer[PREFIX:]
        if len(theirs) < NONCE_MIN:
            raise _Stop(BAD_CHALLENGE)
        # Whatever the prefix: answering our own random bytes would make us our own proof.
        if theirs == self._nonce:
            raise _Stop(REFLECTED)
        answer = offer[:PREFIX] + mac(self._key, offer, digest)
        return _wire.frame(answer) + _wire.frame(CHALLENGE + b"{sha256}" + self._nonce)

    def _word(self, payload: bytes) -> bytes:
        """The server's word on our answer."""
        if payload == WELCOME:
            return b""
        raise _Stop(REFUSED if payload == FAILURE else NOT_WELCOME)

    def _answer(self, payload: bytes) -> bytes:
        """The server's answer to our challenge."""
        import hmac
        if payload == FAILURE:
            raise _Stop(REFUSED)
        right = mac(self._key, b"{sha256}" + self._nonce, digest_of(payload))
        if not hmac.compare_digest(payload[PREFIX:], right):
            raise _Stop(WRONG_MAC)
        return b""
