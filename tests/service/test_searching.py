"""Searches for changes run one at a time beside decisions, end when nobody waits, and aim where something was said."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event as Signal

import pytest

from service.beside import SWITCH_EVERY_S, beside
from service.explaining import TRIES, Explaining
from service.rpc.client import Ask, Event, WhatIf
from tests.core.test_seeking import AMOUNTS, CERTAIN, STEPS, ruled
from tests.service.test_explaining import served, ticketed
from tests.strategies import edited


def explaining() -> Explaining:
    """Return what explains nothing: only how it takes turns is looked at."""
    nothing: dict[str, object] = {}
    return Explaining(nothing.get, nothing, nothing, nothing)  # type: ignore[arg-type]


async def test_a_search_that_nobody_waits_for_still_has_its_turn_until_it_ends() -> None:
    """It is told to stop; its thread goes on giving way and keeps the next search waiting until it has ended."""
    turns, happened, begun, ends = explaining(), list[str](), Signal(), Signal()
    usual = sys.getswitchinterval()

    def first(stop: Callable[[], bool]) -> None:
        happened.append("first begins")
        begun.set()
        ends.wait(10.0)
        happened.append(f"first ends, stopped: {stop()}")

    one = asyncio.create_task(turns._one_at_a_time(turns._seeking, first))
    await asyncio.to_thread(begun.wait, 10.0)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    assert sys.getswitchinterval() == SWITCH_EVERY_S
    two = asyncio.create_task(
        turns._one_at_a_time(turns._seeking, lambda stop: happened.append(f"second, stopped: {stop()}"))
    )
    three = asyncio.create_task(turns._one_at_a_time(turns._seeking, lambda _: happened.append("third")))
    await asyncio.sleep(0.05)  # long enough for a search that does not wait its turn
    three.cancel()
    await asyncio.wait([three])
    ends.set()
    await two
    assert happened == ["first begins", "first ends, stopped: True", "second, stopped: False"]
    assert sys.getswitchinterval() == usual


async def test_threads_that_overlap_give_way_until_the_last_ends() -> None:
    """The one that ends first leaves the others giving way, and the last one puts back what held before the first."""
    usual, begun, ends = sys.getswitchinterval(), [Signal(), Signal()], [Signal(), Signal()]

    def work(at: int) -> None:
        begun[at].set()
        ends[at].wait(10.0)

    both = [asyncio.create_task(beside(lambda at=at: work(at))) for at in (0, 1)]  # type: ignore[misc]
    for event in begun:
        await asyncio.to_thread(event.wait, 10.0)
    ends[0].set()
    await both[0]
    assert sys.getswitchinterval() == SWITCH_EVERY_S
    ends[1].set()
    await both[1]
    assert sys.getswitchinterval() == usual


async def test_a_service_searches_no_longer_than_it_says(tmp_path: Path, clean_store_url: str) -> None:
    """With more settings to try than its budget, it gives up within it, and says so."""
    sections = {"strategy": CERTAIN, "actionable": STEPS, "guardrails": None}
    sections["eligibility"] = ruled(" + ".join(AMOUNTS) + " > 1000000.0")
    async with served(tmp_path / "s", clean_store_url, **sections) as (_, tact):
        await ticketed(tact)
        bought = Event("p1", "carla", "purchase", int(time.time() * 1000) - 1000, {"amount": 5.0, "product": "x"})
        await tact.record_events([bought])
        asked = await tact.decide(Ask("carla", "web", ("hero",), {"present.cart_value": 1.0}))
        told = await tact.explain_decision(asked["decision_id"], what_if=WhatIf("fibre-upgrade", "win", "", 4))
    would = told["what_would_change"]
    assert would["verdict"] == "gave_up"
    assert 1 < would["tries"] <= TRIES == 2_000


async def test_what_was_said_at_any_placement_is_to_lose_there(tmp_path: Path, clean_store_url: str) -> None:
    """Each action that an answer says is asked about where it was said, whichever placement has words for it first."""
    cheap = edited("actions", "value: 120.0", "value: 1.0").replace("value: 3.0", "value: 0.5")
    async with served(tmp_path / "s", clean_store_url, strategy=CERTAIN, actions=cheap, guardrails=None) as (_, tact):
        await ticketed(tact)
        decided = await tact.decide(Ask("carla", "web", ("greeting", "hero")))
        said = [(placed.get("offer") or placed.get("greeting"))["action_id"] for placed in decided["answers"]]
        for action in said:
            would = (await tact.explain_decision(decided["decision_id"], what_if=WhatIf(action)))["what_would_change"]
            assert (would["goal"], would["verdict"] == "already") == ("lose", False), action
            would = await tact.explain_decision(decided["decision_id"], what_if=WhatIf(action, "win"))
            assert would["what_would_change"]["verdict"] == "already", action
    assert said == ["fibre-upgrade", "ticket-status"]
