"""The shop over a real store: a decider with its warehouse, in one process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from models.context import Scalar
from service.core.decision import Answer, Request, Take
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.records import OutcomeRecord, OutcomeStatus
from service.core.supplies import SupplyReport
from service.decide import Decider, Patience
from service.store.store import Store
from service.supply.warehouse import Warehouse
from tests.service.shop import HOUR_MS, now_ms, write_shop
from tests.service.world import no_exploration
from tests.store.patience import patient

DEADLINE_S = 10.0
ACCEPTED, REFUSED, NOT_NOW, NEVER = 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Shop:
    """The parts that a test talks to; nothing runs in the background unless a test opens the warehouse."""

    decider: Decider
    store: Store
    warehouse: Warehouse
    engine: Engine

    async def report(self, available: int, place: str = "north", item: str = "phone") -> None:
        """Report what there is now, for an hour, and let the book know."""
        await asyncio.sleep(0.002)  # of two reports of one moment the first is in force
        now = now_ms()
        await self.store.supply.report(SupplyReport(item, place, available, now, now + HOUR_MS), DEADLINE_S)
        await self.warehouse.book.refresh()

    async def left(self, place: str = "north", item: str = "phone") -> int:
        """Return what is free in the store."""
        stock = await self.store.supply.stock(item, place, DEADLINE_S)
        assert stock is not None
        return stock.free

    def request(self, customer: str, key: str = "", place: str = "north", *placements: str) -> Request:
        """Ask for a customer who looks at a place."""
        context: dict[int, Scalar] = {self.engine.strategy.schema.index["present.place"]: place}
        return Request(customer, "web", placements or ("hero",), context, idempotency_key=key)

    async def said(self, customer: str, key: str = "", place: str = "north") -> tuple[str, Answer]:
        """Decide for a customer; return the decision's id and its one answer."""
        decision = await self.decider.decide(self.request(customer, key, place), DEADLINE_S)
        assert decision.decision_id
        return decision.decision_id, decision.answers[0]

    async def told(self, decision: str, kind: int, action: str = "phone", at_ms: int | None = None) -> OutcomeStatus:
        """Tell what came of a decision."""
        outcome = OutcomeRecord(decision, action, kind, at_ms, 0.0)
        return await self.warehouse.outcomes.record_outcome(outcome, DEADLINE_S)

    async def empty(self, place: str = "north", item: str = "phone") -> None:
        """Take all that is left, as another process would, without the book being told."""
        take = Take("other", item, place, await self.left(place, item), HOUR_MS)
        assert (await self.store.supply.grant(take, "elsewhere", DEADLINE_S))[0]


@asynccontextmanager
async def shop(url: str, folder: Path, process: str = "here", **changes: str) -> AsyncIterator[Shop]:
    """Open the shop over the store at `url`."""
    strategy = load_strategy(write_shop(folder / f"shop-{process}", **changes))
    engine = Engine(strategy, None)
    groups = {level.id: "".join(p.group for p in level.purposes) for level in strategy.levels}
    async with patient(url) as connections:
        store = Store.over(connections, groups, strategy.levels[0].id)
        warehouse = Warehouse.of(
            strategy, store.customers, store.outcomes, store.supply, store.demand, store.issued, process
        )
        patience = Patience(most_s=5.0)
        decider = Decider(engine, warehouse.decisions, no_exploration, now_ms, patience, warehouse.book)
        yield Shop(decider, store, warehouse, engine)
        await warehouse.close()


def new_process() -> str:
    """Return a name for a process."""
    return os.urandom(4).hex()
