"""A decider over a real store and the small strategy of the tests."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from models import folds
from models.context import Scalar
from service.core.decision import Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.records import ConsentRecord, EventToFold
from service.decide import Decider, Patience
from service.store.connection import Connections
from service.store.store import Store
from tests.strategies import write_strategy

NOW_MS = 1_770_000_000_000
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class World:
    """The parts that a test talks to. Time is `NOW_MS` for every decision asked through `ask`."""

    decider: Decider
    store: Store
    engine: Engine
    connections: Connections

    async def happened(self, customer: str, event: str, at_ms: int = NOW_MS - DAY_MS, **attributes: Scalar) -> None:
        """Fold one event of a customer."""
        operations = folds.operations(self.engine.strategy.schema, event, attributes)
        name = f"{event}-{at_ms}-{sorted(attributes.items())}"
        await self.store.events.fold(customer, [EventToFold(name, at_ms, operations)], 5.0)

    async def agreed(self, customer: str, level: str, *channels: str) -> None:
        """Set a customer's consent."""
        await self.store.consents.set_consent(customer, ConsentRecord(level, channels, NOW_MS - DAY_MS, "test"), 5.0)

    async def seller(self, customer: str) -> None:
        """Make a customer to whom anything may be sold: all consent, and a ticket that is closed."""
        await self.agreed(customer, "full", "email")
        await self.happened(customer, "ticket.opened", NOW_MS - 3 * DAY_MS, ticket="t1")
        await self.happened(customer, "ticket.closed", NOW_MS - 2 * DAY_MS, ticket="t1")


def ask(customer: str, channel: str = "web", *placements: str, key: str = "", explain: bool = False) -> Request:
    """Ask as of `NOW_MS`, for the hero unless placements are named."""
    return Request(customer, channel, placements or ("hero",), {}, explain, key, "", NOW_MS)


def no_exploration(size: int) -> bytes:
    """Return random bytes for the decision's id, and after them dice that never explore."""
    return os.urandom(12) + b"\xff" * (size - 12)


@asynccontextmanager
async def world(
    url: str, folder: Path, patience: Patience | None = None, **changes: str | None
) -> AsyncIterator[World]:
    """Open a decider over the store at `url` with the small strategy (its sections changed), without a model."""
    strategy = load_strategy(write_strategy(folder / "strategy", **changes))
    engine = Engine(strategy, None)
    connections = Connections(url, timeout_ms=1_000 if patience else 5_000)  # who is not about slowness waits
    groups = {level.id: "".join(p.group for p in level.purposes) for level in strategy.levels}
    store = Store.over(connections, groups, strategy.levels[0].id, schema=strategy.schema)
    try:
        decider = Decider(engine, store.customers, no_exploration, lambda: NOW_MS, patience or Patience(most_s=5.0))
        yield World(decider, store, engine, connections)
    finally:
        await connections.close()
