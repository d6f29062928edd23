"""An export leaves out nothing of what a decision weighed, nor what cannot be read, and takes no time for another."""

from __future__ import annotations

from typing import Any

from redis import Redis

from service.core import plan
from service.core.decision import Bound, Committed, Take
from service.core.engine import Engine
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.rights import KeptDecision
from service.core.words import Words
from service.decide import Decider
from service.rpc.checks import timestamp
from service.rpc.convert_rights import decision_item
from service.rpc.plain import moment_text, plain
from service.store import keys
from tests.rpc.test_rights import DAY_MS, everything, live, world
from tests.rpc.world import NOW_MS, edge_of, store_at, strategy

TAKE = Take("sim", "sim card", "north", 2, 90_500)


def candidate(action: str, probability: float) -> Candidate:
    """Return a candidate."""
    return Candidate(action, 0.5, 0.25, 12.5, probability, False)


def an_entry(version: str) -> Entry:
    """Return the entry of a decision for two placements, of which the second was drawn to learn from."""
    first = PlacementPlan("greeting", (candidate("greet", 1.0),), 1, False, None)
    second = PlacementPlan("hero", (candidate("sim", 0.0625), candidate("phone", 0.9375)), 7, True, None)
    return Entry(
        "0" * 26, "anna", "web", NOW_MS, version, "", "full", (), None, (), (0.25, 0.75), (first, second), (TAKE,)
    )  # fmt: skip


async def choices_of(url: str, version: str) -> list[dict[str, Any]]:
    """Return what an export tells was weighed in a decision whose second best held a cap in the last moment."""
    entry = an_entry(version)
    committed = Committed(plan.pack(entry), b"", (0, -1), (Bound(1, 1, "c", 9), Bound(1, 0, "d", 8)), True)
    async with store_at(url) as store:
        decider = Decider(Engine(strategy(), None), store.customers, bytes, lambda: NOW_MS)
        edge = edge_of(decider, store)
        item = decision_item("anna", KeptDecision(NOW_MS, entry, committed), edge, Words.of(strategy()))
    return list(plain(item.decision)["choices"])


async def test_all_that_was_weighed_is_told(store_url: str) -> None:
    """Dice, the pool of exploration, what caps held back, and what an action takes are each told at their placement."""
    first, second = await choices_of(store_url, strategy().version)
    assert (first["draw"], first["held_back"], first["pool"], first["explored"]) == (0.25, [], 1, False)
    assert (second["draw"], second["held_back"], second["pool"], second["explored"]) == (0.75, [1, 0], 7, True)
    assert [one["action_id"] for one in second["candidates"]] == ["sim", "phone"]
    assert [one["probability"] for one in second["candidates"]] == [0.0625, 0.9375]
    taken = {"item": "sim card", "place": "north", "units": 2, "hold_seconds": 90.5}
    assert [one.get("take") for one in second["candidates"]] == [taken, None]


async def test_what_cannot_be_read_is_told_as_it_stands(clean_store_url: str) -> None:
    """Bytes in the context and in the log that mean nothing belong to the person as well."""
    async with world(clean_store_url) as at:
        await live(at.client, "anna")
        with Redis.from_url(clean_store_url) as raw:
            raw.hset(keys.context_key("anna"), mapping={"k": b"\xc1 no uses", "z": b"of another version"})
            raw.xadd(keys.log_key(keys.bucket("anna")), {"i": "anna", "e": b"\xc1 no entry"})
        told = await everything(at.client, "anna")
    remnants = {(one["kind"], one["name"]): one["content"] for one in told["remnant"]}
    assert remnants == {
        ("context", "k"): b"\xc1 no uses", ("context", "z"): b"of another version", ("decision", ""): b"\xc1 no entry",
    }  # fmt: skip
    assert {one["customer_id"] for one in told["remnant"]} == {"anna"}


async def test_when_it_happened_is_not_when_it_arrived(clean_store_url: str) -> None:
    """An outcome is told with the moment it happened at and, apart from it, the moment at which the store took it."""
    async with world(clean_store_url) as at:
        await live(at.client, "anna")
        with Redis.from_url(clean_store_url) as raw:
            out = keys.out_key(keys.bucket("anna"))
            ((_, fields),) = raw.xrange(out)
            late = int(raw.xadd(out, {**fields, b"t": b"%d" % (NOW_MS - DAY_MS)}).partition(b"-")[0])
        *_, told = (await everything(at.client, "anna"))["outcome"]
    assert told["outcome"]["occurred_at"] == moment_text(timestamp(NOW_MS - DAY_MS))
    assert told["arrived_at"] == moment_text(timestamp(late))
