"""Bearer tokens that are renewed before they expire, and once when the service does not know them any more."""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import json
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import grpc

from tact.client._errors import CallFailed

MARGIN_S = 30.0
"""How long before its end a token is renewed; of short ones a fifth of what is left."""
AGAIN_S = 1.0
"""How long after one that failed the next try to renew a token that is still good."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, the second since 1970 at which it expires, and the one from which a new one is looked for.

    Without `expires_at` the `exp` of a JSON Web Token counts; another token is good until the service refuses it.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    renew_at: float | None = None

    def __post_init__(self) -> None:
        if not (self.value and self.value.isascii() and self.value.isprintable() and " " not in self.value):
            raise ValueError("a token is printable ASCII without spaces, and not empty")


Source: TypeAlias = Callable[[], str | Token]
AsyncSource: TypeAlias = Callable[[], str | Token | Awaitable[str | Token]]


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A source of tokens: a file that something else keeps fresh; it is read again after `every_s` seconds."""

    path: Path | str
    every_s: float = 5.0

    def __call__(self) -> Token:
        """Read the token."""
        value = Path(self.path).read_text(encoding="ascii").strip()
        return Token(value, _expiry(value), time.time() + self.every_s)


@dataclass(slots=True)
class _Held:
    """The token at hand, and when it is to be renewed."""

    token: Token | None = field(default=None, repr=False)
    renew_at: float = 0.0

    def take(self, given: str | Token) -> None:
        token = given if isinstance(given, Token) else Token(given)
        expires_at = _expiry(token.value) if token.expires_at is None else token.expires_at
        now = time.time()
        if expires_at is not None and expires_at <= now:  # by our clock, which may be wrong: the service's decides
            expires_at, token = None, Token(token.value, None, now + AGAIN_S)
        self.token = Token(token.value, expires_at, token.renew_at)
        ends = float("inf") if expires_at is None else expires_at - min(MARGIN_S, max(0.0, expires_at - now) / 5)
        self.renew_at = ends if token.renew_at is None else min(ends, token.renew_at)

    def good(self) -> str | None:
        """Return the token unless it has expired."""
        token = self.token
        if token is None or (token.expires_at is not None and time.time() >= token.expires_at):
            return None
        return token.value

    def due(self) -> bool:
        """Tell whether a new one is to be looked for."""
        return time.time() >= self.renew_at

    def forget(self, refused: str) -> None:
        """Take a token that the service refused as expired, unless there is another one already."""
        if self.token is not None and self.token.value == refused:
            self.token, self.renew_at = None, 0.0

    def failed(self, error: Exception) -> str:
        """Go on with a token that is still good; raise `CallFailed` without one."""
        if (value := self.good()) is None:
            raise CallFailed(
                grpc.StatusCode.UNAUTHENTICATED, f"No token could be had to call with: {type(error).__name__}."
            ) from error
        self.renew_at = time.time() + AGAIN_S
        return value


class Tokens:
    """The token of a client with threads. One caller at a time renews it; the others go on with one that is good."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held = _Held()
        self._renewing = threading.Lock()

    def now(self) -> str:
        """Return a token to call with; raise `CallFailed` where none can be had."""
        value = self._held.good()
        if value is not None and not self._held.due():
            return value
        if not self._renewing.acquire(blocking=value is None):
            return str(value)
        try:
            return self._renew()
        finally:
            self._renewing.release()

    def after(self, refused: str) -> str | None:
        """Return another token in place of one that the service refused; None where there is no other."""
        with self._renewing:
            self._held.forget(refused)
            renewed = self._renew()
        return renewed if renewed != refused else None

    def _renew(self) -> str:
        if (value := self._held.good()) is not None and not self._held.due():
            return value  # somebody else has renewed it
        try:
            self._held.take(self._source())
        except Exception as error:  # noqa: BLE001 - a source may fail in any way, and the token at hand still be good
            return self._held.failed(error)
        return self._held.good() or ""


class AsyncTokens:
    """The same for a client on a loop, with sources that may be awaited."""

    def __init__(self, source: AsyncSource) -> None:
        self._source = source
        self._held = _Held()
        self._renewing = asyncio.Lock()

    async def now(self) -> str:
        """Return a token to call with; raise `CallFailed` where none can be had."""
        value = self._held.good()
        if value is not None and (not self._held.due() or self._renewing.locked()):
            return value
        async with self._renewing:
            return await self._renew()

    async def after(self, refused: str) -> str | None:
        """Return another token in place of one that the service refused; None where there is no other."""
        async with self._renewing:
            self._held.forget(refused)
            renewed = await self._renew()
        return renewed if renewed != refused else None

    async def _renew(self) -> str:
        if (value := self._held.good()) is not None and not self._held.due():
            return value
        try:
            given = self._source()
            self._held.take(await given if inspect.isawaitable(given) else given)
        except Exception as error:  # noqa: BLE001 - as above
            return self._held.failed(error)
        return self._held.good() or ""


def same(token: str) -> Source:
    """Return a source that has one token and never another."""
    known = Token(token)
    return lambda: known


def _expiry(value: str) -> float | None:
    """Return when a JSON Web Token says that it expires; None for another token. Nothing is verified here."""
    parts = value.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error):
        return None
    expires = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires) if isinstance(expires, int | float) else None
