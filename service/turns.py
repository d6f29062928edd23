"""Turns: whose decisions about one customer got in each other's way decide again one after another.

Each changes what is remembered of the customer, so of many that go on at once only one gets through at a time, and the
others have worked in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from service.errors import MemoryChanged


class Turns:
    """The turns of one process, by customer. Nothing is kept of a customer about whom nobody waits."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, customer: str, within_s: float) -> AsyncIterator[None]:
        """Wait for the turn, first come, first served; raise `MemoryChanged` when it does not come in time."""
        turn = self._turns.setdefault(customer, asyncio.Lock())
        try:
            async with asyncio.timeout(within_s):
                await turn.acquire()
        except TimeoutError:
            raise MemoryChanged("others decide about this customer") from None
        try:
            yield
        finally:
            turn.release()
