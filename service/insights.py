"""Insight, counted from the log when somebody asks, and from there on only what is new.

Customers fall by hash into buckets, so some buckets are a fair sample of all: where a window has more decisions than
are to be counted, whole buckets are left out, and the answer says how many were looked at. Decisions wait for none of
it: the store is asked in short calls, and what it answers is counted in a thread that gives way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from service.beside import beside
from service.core.engine import Engine
from service.core.insight import BUCKETS, Insight, Tally, Told
from service.core.logged import DecisionPage, OutcomePage
from service.core.stock import Stocks
from service.errors import DeadlineExpired

MOST_DECISIONS = 50_000
"""How many decisions of a window are counted before no further bucket is begun: about 5 seconds of a core."""
AT_ONCE = 16
"""How many buckets are asked at once."""
RESTS = 2.0
"""How many times as long as it counted it rests then, so that decisions have most of the processor."""
AGAIN_AFTER_S = 1.0
"""How old an answer may be that is given again."""
LONGEST_S = 2.0
"""How long one call counts at most; the next one goes on."""
MOST_VIEWS = 6
"""How many windows are kept, whole or read in part: one for each size of a step that may be asked for, and one more."""
MOST_STEPS_KEPT = 800
_STEP = 619
"""Prime to the number of buckets: so many buckets on comes the next, and each once."""
T = TypeVar("T")


class Log(Protocol):
    """Tells what was logged, bucket by bucket. Raises StoreError when the store fails or is too slow."""

    async def decisions(self, bucket: int, after: str, deadline_s: float | None) -> DecisionPage:
        """Return the next decisions of a bucket after a place."""
        ...

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None) -> OutcomePage:
        """Return the next outcomes of a bucket after a place."""
        ...

    async def removed(self, bucket: int, deadline_s: float | None) -> int:
        """Return a number that changes when an erasure removes decisions of a bucket."""
        ...


class _Removed(Exception):
    """An erasure took something that was counted."""


@dataclass(slots=True)
class _Bucket:
    """How far a bucket was read, and whether that is all of it."""

    decisions: str
    outcomes: str
    whole: bool = False
    removed: int | None = None


@dataclass(slots=True)
class _View:
    """What is counted from a moment on (ms): how far which bucket was read, and of how many decisions."""

    from_ms: int
    tally: Tally
    buckets: dict[int, _Bucket] = field(default_factory=dict)
    decisions: int = 0
    read_s: float = float("-inf")

    @property
    def whole(self) -> int:
        """How many buckets are counted to the end."""
        return sum(bucket.whole for bucket in self.buckets.values())

    def begin_again(self) -> None:
        """Forget what was counted: what was erased is in sums, from which it cannot be taken."""
        self.tally.clear()
        self.buckets.clear()
        self.decisions = 0


@dataclass(frozen=True, slots=True)
class Insights:
    """Counts for one engine. `stocks()` tells what is known of the supply, `clock()` the time in ms since 1970.

    `stamp` names the strategy, the model and the challenger that are in force.
    """

    stamp: tuple[str, str, str]
    log: Log
    engine: Callable[[], Engine]
    stocks: Callable[[], Stocks]
    clock: Callable[[], int]
    most: int = MOST_DECISIONS
    _views: dict[int, _View] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def insight(self, since_ms: int, step_ms: int, deadline_s: float) -> Insight:
        """Return what there was since a moment, in steps of so many ms.

        Raises `StoreError` when the store fails, `DeadlineExpired` when others count until the time is over.
        """
        now_ms, began_s = self.clock(), time.monotonic()
        ends_s = began_s + min(LONGEST_S, 0.7 * deadline_s)
        view = self._view(since_ms - since_ms % step_ms, step_ms, now_ms)
        complete = await self._read_on(view, ends_s, deadline_s)
        told = await self._alone(lambda: _told(view, since_ms, now_ms + 1), began_s + deadline_s)
        return Insight(told, view.whole, complete, self.stocks())

    def _view(self, from_ms: int, step_ms: int, now_ms: int) -> _View:
        view = self._views.pop(step_ms, None)
        if view is None or view.from_ms > from_ms:
            actions = tuple(action.id for action in self.engine().strategy.actions)
            view = _View(from_ms, Tally(step_ms, actions))
        self._views[step_ms] = view  # the last that was wanted is the last to go
        while len(self._views) > MOST_VIEWS:
            del self._views[next(iter(self._views))]
        view.tally.forget_before(min(from_ms, now_ms - MOST_STEPS_KEPT * step_ms))
        return view

    async def _read_on(self, view: _View, ends_s: float, deadline_s: float) -> bool:
        """Count what is new until that is all, or the time is over; tell whether it is all."""
        if time.monotonic() - view.read_s < AGAIN_AFTER_S:
            return True
        first = 0
        while first < BUCKETS:
            numbers = [_STEP * place % BUCKETS for place in range(first, first + AT_ONCE)]
            todo = [one for one in numbers if one in view.buckets or view.decisions < self.most]
            first += AT_ONCE
            while todo:
                if time.monotonic() > ends_s:
                    return False
                try:
                    todo = await self._alone(partial(self._pages, view, todo, deadline_s), ends_s)
                except DeadlineExpired:
                    return False
                except _Removed:
                    first, todo = 0, []
        view.read_s = time.monotonic()
        return True

    async def _pages(self, view: _View, numbers: Sequence[int], deadline_s: float) -> list[int]:
        """Count the next page of each of these buckets; return those that have more."""
        start = f"{view.from_ms - 1}-999999"
        buckets = [view.buckets.setdefault(one, _Bucket(start, start)) for one in numbers]
        removed = await asyncio.gather(*(self.log.removed(one, deadline_s) for one in numbers))
        if any(bucket.removed not in (None, now) for bucket, now in zip(buckets, removed, strict=True)):
            view.begin_again()
            raise _Removed
        for bucket, now in zip(buckets, removed, strict=True):
            bucket.removed = now
        pages = await asyncio.gather(*(self._both(*one, deadline_s) for one in zip(numbers, buckets, strict=True)))
        decided, outcomes = [one for one, _ in pages], [one for _, one in pages]
        if any(page.found for page in decided) or any(page.found for page in outcomes):
            began_s = time.monotonic()
            await beside(lambda: self._count(view, decided, outcomes))
            await asyncio.sleep(RESTS * (time.monotonic() - began_s))
        for bucket, page, other in zip(buckets, decided, outcomes, strict=True):
            bucket.decisions, bucket.outcomes = page.last, other.last
            bucket.whole = page.ends and other.ends
        return [one for one, bucket in zip(numbers, buckets, strict=True) if not bucket.whole]

    async def _both(self, number: int, bucket: _Bucket, deadline_s: float) -> tuple[DecisionPage, OutcomePage]:
        decided = await self.log.decisions(number, bucket.decisions, deadline_s)
        return decided, await self.log.outcomes(number, bucket.outcomes, deadline_s)

    def _count(self, view: _View, decided: Sequence[DecisionPage], outcomes: Sequence[OutcomePage]) -> None:
        engine = self.engine()
        for page in decided:
            for kept in page.found:
                view.tally.decided(kept, engine)
            view.decisions += len(page.found)
        for other in outcomes:
            for _, came in other.found:
                view.tally.came(came)

    async def _alone(self, work: Callable[[], Awaitable[T]], ends_s: float) -> T:
        """Work one after the other; whoever gives up waiting does not break off what is half counted.

        Raises `DeadlineExpired` when the turn does not come until then.
        """
        try:
            async with asyncio.timeout(max(0.0, ends_s - time.monotonic())):
                await self._turn.acquire()
        except TimeoutError:
            raise DeadlineExpired from None
        working = asyncio.ensure_future(work())
        working.add_done_callback(self._next)
        return await asyncio.shield(working)

    def _next(self, done: asyncio.Future[T]) -> None:
        self._turn.release()
        if not done.cancelled():
            done.exception()  # nobody may be there to see it


async def _told(view: _View, since_ms: int, until_ms: int) -> Told:
    """Return what was counted from one moment to another."""
    return await beside(lambda: view.tally.told(since_ms, until_ms))
