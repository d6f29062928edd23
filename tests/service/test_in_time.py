"""All that a decision waits for ends at one time: for persons behind aliases, the supply, turns, and repeating."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from service.core.decision import Commit, Committed, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.stock import NOTHING_KNOWN, Shelf, Stocks
from service.decide import Decider, NoBook, Patience
from service.errors import MemoryChanged, StoreError
from service.store import keys
from tests.service import shop
from tests.service.world import NOW_MS, no_exploration, world
from tests.strategies import write_strategy

DEADLINE_S = 0.5
ENDS_S = Patience().in_all * DEADLINE_S
ROUNDED_S = 0.02


class Slow:
    """A store of which reads take so long; commits are refused, and after the first reads nothing answers any more."""

    def __init__(self, reads_s: float, answered: int) -> None:
        self.reads_s = reads_s
        self.answered = answered
        self.until: list[float] = []

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return keys.fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Know that everything is agreed; or nothing, in the time there is."""
        self.until.append(monotonic() + deadline_s)
        self.answered -= 1
        if self.answered < 0:
            await asyncio.sleep(deadline_s)
            raise StoreError("late")
        await asyncio.sleep(self.reads_s)
        return Known(NOW_MS, "full", ("email",), {}, {})

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Refuse it."""
        self.until.append(monotonic() + deadline_s)
        raise MemoryChanged("more is remembered")


class Shelves(NoBook):
    """A book that notes until when it may be looked into."""

    def __init__(self) -> None:
        self.until: list[float] = []

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Find nothing."""
        self.until.append(monotonic() + deadline_s)
        return NOTHING_KNOWN


@pytest.mark.parametrize("at_once", [1, 4])
async def test_who_waits_for_a_turn_waits_no_longer(tmp_path: Path, at_once: int) -> None:
    """Many at once about one customer, and then a store that hangs: all are answered by the time of one."""
    engine = Engine(load_strategy(write_strategy(tmp_path / "strategy", guardrails=None, eligibility=None)), None)
    store = Slow(0.001, at_once)
    decider = Decider(engine, store, no_exploration, lambda: NOW_MS)
    began = monotonic()
    asked = [decider.decide(Request("ann", "web", ("hero",), {}), DEADLINE_S) for _ in range(at_once)]
    decisions = await asyncio.gather(*asked)
    assert monotonic() - began < 0.7 * DEADLINE_S
    assert len(store.until) > 2 * at_once
    assert max(store.until) <= began + ENDS_S + ROUNDED_S
    assert {one.degraded[0].code for one in decisions} == {ReasonCode.STORE_UNAVAILABLE}


async def test_a_look_into_the_supply_is_part_of_the_time(tmp_path: Path) -> None:
    """After a read that took all of its time the supply has what is left, not a time of its own."""
    engine = Engine(load_strategy(shop.write_shop(tmp_path / "strategy")), None)
    store, book = Slow(Patience().share * DEADLINE_S, 1), Shelves()
    decider = Decider(engine, store, no_exploration, lambda: NOW_MS, book=book)
    request = Request("ann", "web", ("hero",), {engine.strategy.schema.index["present.place"]: "north"})
    began = monotonic()
    await decider.decide(request, DEADLINE_S)
    assert book.until
    assert max(*book.until, *store.until) <= began + ENDS_S + ROUNDED_S


async def test_the_person_behind_an_alias_is_read_in_the_time_of_one_read(
    clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first look at an alias took is no longer there for the person."""
    async with world(clean_store_url, tmp_path) as tact:
        await tact.agreed("ann", "full", "email")
        await tact.store.identities.link("web-1", "ann", 5.0)
        customers = tact.store.customers._customers
        send, given = customers._send, list[float]()

        async def slowly(packed: bytes, deadline_s: float) -> Any:  # noqa: ANN401
            given.append(deadline_s)
            await asyncio.sleep(0.05)
            return await send(packed, deadline_s)

        monkeypatch.setattr(customers, "_send", slowly)
        known = await tact.store.customers.read("web-1", None, 5.0)
    assert known.customer == "ann"
    assert given[0] == 5.0
    assert len(given) > 1
    assert max(given[1:]) <= 5.0 - 0.045
