"""Reads that are late are asked once more over another connection, and the first answer wins. Writes never are.

A lost packet holds up everything behind it on its connection, often for 200 ms, which is longer than a decision waits;
another connection is hardly ever held up at the same time. What is hedged is what the store itself refuses to write
in (FCALL_RO). Late is later than 19 of 20 replies were of late; and no more than one call in forty, which is about one
read in twenty, is asked again, so that a store that is slow is not asked for twice of what it cannot do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.store.pipeline import Connection, Reply

EARLIEST_S = 0.006
LATEST_S = 0.016
"""Between these it is decided that a reply is late; sooner it may be our own loop that was busy. It is looked so often,
too, so that a reply is seen to be late after twice that at most.
"""
SHARE = 0.025
"""How many of the calls, most of which are one read and one commit a decision, may be reads that are asked again."""
BURST = 16.0
_LATER, _SOONER = 1.20, 0.99
"""What a reply that came later makes of the moment from which on it is late, or one that came sooner: at rest one in
twenty comes later.
"""
_READS = b"FCALL_RO"
HEDGED, WON = "hedged", "won"


class Hedging:
    """Knows when replies of one store are late, and asks reads again; `other` finds another connection than one.

    `late_s` is from when on a reply is late, in seconds. `calls` is how many calls there were. The store has been quiet
    since `quiet_since`, by the loop's clock, where it has not been heard over any connection.
    """

    __slots__ = ("_allowed", "_listens", "_other", "_seen", "_tells", "calls", "late_s", "quiet_since")

    def __init__(self, other: Callable[[Connection], Connection | None]) -> None:
        self.late_s = LATEST_S
        self.calls = 0
        self.quiet_since = 0.0
        self._listens = False
        self._other = other
        self._allowed = BURST
        self._seen = 0
        self._tells: Callable[[str], None] = _nobody

    def told(self, what: Callable[[str], None]) -> None:
        """Let somebody count what is hedged, and what of it won."""
        self._tells = what

    def listen(self, now: float) -> None:
        """Listen for the next reply."""
        if not self._listens:
            self._listens, self.quiet_since = True, now

    def heard(self, took_s: float) -> None:
        """Hear how long a reply took."""
        self._listens = False
        late_s = self.late_s * (_LATER if took_s > self.late_s else _SOONER)
        self.late_s = min(max(late_s, EARLIEST_S), LATEST_S)

    def ask_again(self, connection: Connection, answer: asyncio.Future[Reply], packed: bytes, left_s: float) -> None:
        """Ask for a late reply once more, where it is one of a read, and there is another connection to ask over."""
        if _READS not in packed[:32] or left_s <= 0.0 or not self._may():
            return
        other = self._other(connection)
        if other is None:
            return
        self._allowed -= 1.0
        self._tells(HEDGED)
        other.call(packed, left_s).add_done_callback(partial(self._answered, answer))

    def _may(self) -> bool:
        self._allowed = min(BURST, self._allowed + SHARE * (self.calls - self._seen))
        self._seen = self.calls
        return self._allowed >= 1.0

    def _answered(self, answer: asyncio.Future[Reply], second: asyncio.Future[Reply]) -> None:
        """Pass on what came over the other connection, unless the first answer was sooner; its errors are nobody's."""
        if second.cancelled() or second.exception() is not None or answer.done():
            return
        self._tells(WON)
        answer.set_result(second.result())


class Unhedged:
    """Hedges nothing: for a connection that stands alone."""

    late_s = float("inf")
    quiet_since = 0.0
    calls = 0

    def listen(self, now: float) -> None:
        """Listen to nothing."""

    def heard(self, took_s: float) -> None:
        """Hear nothing."""

    def ask_again(self, connection: Connection, answer: asyncio.Future[Reply], packed: bytes, left_s: float) -> None:
        """Ask nothing."""


def _nobody(what: str) -> None:
    """Hear it, and do nothing."""
