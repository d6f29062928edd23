"""Who may begin a decision now, who waits, and who is shed.

    if not admission.take(kind):                      # the usual case: a place is free
        deadline_s = await admission.wait(kind, deadline_s)
    began_s = clock()
    try: …                                            # decide
    finally: admission.give_back(kind, began_s)

Operators, health checks, ingestion and everything else that is no decision ask for no place: what decisions leave of
the event loop is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from random import Random
from time import monotonic

from service.rpc.admission.classes import EMAIL, CallClass, Classes
from service.rpc.admission.limit import FIRST, AdaptiveLimit
from service.rpc.admission.queues import Queue, Waiter
from service.rpc.admission.shed import Places, Reason, ShedLate, ShedOverloaded, mark

SHARES = (15 / 16, 3 / 4, 1 / 2)
"""How much of the limit each class may take: never all of it, so that none shuts out another that waits for a store."""
MOST_WAITING = (512, 512, 512)
WINDOW_S = 0.1
STALLED_S = 0.3
"""A window that ends so late tells of a loop that stood still, not of too much in work; two in a row do."""
SWEEPS_S = 0.02
DECIDING_S = 0.25
"""For how long after a decision another one is expected."""
LEAST_PUSHBACK_S, MOST_PUSHBACK_S = 0.1, 2.0


class Admission:
    """Bounds the decisions at once by a limit that follows their latency, with a bulkhead for each class.

    `first` is the limit that it begins with, and comes back to.
    """

    def __init__(
        self,
        classes: Classes | None = None,
        clock: Callable[[], float] = monotonic,
        later: Callable[[float, Callable[[], None]], object] | None = None,
        random: Random | None = None,
        first: int = FIRST,
    ) -> None:
        self.classes, self.clock = classes or Classes(), clock
        self._later = later or _later
        self._random = random or Random()  # noqa: S311 - spreads callers in time, hides nothing
        self.places = Places(self._later)
        self._limit = AdaptiveLimit(first)
        self._queues = tuple(Queue() for _ in CallClass)
        self._taken = [0] * len(CallClass)
        self._most = [0] * len(CallClass)
        self._working = 0
        self.admitted = [0] * len(CallClass)
        self.shed = {(kind, reason): 0 for kind in CallClass for reason in Reason}
        self._short, self._sweeping, self._stalled = False, False, False
        self._window_s = clock()
        self._gave_s = -DECIDING_S
        self._done, self._took_s, self._usual_s, self._rate = 0, 0.0, 0.0, 0.0
        self._resize()

    @property
    def limit(self) -> int:
        """How many decisions may be made at once."""
        return self._limit.value

    @property
    def working(self) -> tuple[int, ...]:
        """How many of each class are being made."""
        return tuple(self._taken)

    @property
    def waiting(self) -> tuple[int, ...]:
        """How many of each class wait for a place."""
        return tuple(map(len, self._queues))

    def deciding(self) -> bool:
        """Tell whether decisions are being made, or were until just now."""
        return self._working > 0 or self.clock() - self._gave_s < DECIDING_S

    def take(self, kind: int) -> bool:
        """Take a place if one is free for this class and nobody of it waits; say whether."""
        taken = self._taken
        if self._working >= self._limit.value or taken[kind] >= self._most[kind] or self._short:
            return self._take_while_short(kind)
        taken[kind] += 1
        self._working += 1
        return True

    def give_back(self, kind: int, began_s: float) -> None:
        """Give a place back that was taken at this moment of the clock."""
        self._taken[kind] -= 1
        self._working -= 1
        self.admitted[kind] += 1
        now_s = self._gave_s = self.clock()
        self._done += 1
        self._took_s += now_s - began_s
        if now_s - self._window_s >= WINDOW_S:
            self._learn(now_s)
        if self._sweeping:
            self._hand_out(now_s)

    async def wait(self, kind: int, deadline_s: float, channel: str = "") -> float:
        """Wait for a place; return how many seconds are left of the deadline.

        Raises `Overloaded` when half of the time is over or too many wait, `DeadlineExpired` when what is left is too
        little for a decision, and CancelledError when the caller leaves. Nothing was done in any of these cases.
        """
        queue, now_s = self._queues[kind], self.clock()
        self._short = True
        if deadline_s < self._usual_s:
            raise self._late(kind)
        if queue.calls >= MOST_WAITING[kind] and (oldest := queue.oldest()):
            self._refuse(kind, oldest, Reason.FULL)
        waiter = Waiter(asyncio.get_running_loop().create_future(), now_s, now_s + deadline_s, channel)
        await self._wait(kind, waiter)
        return waiter.until_s - self.clock()

    async def wait_in_turn(self, kind: int, channel: str = "") -> None:
        """Wait for a place for an item of a stream, until the stream ends; raise CancelledError when it does.

        The stream itself is the queue: it is not read further meanwhile, so there is nothing to shed.
        """
        self._short = True
        place = asyncio.get_running_loop().create_future()
        await self._wait(kind, Waiter(place, self.clock(), inf, channel, streamed=True))

    async def _wait(self, kind: int, waiter: Waiter) -> None:
        self._queues[kind].add(waiter)
        if self._has_room(kind):  # e-mail's own place, which is not given back by anybody else
            self._hand_out(waiter.since_s)
        self._sweep_later()
        try:
            await waiter.place
        except asyncio.CancelledError as left:
            self._left(kind, waiter)
            mark(left, self.places)
            raise

    def close(self) -> None:
        """Let go what is kept."""
        self.places.close()

    def _take_while_short(self, kind: int) -> bool:
        """Take a place while there may be too few: only if nobody waits who would get it."""
        if not self._has_room(kind) or len(self._queues[kind]):
            return False
        self._taken[kind] += 1
        self._working += 1
        return True

    def _has_room(self, kind: int) -> bool:
        """Tell whether one more of a class may begin: within the limit, but for one of e-mail, which always may."""
        taken = self._taken[kind]
        return taken < self._most[kind] and (self._working < self._limit.value or (kind == EMAIL and not taken))

    def _left(self, kind: int, waiter: Waiter) -> None:
        if waiter.place.cancelled():
            self.shed[CallClass(kind), Reason.LEFT] += 1
            self._queues[kind].leave(waiter)
        elif waiter.place.exception() is None:  # the place was given in the same turn of the loop
            self.shed[CallClass(kind), Reason.LEFT] += 1
            self._taken[kind] -= 1
            self._working -= 1
            self._hand_out(self.clock())

    def _hand_out(self, now_s: float) -> None:
        """Give free places to those who wait, the most urgent class first."""
        while found := self._next(now_s):
            kind, waiter = found
            if waiter.until_s - now_s < self._usual_s:
                self._fail(waiter, self._late(kind))
                continue
            self._taken[kind] += 1
            self._working += 1
            waiter.place.set_result(None)

    def _next(self, now_s: float) -> tuple[int, Waiter] | None:
        for kind, queue in enumerate(self._queues):
            if self._has_room(kind) and (waiter := queue.next(now_s)):
                return kind, waiter
        return None

    def _sweep_later(self) -> None:
        if not self._sweeping:
            self._sweeping = True
            self._later(SWEEPS_S, self._sweep)

    def _sweep(self) -> None:
        """Shed those whose time is half over, as long as any wait."""
        self._sweeping, now_s = False, self.clock()
        for kind, queue in enumerate(self._queues):
            for waiter in queue.impatient(now_s):
                self._refuse(kind, waiter, Reason.SLOW)
        self._hand_out(now_s)
        if any(self.waiting):
            self._sweep_later()

    def _refuse(self, kind: int, waiter: Waiter, reason: Reason) -> None:
        self.shed[CallClass(kind), reason] += 1
        self._fail(waiter, ShedOverloaded(self.places, self._pushback_s()))

    def _late(self, kind: int) -> ShedLate:
        self.shed[CallClass(kind), Reason.LATE] += 1
        return ShedLate(self.places)

    def _fail(self, waiter: Waiter, error: Exception) -> None:
        waiter.place.set_exception(error)

    def _pushback_s(self) -> float:
        """Return when to come again: when all who wait now may be through, and not all at the same moment."""
        needed_s = sum(self.waiting) / self._rate if self._rate else MOST_PUSHBACK_S
        return max(LEAST_PUSHBACK_S, min(MOST_PUSHBACK_S, needed_s)) * self._random.uniform(0.5, 1.5)

    def _learn(self, now_s: float) -> None:
        """Learn from the window that ends now, and begin the next."""
        length_s, done, took_s, short = now_s - self._window_s, self._done, self._took_s, self._short
        self._window_s, self._done, self._took_s = now_s, 0, 0.0
        self._short = any(self.waiting)
        stalled, self._stalled = self._stalled, length_s >= STALLED_S
        if short and self._stalled and not stalled:
            return
        self._rate = done / length_s
        self._usual_s = took_s / done if short else 0.0
        self._limit.learn(took_s / done, short=short)
        self._resize()

    def _resize(self) -> None:
        self._most = [max(1, int(self._limit.value * share)) for share in SHARES]


def _later(delay_s: float, then: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, then)
