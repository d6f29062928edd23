"""Who waits for a place: a bounded queue a class, with a line for each channel, and one for its streams."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

FIFO_S = 0.05
"""Who has waited longer than this lets newer ones pass: they still have the time for an answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiter:
    """One that waits: since when, and until when it is worth an answer, in seconds of the admission's clock.

    What is `streamed` waits for its turn as long as its stream goes on: who reads its answers can wait, and sends no
    more meanwhile.
    """

    place: asyncio.Future[None]
    since_s: float
    until_s: float
    channel: str = ""
    streamed: bool = False

    @property
    def patient_until_s(self) -> float:
        """When half of its caller's time is over: what is left is for the answer, or for another try elsewhere."""
        return (self.since_s + self.until_s) / 2


class Line:
    """Those of one channel that wait.

    Under overload a queue that is served in order answers everybody just too late. So once the oldest call has waited
    for 50 ms the newest are served first, as in B. Maurer, Fail at Scale, ACM Queue 13 (8), 2015 (adaptive LIFO). What
    is streamed is served in order.
    """

    def __init__(self, *, streamed: bool) -> None:
        self.streamed = streamed
        self._waiters: deque[Waiter] = deque()
        self._gone = 0

    def __len__(self) -> int:
        """How many wait; who is forgotten before it says that it leaves counts until then."""
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
        if self.streamed or now_s - oldest.since_s <= FIFO_S:
            return self._waiters.popleft()
        while (newest := self._waiters.pop()).place.done():
            self._gone -= 1
        return newest

    def oldest(self) -> Waiter | None:
        """Take the one that has waited longest; None where nobody waits."""
        return self._waiters.popleft() if self._oldest() else None

    def impatient(self, now_s: float) -> list[Waiter]:
        """Take all that have waited for half of their time, wherever they stand."""
        waiting = [one for one in self._waiters if not one.place.done()]
        self._gone -= len(self._waiters) - len(waiting)  # of whom some have yet to say that they leave
        self._waiters = deque(one for one in waiting if one.patient_until_s > now_s)
        return [one for one in waiting if one.patient_until_s <= now_s]

    def _oldest(self) -> Waiter | None:
        """Return the one at the head that still waits, and forget those that have left before it."""
        while self._waiters and self._waiters[0].place.done():
            self._waiters.popleft()
            self._gone -= 1
        return self._waiters[0] if self._waiters else None


class Queue:
    """Those of one class that wait; its lines are served in turn, so no channel shuts out another, nor streams calls.

    There are as many lines as the strategy has channels, twice at most.
    """

    def __init__(self) -> None:
        self._lines: dict[tuple[str, bool], Line] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._lines.values()))

    @property
    def calls(self) -> int:
        """How many wait that come in no stream."""
        return sum(len(line) for line in self._lines.values() if not line.streamed)

    def add(self, waiter: Waiter) -> None:
        """Let one wait."""
        self._line_of(waiter).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Be told that one has left whose place was not given: its future is done."""
        self._line_of(waiter).leave()

    def next(self, now_s: float) -> Waiter | None:
        """Take the one whose turn it is; None where nobody waits."""
        for key, line in self._lines.items():
            if found := line.next(now_s):
                self._lines[key] = self._lines.pop(key)
                return found
        return None

    def oldest(self) -> Waiter | None:
        """Take the call that has waited longest in the longest line; None where none waits."""
        calls = [line for line in self._lines.values() if not line.streamed]
        return max(calls, key=len).oldest() if calls else None

    def impatient(self, now_s: float) -> list[Waiter]:
        """Take all that have waited for half of their time; what is streamed has patience."""
        return [one for line in self._lines.values() if len(line) for one in line.impatient(now_s)]

    def _line_of(self, waiter: Waiter) -> Line:
        key = waiter.channel, waiter.streamed
        if (line := self._lines.get(key)) is None:
            line = self._lines[key] = Line(streamed=waiter.streamed)
        return line
