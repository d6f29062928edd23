"""The book: what one process knows of the supply, read again each second for as long as decisions ask for it.

What it says can be a second old (longer while the store is slow). That decides who is offered something, never how much
is granted: that is counted exactly, in the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from typing import Protocol

from service.core.stock import Shelf, Stock, Stocks
from service.errors import StoreError

log = logging.getLogger(__name__)

REFRESH_S = 1.0
UNASKED_S = 600.0  # how long an item at a place is read again that no decision asks for
MOST_SHELVES = 4_096
READ_AT_ONCE = 128
READ_WITHIN_S = 1.0


class Supply(Protocol):
    """Knows what is free. Raises StoreError when the store fails or is too slow."""

    async def stock(self, item: str, place: str, deadline_s: float) -> Stock | None:
        """Return what is free; None when it was never reported."""
        ...


class Book:
    """Keeps what is free of the items and places that decisions ask for, at most 4,096: the least asked for leave.

    `stocks` is replaced, never changed, so that a decision sees one moment. What could not be read for 10 refreshes is
    not known any more.
    """

    def __init__(self, supply: Supply, refresh_s: float = REFRESH_S) -> None:
        self._supply = supply
        self._refresh_s = refresh_s
        self._asked: dict[Shelf, float] = {}
        self._failures = 0
        self._away = False
        self.stocks: Stocks = {}

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Read what the book does not list yet, and return the book; raise StoreError when that fails."""
        self.ask(shelves)
        await self._read(list(shelves), deadline_s)
        return self.stocks

    def ask(self, shelves: Iterable[Shelf]) -> None:
        """Note that decisions want to know of these."""
        now = asyncio.get_running_loop().time()
        for shelf in shelves:
            self._asked.pop(shelf, None)
            self._asked[shelf] = now
        while len(self._asked) > MOST_SHELVES:
            del self._asked[next(iter(self._asked))]

    def note(self, shelf: Shelf, free: int) -> None:
        """Correct what is free, as a grant has just told."""
        stock = self.stocks.get(shelf)
        if stock is not None:
            self.stocks = {**self.stocks, shelf: Stock(free, stock.observed_ms, stock.expires_ms)}

    def note_back(self, shelf: Shelf, units: int) -> None:
        """Correct what is free by units that were given back."""
        stock = self.stocks.get(shelf)
        if stock is not None:
            self.note(shelf, stock.free + units)

    async def renew(self, item: str, place: str) -> None:
        """Read again what is free of an item at a place, where decisions ask for it; raise StoreError."""
        if (item, place) in self.stocks:
            await self._read([(item, place)], READ_WITHIN_S)

    async def keep_fresh(self) -> None:
        """Read everything that is asked for again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._refresh_s)
            await self.refresh()

    async def refresh(self) -> None:
        """Read everything that is asked for once; forget what nobody asks for any more, and what was never reported."""
        oldest = asyncio.get_running_loop().time() - UNASKED_S
        wanted = {shelf for shelf, at in self._asked.items() if at > oldest and self.stocks.get(shelf) is not None}
        self._asked = {shelf: at for shelf, at in self._asked.items() if shelf in wanted}
        try:
            await self._read(list(self._asked), READ_WITHIN_S)
        except StoreError as error:
            self._failed(error)
            return
        self._failures, self._away = 0, False
        self.stocks = {shelf: stock for shelf, stock in self.stocks.items() if shelf in self._asked}

    def _failed(self, error: StoreError) -> None:
        self._failures += 1
        if not self._away:
            log.warning("the supply cannot be read: %s", type(error).__name__)
        self._away = True
        if self._failures >= 10:
            self.stocks = {}

    async def _read(self, shelves: list[Shelf], deadline_s: float) -> None:
        for start in range(0, len(shelves), READ_AT_ONCE):
            some = shelves[start : start + READ_AT_ONCE]
            found = await asyncio.gather(*(self._supply.stock(*shelf, deadline_s) for shelf in some))
            self.stocks = {**self.stocks, **dict(zip(some, found, strict=True))}
