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
"""How long after one that failed the next try to renew a token that is still good, or one that was refused again."""
LATE = "No token could be had in time to call with."


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
    replaced_s: float = float("-inf")
    error: Exception | None = field(default=None, repr=False)

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

    def forget(self, refused: str) -> bool:
        """Take a token that the service refused as expired, unless there is another one already.

        Return False where it came in place of a refused one just now: whoever makes tokens is not asked for each call.
        """
        if self.token is not None and self.token.value == refused:
            if time.monotonic() < self.replaced_s + AGAIN_S:
                return False
            self.token, self.renew_at, self.replaced_s = None, 0.0, time.monotonic()
        return True

    def failed(self, error: Exception) -> None:
        """Go on with a token that is still good, and ask again a little later."""
        self.error = error
        if self.good() is not None:
            self.renew_at = time.time() + AGAIN_S

    def had(self, *, done: bool) -> str:
        """Return the token after it was looked for; raise `CallFailed` where there is none that is good.

        `done` says that the source has come to an end, well or not.
        """
        if (value := self.good()) is not None:
            return value
        if not done:
            raise CallFailed(grpc.StatusCode.DEADLINE_EXCEEDED, LATE)
        kind = type(self.error).__name__
        raise CallFailed(
            grpc.StatusCode.UNAUTHENTICATED, f"No token could be had to call with: {kind}."
        ) from self.error

    def patience_s(self, ends: float) -> float:
        """Return for how long a call that ends then waits for a token: half its time while one is good."""
        left_s = max(0.0, ends - time.monotonic())
        return left_s if self.good() is None else left_s / 2


class Tokens:
    """The token of a client with threads. One caller at a time waits for a new one; the others go on with a good one.

    The source is called in a thread of its own, so that no call waits for it beyond its deadline.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._held = _Held()
        self._deciding = threading.Lock()
        self._renewing: threading.Event | None = None

    def now(self, ends: float) -> str:
        """Return a token to call with before a moment; raise `CallFailed` where none can be had until then."""
        value = self._held.good()
        if value is not None and not self._held.due():
            return value
        with self._deciding:
            ours, renewing = self._renewing is None, self._begun()
        if value is not None and not ours:
            return value
        return self._held.had(done=renewing.wait(min(self._held.patience_s(ends), threading.TIMEOUT_MAX)))

    def after(self, refused: str, ends: float) -> str | None:
        """Return another token in place of one that the service refused; None where there is no other."""
        with self._deciding:
            if not self._held.forget(refused):
                return None
        renewed = self.now(ends)
        return renewed if renewed != refused else None

    def _begun(self) -> threading.Event:
        if self._renewing is None:
            self._renewing = done = threading.Event()
            if self._held.good() is not None and not self._held.due():
                self._done(done)  # somebody else has renewed it
            else:
                threading.Thread(target=self._renew, args=(done,), name="tact-token", daemon=True).start()
            return done
        return self._renewing

    def _renew(self, done: threading.Event) -> None:
        try:
            self._held.take(self._source())
        except Exception as error:  # noqa: BLE001 - a source may fail in any way, and the token at hand still be good
            self._held.failed(error)
        finally:
            self._done(done)

    def _done(self, done: threading.Event) -> None:
        self._renewing = None
        done.set()


class AsyncTokens:
    """The same for a client on a loop, with sources that may be awaited; one that blocks holds up the loop."""

    def __init__(self, source: AsyncSource) -> None:
        self._source = source
        self._held = _Held()
        self._renewing: asyncio.Task[None] | None = None

    async def now(self, ends: float) -> str:
        """Return a token to call with before a moment; raise `CallFailed` where none can be had until then."""
        value = self._held.good()
        if value is not None and (not self._held.due() or self._renewing is not None):
            return value
        if (renewing := self._renewing or self._begun()) is not None:
            done, _ = await asyncio.wait((renewing,), timeout=self._held.patience_s(ends))
            return self._held.had(done=bool(done))
        return self._held.had(done=True)

    async def after(self, refused: str, ends: float) -> str | None:
        """Return another token in place of one that the service refused; None where there is no other."""
        if not self._held.forget(refused):
            return None
        renewed = await self.now(ends)
        return renewed if renewed != refused else None

    def close(self) -> None:
        """Look for no token any more."""
        if self._renewing is not None:
            self._renewing.cancel()

    def _begun(self) -> asyncio.Task[None] | None:
        """Ask the source; return what waits for it, None where it has answered."""
        try:
            given = self._source()
            if inspect.isawaitable(given):
                self._renewing = asyncio.create_task(self._renew(given))
            else:
                self._held.take(given)
        except Exception as error:  # noqa: BLE001 - as above
            self._held.failed(error)
        return self._renewing

    async def _renew(self, given: Awaitable[str | Token]) -> None:
        try:
            self._held.take(await given)
        except Exception as error:  # noqa: BLE001 - as above
            self._held.failed(error)
        finally:
            self._renewing = None


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
