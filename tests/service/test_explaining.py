"""A decision is explained later from what was logged of it, and no further than the consent of now allows."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, CallFailed, Event, TactClient, WhatIf
from tests.core.telling import texts_in
from tests.strategies import SECTIONS, write_strategy

KEY = b"a key of the tests, long enough to be one"


@asynccontextmanager
async def served(folder: Path, url: str, **changes: str | None) -> AsyncIterator[tuple[Running, TactClient]]:
    """Serve the small strategy over a store, its sections changed."""
    written = write_strategy(folder, **changes)
    place = StorePlace.parse(url)
    running = await start(Settings(place, written, erasure_key=KEY, port=0, reload=False, store_wait_s=5.0))
    try:
        async with TactClient(running.address, schema=running.strategy.schema) as tact:
            yield running, tact
    finally:
        await running.stop(0.0)


async def ticketed(tact: TactClient, level: str = "full") -> str:
    """Make a customer with an open ticket, decide about them, and return the decision's id."""
    await tact.set_consent("carla", level, ["email"], source="test")
    now_ms = int(time.time() * 1000)
    opened = Event("e1", "carla", "ticket.opened", now_ms - 60_000, {"ticket": "t1"})
    assert (await tact.record_events([opened]))["results"]
    decided = await tact.decide(Ask("carla", "web", ("hero",), explain=True))
    assert decided["decision_id"]
    return str(decided["decision_id"])


def checks(told: Answer) -> dict[str, Answer]:
    """Return the checks of all actions by their rule."""
    return {check["rule_id"]: check for fate in told["explanation"]["actions"] for check in fate["checks"]}


async def test_it_is_explained_later_with_what_was_observed(tmp_path: Path, clean_store_url: str) -> None:
    """The open ticket of then is told against its bound, though the ticket is closed by now."""
    async with served(tmp_path / "strategy", clean_store_url) as (_, tact):
        decision = await ticketed(tact)
        now_ms = int(time.time() * 1000)
        await tact.record_events([Event("e2", "carla", "ticket.closed", now_ms, {"ticket": "t1"})])
        told = await tact.explain_decision(decision)
    assert (told["incomplete"], told["withheld"], told["decision_id"]) == ("", False, decision)
    seen = [one for check in checks(told).values() for one in check["comparisons"] if one.get("observed") == 1]
    assert {one["expression"] for one in seen} == {"past.open_tickets > 0"}
    assert {field["field_id"] for field in told["explanation"]["fields"] if field.get("value") == 1} >= {
        "past.open_tickets"
    }


async def test_what_is_agreed_to_no_more_is_withheld(tmp_path: Path, clean_store_url: str) -> None:
    """Once the consent is withdrawn, nothing that rested on it is told; with it given again, it is."""
    async with served(tmp_path / "strategy", clean_store_url) as (_, tact):
        decision = await ticketed(tact)
        before = await tact.explain_decision(decision)
        await tact.set_consent("carla", "none", source="test")
        told = await tact.explain_decision(decision, what_if=WhatIf("fibre-upgrade"))
        await tact.set_consent("carla", "full", ["email"], source="test")
        assert await tact.explain_decision(decision) == before
    assert told["withheld"]
    assert told["explanation"]["fields"] == []
    assert checks(told) == {}
    assert not {text for text in texts_in(told) if text.startswith(("past.", "present."))}
    assert told["what_would_change"]["verdict"] == "withheld"


async def test_it_is_explained_by_the_strategy_of_then(tmp_path: Path, clean_store_url: str) -> None:
    """Another process, which has another strategy in force, explains by the archived one that decided."""
    async with served(tmp_path / "one", clean_store_url) as (_, tact):
        decision = await ticketed(tact)
        before = await tact.explain_decision(decision)
    other = SECTIONS["strategy"].replace("explore: 0.05", "explore: 0.2")
    assert other != SECTIONS["strategy"]
    async with served(tmp_path / "two", clean_store_url, strategy=other) as (running, tact):
        told = await tact.explain_decision(decision)
        assert told["versions"]["strategy"] != running.strategy.version
        assert told == before
        await running.generations.current.ground.ways.quick.execute("DEL", _part(told))
        running.generations.current.edge.explaining.engines._made.clear()  # type: ignore[attr-defined]
        gone = await tact.explain_decision(decision)
    assert "explanation" not in gone
    assert "is not archived" in gone["incomplete"]
    assert gone["answers"] == before["answers"]


def _part(told: Answer) -> str:
    return f"tact:{{archive}}:strategy:{told['versions']['strategy']}"


async def test_there_is_nothing_to_explain_of_nobody(tmp_path: Path, clean_store_url: str) -> None:
    """A decision that was never made is not found, and an action that there is not is named as such."""
    async with served(tmp_path / "strategy", clean_store_url) as (_, tact):
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await tact.explain_decision("0ab" + "2" * 23)
        with pytest.raises(CallFailed, match="no action `nobody`"):
            await tact.explain_decision(await ticketed(tact), what_if=WhatIf("nobody", "win"))


async def test_of_who_was_erased_nothing_is_explained(tmp_path: Path, clean_store_url: str) -> None:
    """What was decided about somebody who was erased is gone, and so is every explanation of it."""
    async with served(tmp_path / "strategy", clean_store_url) as (_, tact):
        decision = await ticketed(tact)
        assert (await tact.explain_decision(decision))["answers"]
        await tact.rights.erase("carla")
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await tact.explain_decision(decision)
    with Redis.from_url(clean_store_url) as store:
        store.flushdb()  # who was erased binds a store to the key, and others use it after this


async def test_a_repeated_decision_is_explained_later(tmp_path: Path, clean_store_url: str) -> None:
    """What an answer that is repeated does not tell any more, is told when it is asked for by its decision."""
    async with served(tmp_path / "strategy", clean_store_url) as (_, tact):
        await tact.set_consent("dora", "full", source="test")
        first = await tact.decide(Ask("dora", "web", ("hero",), explain=True, idempotency_key="k"))
        again = await tact.decide(Ask("dora", "web", ("hero",), explain=True, idempotency_key="k"))
        told = await tact.explain_decision(first["decision_id"])
    assert "explanation" not in again
    assert told["explanation"]["placements"] == first["explanation"]["placements"]
    assert told["answers"] == first["answers"]
