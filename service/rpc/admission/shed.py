"""How a decision ends that is shed, and what becomes of its place among the streams of its connection."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from service.errors import DeadlineExpired, Overloaded

KEPT_S = 1.0
"""How long the place of a call that was shed stays taken."""
MOST_OF_A_CONNECTION = 96
"""How many places of one connection stay taken at most: the others go on, for whoever shares the connection."""
MOST_KEPT = 4096


class Reason(StrEnum):
    """Why a decision was shed."""

    FULL = "full"
    """Too many of its class wait, and it is the one that has waited longest."""
    SLOW = "slow"
    """It has waited for half of the time that its caller gives it."""
    LATE = "late"
    """Less is left of its caller's time than a decision takes."""
    LEFT = "left"
    """Its caller has gone, or the caller's time was over."""


class Connected(Protocol):
    """The side of a call that says which connection it came by."""

    def peer(self) -> str:
        """Return the other end of the connection."""
        ...


class Places:
    """Keeps the places of calls that were shed among the streams of their connection, for a second each.

    A caller that is not answered in time sends the next call at once, which costs half a decision just to be refused.
    As long as the call that was shed is not let go, gRPC counts its stream, and itself refuses what is beyond the
    streams that a connection may have: that costs a twentieth, and clients take it as UNAVAILABLE, never begun.
    `later` calls something after so many seconds.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object]) -> None:
        self._later = later
        self._kept: deque[tuple[str, Connected]] = deque()
        self._by_peer: Counter[str] = Counter()
        self._closed = False

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def keep(self, call: Connected) -> None:
        """Keep the place of a call that was shed."""
        peer = call.peer()
        if self._closed or len(self._kept) >= MOST_KEPT or self._by_peer[peer] >= MOST_OF_A_CONNECTION:
            return
        self._by_peer[peer] += 1
        self._kept.append((peer, call))
        self._later(KEPT_S, self._let_go)

    def _let_go(self) -> None:
        """Let the oldest go: each is kept for as long, so they end in the order in which they came."""
        if not self._kept:  # the service ends
            return
        peer, _ = self._kept.popleft()
        self._by_peer[peer] -= 1
        if not self._by_peer[peer]:
            del self._by_peer[peer]

    def close(self) -> None:
        """Let all go, and keep none from now on: a server that ends waits for them."""
        self._closed = True
        self._kept.clear()
        self._by_peer.clear()


class ShedOverloaded(Overloaded):
    """A call that is told to come again in `wait_s` seconds."""

    def __init__(self, places: Places, wait_s: float) -> None:
        super().__init__(wait_s)
        self.places = places


class ShedLate(DeadlineExpired):
    """A call that there is no time left for."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places


def mark(left: asyncio.CancelledError, places: Places) -> None:
    """Mark the end of a call whose caller left while it waited.

    It stays a plain CancelledError: `asyncio.timeout` of Python 3.11 does not take a subclass for its own.
    """
    vars(left)[_PLACES] = places


def places_of(error: BaseException) -> Places | None:
    """Return what keeps the place of a call that was shed; None for every other end."""
    found = vars(error).get(_PLACES) if isinstance(error, _SHED) else None
    return found if isinstance(found, Places) else None


_PLACES = "places"
_SHED = (ShedOverloaded, ShedLate, asyncio.CancelledError)
