"""The warehouse: everything about supply and demand that one process needs, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from service.core.strategy import Strategy
from service.decide import DecisionStore
from service.supply.book import Book, Supply
from service.supply.demand import Demands, Tally
from service.supply.doubts import Decisions, Doubts
from service.supply.granting import Granting, Grants
from service.supply.naming import Named, Names
from service.supply.settling import Leases, Outcomes, Settling

log = logging.getLogger(__name__)


class SupplyAndLeases(Supply, Grants, Leases, Protocol):
    """Knows what there is and who holds it."""


@dataclass(slots=True)
class Warehouse:
    """The book and the tally of a process, and the stores around which they stand."""

    book: Book
    tally: Tally
    doubts: Doubts
    decisions: DecisionStore
    outcomes: Outcomes
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        strategy: Strategy,
        decisions: DecisionStore,
        outcomes: Outcomes,
        supply: SupplyAndLeases,
        demands: Demands,
        issued: Decisions,
        process: str,
    ) -> Warehouse:
        """Stand around the stores of decisions and outcomes; `process` names this process among all others.

        Where no action consumes anything decisions go straight to their store.
        """
        named = Named(demands, supply, Names.of(strategy.demand, strategy.schema))
        book, tally, doubts = Book(supply), Tally(named, process), Doubts(issued, supply)
        consuming = any(action.consumes for action in strategy.actions)
        around: DecisionStore = Granting(decisions, supply, book, tally, doubts) if consuming else decisions
        return cls(book, tally, doubts, around, Settling(outcomes, supply, tally))

    def open(self) -> None:
        """Keep the book fresh, tell the demand and look after doubtful units, until closed."""
        work = (self.book.keep_fresh, self.tally.keep_telling, self.doubts.keep_looking)
        self._tasks = [asyncio.create_task(_unfailing(one)) for one in work]

    async def close(self) -> None:
        """Stop, and tell what was counted and not yet told."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
            await self.tally.tell()
        self._tasks = []


async def _unfailing(work: Callable[[], Awaitable[None]]) -> NoReturn:
    """Do what never ends, anew whenever it fails all the same: each of these begins with a pause."""
    while True:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - a defect in one round must not end all that would come after it
            log.error("the supply's background failed and goes on: %s", type(error).__name__)
