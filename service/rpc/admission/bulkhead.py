"""A bulkhead for batches: what takes long to work on does not take all of the event loop and the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.errors import DeadlineExpired, Overloaded

AT_ONCE = 2
"""How many batches of a process are at work beside decisions: one is sorted out, while the store works on the other."""
ALONE = 8
"""How many where no decisions are made: then nobody minds, and more are quicker."""
MOST_WAITING = 32
COME_AGAIN_S = 1.0
INSIGHTS = 2
"""How many count for insight at once, whether decisions are made or not: they take turns."""
MOST_FOR_INSIGHT = 8
"""How many wait for that; the next are told to come again."""


def _always() -> bool:
    return True


class Bulkhead:
    """Lets few batches at a time work while decisions are made, which `deciding` tells; the others wait in their order.

    A stream may always wait, as it sends no more meanwhile; of other batches `most_waiting` may.
    """

    def __init__(
        self,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        deciding: Callable[[], bool] = _always,
        alone: int = ALONE,
    ) -> None:
        self._at_once, self._alone, self._most_waiting = at_once, alone, most_waiting
        self._deciding = deciding
        self._working = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._calls = 0

    @asynccontextmanager
    async def place(self, deadline_s: float, *, streamed: bool = False) -> AsyncIterator[None]:
        """Wait for a place for at most so long, and hold it.

        Raises `Overloaded` when too many wait and `DeadlineExpired` when the time is over: then nothing was done.
        """
        if not self._waiting and self._working < self._most():
            self._working += 1
        elif not streamed and self._calls >= self._most_waiting:
            raise Overloaded(COME_AGAIN_S)
        else:
            await self._wait(deadline_s, streamed)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, deadline_s: float, streamed: bool) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._calls += not streamed
        try:
            async with asyncio.timeout(deadline_s):
                await place
        except BaseException as error:
            if not place.cancelled():  # the place was given in the same turn of the loop
                self._give_back()
            else:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise DeadlineExpired from None
            raise
        finally:
            self._calls -= not streamed

    def _most(self) -> int:
        return self._at_once if self._deciding() else self._alone

    def _give_back(self) -> None:
        self._working -= 1
        most = self._most()
        while self._waiting and self._working < most:
            if not (next_one := self._waiting.popleft()).done():
                self._working += 1
                next_one.set_result(None)


def insights_alone() -> Bulkhead:
    """Return places for those who count for insight."""
    return Bulkhead(INSIGHTS, MOST_FOR_INSIGHT, alone=INSIGHTS)
