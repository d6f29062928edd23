"""Who waits for a place: a bounded queue a class, the oldest first while that helps, and then the newest."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

FIFO_S = 0.05
"""Who has waited longer than this lets newer ones pass: they still have the time for an answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """One call that waits: since when, and until when it is worth an answer, in seconds of the admission's clock."""

    place: asyncio.Future[None]
    since_s: float
    until_s: float

    @property
    def patient_until_s(self) -> float:
        """When half of its caller's time is over: what is left is for the answer, or for another try elsewhere."""
        return (self.since_s + self.until_s) / 2


class Queue:
    """The calls of one class that wait.

    Under overload a queue that is served in order answers everybody just too late. So once the oldest has waited for
    50 ms the newest are served first, as in B. Maurer, Fail at Scale, ACM Queue 13 (8), 2015 (adaptive LIFO).
    """

    def __init__(self) -> None:
        self._waiters: deque[Waiter] = deque()
        self._gone = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiters) - self._gone

    def add(self, waiter: Waiter) -> None:
        """Let one wait."""
        self._waiters.append(waiter)

    def leave(self) -> None:
        """Be told that one has left whose place was not given: its future is done."""
        self._gone += 1

    def next(self, now_s: float) -> Waiter | None:
        """Take the one whose turn it is; None where nobody waits."""
        if not (oldest := self._oldest()):
            return None
        if now_s - oldest.since_s <= FIFO_S:
            return self._waiters.popleft()
        while (newest := self._waiters.pop()).place.done():
            self._gone -= 1
        return newest

    def oldest(self) -> Waiter | None:
        """Take the one that has waited longest; None where nobody waits."""
        return self._waiters.popleft() if self._oldest() else None

    def impatient(self, now_s: float) -> Iterator[Waiter]:
        """Take, one after another, those at the head that have waited for half of their time."""
        while (oldest := self._oldest()) and oldest.patient_until_s <= now_s:
            yield self._waiters.popleft()

    def _oldest(self) -> Waiter | None:
        """Return the one at the head that still waits, and forget those that have left before it."""
        while self._waiters and self._waiters[0].place.done():
            self._waiters.popleft()
            self._gone -= 1
        return self._waiters[0] if self._waiters else None
