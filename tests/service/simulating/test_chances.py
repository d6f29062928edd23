"""How probably an action is what is said in the end: as the log tells it, placement after placement."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from service.core.strategy import Strategy
from service.simulating.logged import Logged, decisions_of
from service.simulating.worker import Plan, Worker
from tests.logs.world import rows_of
from tests.service.simulating.world import (
    BEGINS_MS,
    DAY_MS,
    again_at,
    at_most,
    loaded,
    logged_in,
    row,
    serve_and_export,
    small,
)
from tests.strategies import edited

MOST = 3
OFFERS = ("fibre-upgrade", "new-phone")
EXPLORES: dict[str, str | None] = {"strategy": edited("strategy", "explore: 0.05", "explore: 0.4")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a strategy that often explores, in whose caps an earlier placement counts."""
    return small(tmp_path / "explores", caps=at_most(MOST), consistency=None, **EXPLORES)


def test_a_strategy_says_everything_as_probably_as_its_log(clean_store_url: str, folder: Path, tmp_path: Path) -> None:
    """On its own log each action has the probability that the log tells, at each placement of a decision; only where a
    cap that an earlier placement used up would hold back another choice, the log knows no more than a bound.
    """
    asyncio.run(serve_and_export(clean_store_url, folder, tmp_path / "log"))
    told = {(one["decision_id"], one["placement"] or ""): one for one in rows_of(tmp_path / "log")}
    seen: Counter[tuple[int, bool]] = Counter()
    for decisions in logged_in(tmp_path / "log", loaded_once(folder)):
        before: list[int] = []
        for logged, found in again_at([decisions], loaded_once(folder)):
            for place, (one, spoken) in enumerate(zip(logged.rows, found.spoken, strict=True)):
                logs = told[one.decision_id, one.placement]
                inside = place > 0 and logged.rows[0].action in OFFERS
                week = [at for at in before if at > one.at_ms - 7 * DAY_MS]
                bound = inside and len(week) >= MOST and any(c["action"] in OFFERS for c in logs["candidates"])
                found_chance = chance(spoken.chances, one.action, folder)
                if bound and one.action:
                    assert found_chance >= logs["probability"] - 1e-9
                elif not bound:
                    assert found_chance == pytest.approx(logs["probability"], abs=1e-9)
                seen[place, bound] += 0.0 < logs["probability"] < 1.0
                before += [one.at_ms] * (one.action in OFFERS)
    assert seen[0, False] > 5
    assert seen[1, False] > 3


@pytest.mark.parametrize("offers", [1, 9])
@pytest.mark.parametrize("kept", [True, False], ids=["promises", "free"])
@pytest.mark.parametrize("first", [0.01, 0.9])
def test_a_probability_is_the_share_of_the_dice(tmp_path: Path, offers: int, kept: bool, first: float) -> None:
    """Whatever the placement before says and uses up, an action is said by as much of the dice as its probability."""
    memory: dict[str, str | None] = {} if kept else {"consistency": None}
    folder, throws = small(tmp_path / "explores", caps=at_most(offers), **EXPLORES, **memory), 40
    known = {"present.waiting": True, "past.open_tickets": 1}
    said: Counter[str] = Counter()
    chances: Mapping[int, float] = {}
    for number in range(throws):
        dice = (first, (number + 0.5) / throws)
        rows = [
            replace(row(number, BEGINS_MS, placement=placement, seen={"draw": draw}), known=known)
            for placement, draw in zip(("greeting", "hero"), dice, strict=True)
        ]
        ((_, found),) = again_at([(Logged(tuple(rows)),)], loaded_once(folder))
        said[found.spoken[1].action] += 1
        chances = found.spoken[1].chances
    for action in {"", *said}:
        assert chance(chances, action, folder) == pytest.approx(said[action] / throws, abs=1.01 / throws)
    assert sum(chances.values()) <= 1.0 + 1e-9


def test_the_table_for_the_training_has_the_policy_of_each_row(tmp_path: Path) -> None:
    """At each placement of a decision stand the chances of that placement, of the strategy and of the other one."""
    folder, other = small(tmp_path / "own", **EXPLORES), small(tmp_path / "other", consistency=None)
    known = {"present.waiting": True}
    rows = [replace(row(1, BEGINS_MS, placement=place), known=known) for place in ("greeting", "hero")]
    Worker(Plan(str(folder), "", (str(other), ""), (), ())).part(rows, tmp_path / "policies.parquet")
    lines = {one["placement"]: one for one in pq.read_table(tmp_path / "policies.parquet").to_pylist()}
    told = []
    for arm, strategy in (("arm.strategy", folder), ("arm.against", other)):
        ((_, found),) = again_at([next(iter(decisions_of(rows)))], loaded_once(strategy))
        for one, spoken in zip(rows, found.spoken, strict=True):
            chances = {index: chance for index, chance in spoken.chances.items() if chance > 0.0}
            assert {one["action"]: one["probability"] for one in lines[one.placement][arm]} == chances
            told.append(chances)
    assert told[0] != told[1] != told[3]  # else any of them would do for the others


@cache
def loaded_once(folder: Path) -> Strategy:
    """Load a strategy, once."""
    return loaded(folder)


def chance(chances: Mapping[int, float], action: str, folder: Path) -> float:
    """Return how probable an action is, or nothing where it is empty."""
    index = {one.id: one.index for one in loaded_once(folder).actions}
    return float(chances.get(index[action], 0.0) if action else 1.0 - sum(chances.values()))
