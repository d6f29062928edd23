"""Many at once about one customer: those who got in each other's way go on one after another, and all are decided."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.decide import Decider, Patience
from service.errors import MemoryChanged
from service.turns import Turns
from tests.service.test_memory_races import asked
from tests.service.world import NOW_MS, no_exploration, world
from tests.strategies import SECTIONS

AT_ONCE = 20
OFFERS = range(12)
ACTIONS = SECTIONS["actions"] + "".join(
    f"""\
  - id: offer-{number}
    kind: offer
    says: One of many.
    intents: [upsell]
    group: group-{number}
    value: {60 + number}
    propensity: 0.03
    treatments: [{{channel: web, placements: [hero], text: An offer.}}]
"""
    for number in OFFERS
)
ONE_STORY_A_GROUP = """\
consistency:
  - {id: story, says: One story., keep: {kinds: [offer]}, for: 7d, until_changes: [], per: [group]}
"""
ONCE_EACH = """\
caps:
  - {id: once, says: Once each., count: {kinds: [offer]}, at_most: 1, within: 7d, per: [action]}
"""


async def test_many_at_once_about_one_customer_are_all_decided(clean_store_url: str, tmp_path: Path) -> None:
    """Twenty who give another promise each stand in each other's way: all are decided, each offer is made once."""
    async with world(
        clean_store_url, tmp_path, policy=ONE_STORY_A_GROUP, caps=ONCE_EACH, actions=ACTIONS, guardrails=None
    ) as tact:
        await tact.agreed("ann", "full", "email")
        decider = Decider(tact.engine, tact.store.customers, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        decisions = await asyncio.gather(*(decider.decide(asked("ann"), 20.0) for _ in range(AT_ONCE)))
    assert all(decision.decision_id for decision in decisions)
    offered = [decision.answers[0].action for decision in decisions if decision.answers[0].kind == "offer"]
    assert len(offered) == len(set(offered)) > len(OFFERS)


async def test_turns_come_in_the_order_of_asking() -> None:
    """One at a time about one customer; who asks about another does not wait, and nothing is kept afterwards."""
    turns, told, first_may_end = Turns(), list[str](), asyncio.Event()

    async def one(customer: str, name: str) -> None:
        async with turns.turn(customer, 5.0):
            told.append(f"{name} begins")
            if name == "first":
                await first_may_end.wait()
        told.append(f"{name} ends")

    tasks = [asyncio.create_task(one("ann", name)) for name in ("first", "second", "third")]
    await asyncio.sleep(0)
    await one("bob", "other")
    first_may_end.set()
    await asyncio.gather(*tasks)
    assert told == [
        "first begins", "other begins", "other ends", "first ends",
        "second begins", "second ends", "third begins", "third ends",
    ]  # fmt: skip
    assert not turns._turns


async def test_a_turn_that_does_not_come_in_time_is_given_up() -> None:
    """Who waits longer than there is time, or leaves, is told, and the next one has the turn."""
    turns = Turns()

    async def one(within_s: float) -> bool:
        async with turns.turn("ann", within_s):
            return True

    async with turns.turn("ann", 5.0):
        leaves, waits = asyncio.create_task(one(5.0)), asyncio.create_task(one(5.0))
        with pytest.raises(MemoryChanged):
            await one(0.01)
        leaves.cancel()
    assert await waits
    assert leaves.cancelled()
