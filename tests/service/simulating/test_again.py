"""Logged decisions made again under another strategy: the same one says the same, another one has its own past."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.rules import Kind
from service.core.strategy import Strategy
from service.simulating.logged import Logged, decisions_of
from tests.service.simulating.world import (
    BEGINS_MS,
    DAY_MS,
    again,
    at_most,
    loaded,
    logged_in,
    row,
    serve_and_export,
    small,
)
from tests.strategies import edited

WEEK = 7
HELD = (
    "caps:\n  - {id: seen-once, says: Once a week., count: {kinds: [offer]}, at_most: 1, within: 7d, counts: shown, "
    "hold: 60m}\n"
)
Log = list[tuple[Logged, ...]]


@pytest.fixture(scope="module")
def strategies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Strategy]:
    """Load the small strategy, and some that differ in one thing."""
    folder = tmp_path_factory.mktemp("strategies")
    changes: dict[str, dict[str, str | None]] = {
        "same": {},
        "once": {"caps": at_most(1)},
        "five": {"caps": at_most(5)},
        "once, no promises": {"caps": at_most(1), "consistency": None},
        "held": {"caps": HELD, "consistency": None},
        "no caps": {"caps": None},
        "no rests": {"cool_offs": None},
        "no promises": {"consistency": None},
        "permitted": {"channels": edited("channels", "permission: true", "permission: false")},
    }
    return {name: loaded(small(folder / name.replace(" ", "-"), **change)) for name, change in changes.items()}


@pytest.fixture
def log(clean_store_url: str, tmp_path: Path, strategies: dict[str, Strategy]) -> Log:
    """Return the log of a real service."""
    asyncio.run(serve_and_export(clean_store_url, small(tmp_path / "small"), tmp_path / "log"))
    return logged_in(tmp_path / "log", strategies["same"])


def otherwise(log: Log, strategy: Strategy) -> int:
    """Return in how many rows a strategy says something else than the log."""
    return sum(row.action != said for row, said in again(log, strategy))


def test_the_strategy_of_the_log_says_the_same_everywhere(log: Log, strategies: dict[str, Strategy]) -> None:
    """With what was seen of caps, refusals, promises, permission and the switch nothing changes; without any one of
    these something would.
    """
    beside = [logged.head.beside for one in log for logged in one if logged.head.beside]
    assert sum(map(len, log)) == len(beside) == 100
    for told in ("used", "refusals", "promises", "off"):
        assert any(getattr(one, told) for one in beside), told
    assert not all(one.permitted for one in beside)
    assert otherwise(log, strategies["same"]) == 0
    assert {name for name, one in strategies.items() if otherwise(log, one) > 0} >= {
        "once", "five", "no caps", "no promises", "permitted",
    }  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 20 * DAY_MS), min_size=1, max_size=14, unique=True),
    st.sampled_from([("once", 1), ("same", 2), ("five", 5)]),
    st.booleans(),
)
def test_a_cap_binds_in_the_simulated_life(
    strategies: dict[str, Strategy], moments: list[int], cap: tuple[str, int], said: bool
) -> None:
    """Whatever the log said, what is said instead never exceeds the cap of the strategy that is tried, in any week; and
    it is used wherever it allows.
    """
    strategy, most = strategies[cap[0]], cap[1]
    action = "new-phone" if said else ""
    rows = [row(number, BEGINS_MS + at, action) for number, at in enumerate(sorted(moments))]
    offers = _offers(strategy)
    made = [at.at_ms for at, now in again(list(decisions_of(rows)), strategy) if now in offers]
    for one in rows:
        before = [at for at in made if one.at_ms - WEEK * DAY_MS < at < one.at_ms]
        assert (one.at_ms in made) is (len(before) < most)


@pytest.mark.parametrize(("minutes", "offers"), [(59, 1), (60, 2)])
def test_what_is_only_held_is_free_again(strategies: dict[str, Strategy], minutes: int, offers: int) -> None:
    """A contact that counts only when it is shown, of which the log tells nothing, counts for as long as it is held."""
    rows = [row(1, BEGINS_MS), row(2, BEGINS_MS + minutes * 60_000)]
    said = again(list(decisions_of(rows)), strategies["held"])
    assert sum(now in _offers(strategies["held"]) for _, now in said) == offers


def test_a_row_that_stands_there_twice_counts_once() -> None:
    """A log that was exported twice into one folder is no other log."""
    rows = [row(1, BEGINS_MS, placement="greeting"), row(1, BEGINS_MS), row(2, BEGINS_MS + 1)]
    assert list(decisions_of([*rows, *rows])) == list(decisions_of(rows))


def test_one_decision_says_an_action_and_uses_a_cap_once(strategies: dict[str, Strategy]) -> None:
    """At two placements of one decision nothing is said twice, and a cap that one uses up holds back the other."""
    rows = [row(1, BEGINS_MS, placement="greeting"), row(1, BEGINS_MS, placement="hero")]
    for name, most in (("once, no promises", 1), ("no promises", 2)):
        said = Counter(now for _, now in again(list(decisions_of(rows)), strategies[name]))
        assert sum(count for action, count in said.items() if action in _offers(strategies[name])) == most
        assert max(said.values()) == 1


def test_a_no_rests_by_the_rules_of_the_strategy_that_is_tried(strategies: dict[str, Strategy]) -> None:
    """What a customer had said no to is not said while a cool-off of the strategy lasts, else it is."""
    refusal = {"action": "fibre-upgrade", "kind": "refused", "at": BEGINS_MS - DAY_MS, "mark": "0a"}
    log = [(Logged((row(1, BEGINS_MS, seen={"refusals": [refusal]}),)),)]
    said = {name: again(log, strategies[name])[0][1] for name in ("same", "no rests")}
    assert said == {"same": "new-phone", "no rests": "fibre-upgrade"}


@pytest.mark.parametrize("where", ["hero", "attic"], ids=["same", "otherwise"])
def test_what_the_log_counted_holds_as_long_as_the_same_is_said(strategies: dict[str, Strategy], where: str) -> None:
    """A contact and a promise of an earlier decision hold where it says the same; where it says something else they are
    taken away.
    """
    day, counter = BEGINS_MS + DAY_MS, "two-offers-a-week"
    promise = {"key": "one-story", "action": "new-phone", "given": BEGINS_MS, "until": BEGINS_MS + 30 * DAY_MS}
    seen = {"promises": [{**promise, "decision_id": "decision-0001", "held": True}]}
    used = {"used": [{"counter": counter, "at": [BEGINS_MS]}]}
    offers = _offers(strategies["same"])
    for name, told in (("same", seen), ("once", used)):
        first = again([(Logged((row(1, BEGINS_MS),)),)], strategies[name])[0][1]
        rows = [row(1, BEGINS_MS, first if where == "hero" else "new-phone", placement=where), row(2, day, seen=told)]
        _, (_, said) = again(list(decisions_of(rows)), strategies[name])
        if name == "same":
            assert said == ("new-phone" if where == "hero" else first) != ""
        else:
            assert (said in offers) is (where == "attic")


@pytest.mark.parametrize(
    ("channel", "placement"), [("fax", "hero"), ("web", "attic"), ("fax", "")], ids=["channel", "placement", "neither"]
)
def test_where_the_strategy_is_not_it_says_nothing(
    strategies: dict[str, Strategy], channel: str, placement: str
) -> None:
    """A channel or placement that a strategy lacks is no error: it says nothing there, and that is a change."""
    there = row(1, BEGINS_MS, "new-phone", placement=placement, channel=channel)
    assert again([(Logged((there,)),)], strategies["same"]) == [(there, "")]


def test_a_level_that_is_not_there_is_the_lowest(strategies: dict[str, Strategy]) -> None:
    """Of a consent that a strategy does not know nothing is taken; of one that a log does not tell, everything."""
    said = {
        level: again([(Logged((row(1, BEGINS_MS, level=level),)),)], strategies["same"])[0][1]
        for level in ("platinum", "", "full")
    }
    offers = _offers(strategies["same"])
    assert said["platinum"] not in offers
    assert said[""] == said["full"] in offers


def _offers(strategy: Strategy) -> set[str]:
    return {action.id for action in strategy.actions if action.kind is Kind.OFFER}
