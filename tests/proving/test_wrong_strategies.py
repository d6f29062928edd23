"""Strategies with mistakes as people make them are refused, each with a customer whom a running service decides so."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from service.app import start
from service.config import Settings, StorePlace
from service.core.invariants import AtMost
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.proving.proofs import Example, Proof, Ruling
from service.proving.prove import Wanted, prove
from service.rpc.client import Answer, Ask, Outcome, TactClient
from tests.proving.living import DAY_MS, context, lives
from tests.proving.wrong import Mistake, mistakes

HOUR_MS = 3_600_000
ALL = mistakes()
TRIED = int(os.environ.get("TACT_WRONG_STRATEGIES", "3"))
"""How many of them are tried: some of each sort by day, all by night."""
CHOSEN = tuple(dict.fromkeys(ALL[(8 * place) % len(ALL)] for place in range(TRIED))) if len(ALL) > TRIED else ALL


@asynccontextmanager
async def serving(folder: Path, store: str) -> AsyncIterator[TactClient]:
    """Serve a folder in this process, and yield a client."""
    place = StorePlace.parse(store)
    running = await start(Settings(store=place, strategy=folder, port=0, allow_as_of=True, store_wait_s=5.0))
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema) as client:
            yield client
    finally:
        await running.stop()


def broken(mistake: Mistake, folder: Path) -> Proof:
    """Return the proof of the promise that a mistake breaks."""
    strategy = load_strategy(mistake.made_in(folder))
    (proof,) = prove(strategy, Wanted(only=(mistake.breaks,), findings=False)).proofs
    return proof


def test_there_are_twenty_mistakes_and_more() -> None:
    """They are of all the strategies that promise something, and no two are the same edit."""
    assert len({(one.strategy, one.edit, one.instead_of, one.write) for one in ALL}) == len(ALL) >= 20
    assert {one.strategy for one in ALL} == {"demo", "bank", "starbucks"}


@pytest.mark.parametrize("mistake", CHOSEN, ids=lambda mistake: mistake.says)
async def test_a_mistake_breaks_a_promise_for_a_customer_whom_the_service_decides_so(
    mistake: Mistake, tmp_path: Path, clean_store_url: str
) -> None:
    """The promise is broken, told with a customer; who lives as they did is answered so by a running service."""
    proof = broken(mistake, tmp_path / "wrong")
    assert proof.ruling is Ruling.BROKEN
    assert proof.file == "invariants.yaml"
    assert proof.line > 0
    assert proof.example is not None
    folder = mistake.made_in(tmp_path / "served", promised=False)
    strategy = load_strategy(folder)
    promises = load_strategy(tmp_path / "wrong" / mistake.strategy).invariants
    promise = next(one for one in promises if one.written.id == mistake.breaks)
    async with serving(folder, clean_store_url) as client:
        await lives(client, strategy, proof.example, "somebody")
        if isinstance(promise, AtMost):
            assert await heard(client, strategy, proof.example, promise) > promise.at_most
            return
        if proof.example.before:
            await answered(client, strategy, proof.example)
        assert await held_back(client, strategy, proof.example) == []


async def held_back(client: TactClient, strategy: Strategy, example: Example) -> list[Answer]:
    """Return what holds an example's action back, as the service explains it."""
    answer = await client.decide(ask(strategy, example, example.channel, example.now_ms))
    assert not answer["degraded_reasons"] or "store" not in str(answer["degraded_reasons"])
    (fate,) = [fate for fate in answer["explanation"]["actions"] if fate["action_id"] == example.action]
    assert any(place["passed"] != "unspecified" for place in fate["placements"])  # it has words there
    return list(fate["vetoes"])


async def answered(client: TactClient, strategy: Strategy, example: Example) -> None:
    """Have it said to the customer, and let them answer so."""
    (before,) = example.before
    at_ms = example.now_ms - before.ago_ms
    place = before.channel, before.placement
    there = [one for one in strategy.actions if place in {(each.channel, each.placement) for each in one.treatments}]
    others = [one.id for one in there if one.id != before.action]
    for other in others:
        await client.control.switch_off(other, because="so that one action alone can be said")
    answer = await client.decide(replace(ask(strategy, example, before.channel, at_ms), placements=(before.placement,)))
    said = answer["decision_id"]
    outcome = Outcome(said, before.action, before.answered, occurred_at=at_ms)
    results = await client.record_outcomes([outcome])
    assert before.action in str(answer["answers"]), results
    for other in others:
        await client.control.switch_on(other)


async def heard(client: TactClient, strategy: Strategy, example: Example, promise: AtMost) -> int:
    """Return how many contacts that a promise counts a customer hears within its window, asked hour by hour."""
    first_ms = example.now_ms - max((one.ago_ms for one in example.before), default=0)
    counted, window_ms = 0, DAY_MS // 2 if promise.daily else promise.within_ms
    kinds = {action.id: action.kind for action in strategy.actions}
    for at_ms in range(first_ms, first_ms + window_ms, 7 * HOUR_MS if not promise.daily else HOUR_MS):
        for channel in strategy.channels:
            answer = await client.decide(ask(strategy, example, channel.id, at_ms))
            said = [one["offer"]["action_id"] for one in answer["answers"] if "offer" in one]
            counted += sum(kinds[action] in promise.count.kinds for action in said)
        if counted > promise.at_most:
            break
    return counted


def ask(strategy: Strategy, example: Example, channel: str, at_ms: int) -> Ask:
    """Ask at every placement of a channel, with the facts that come with a request."""
    placements = next(one.placements for one in strategy.channels if one.id == channel)
    return Ask("somebody", channel, placements, context(strategy, example), explain=True, as_of=at_ms)
