"""Learning from its own log, in small: a real service, its log, a training, and the service with what it learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.learning import Learning, Plan
from benchmarks.learning_report import Round, report_of
from benchmarks.learning_world import DAYS, Life, Trying, Value, asked_instead, write_strategy
from service.core.loader import load_strategy
from tests.logs.world import rows_of
from training.report.page import page
from training.strategy import read_strategy
from training.worlds.tastes import STRATEGY

SMALL = Plan(decisions=1_500, customers=300, rounds=(Trying(45, 0.5, 0.3, 0.1), Trying(DAYS, 0.0, 0.0, 0.0)))


def test_a_service_learns_from_its_own_log(tmp_path: Path) -> None:
    """Decisions of a service that knows nothing are exported, learned from, and the next round decides with that."""
    learning = Learning(SMALL, tmp_path)
    learning.run()
    first, second = learning.rounds
    assert (first.model, bool(second.model)) == ("", True)
    assert first.decisions + second.decisions == SMALL.decisions
    assert all(max(one.random, one.said, one.first) < one.best for one in learning.rounds), (
        "there is something to choose"
    )
    assert first.said < first.first, "trying things out costs something"
    assert second.said == pytest.approx(second.first, abs=0.01), "where nothing is tried out, the first choice is said"
    assert second.first > second.random, "what was learned is better than chance"
    rows = rows_of(tmp_path / "log")
    assert len({row["decision_id"] for row in rows}) == len(rows) == SMALL.decisions
    assert {row["model"] for row in rows} == {None, f"demo@{second.model}"}
    assert all(0.0 < row["probability"] <= 1.0 for row in rows)
    drawn = [row for row in rows if row["policy"] == "epsilon_greedy" and row["allowed"]]
    assert drawn
    for row in drawn:
        assert sum(one["probability"] for one in row["candidates"]) == pytest.approx(1.0)
        assert row["action"] in row["allowed"] or row["action"] == "nothing"
    assert sum(pq.read_metadata(part).num_rows for part in (tmp_path / "log").glob("outcomes-*")) > 50
    assert "Learning from its own log" in page(report_of(learning.rounds))


def test_a_life_is_the_same_again() -> None:
    """Equal seeds give equal visits; nobody comes twice on a day, and all decisions are spread over the days."""
    one, other = Life(60, 600, 3), Life(60, 600, 3)
    visits = [one.visits(day) for day in range(DAYS)]
    assert visits == [other.visits(day) for day in range(DAYS)]
    assert sum(map(len, visits)) == 600
    assert all(len({visit.customer for visit in day}) == len(day) for day in visits)


def test_decisions_are_judged_by_the_truth() -> None:
    """Saying nothing is worth nothing; the best choice is at least as good as any, and random is their mean.

    What was said and what was the first choice are judged alike.
    """
    life = Life(20, 60, 1)
    actions = ["earbuds", "second-sim", "roaming-pass"]
    for person in life.people():
        each = [life.value(person.id, action, action, actions) for action in actions]
        assert {(one.random, one.best) for one in each} == {(each[0].random, each[0].best)}
        assert each[0].best == max(0.0, *(one.said for one in each))
        assert each[0].random == pytest.approx(sum(one.said for one in each) / 4)
        assert all(one.said == one.first for one in each)
        assert life.value(person.id, "", actions[0], actions) == replace(each[0], said=0.0)


def test_the_share_of_the_gap_is_that_of_the_means() -> None:
    """Half of the way from random to best is half of the gap."""
    found = Round(0, "")
    for value in (Value(2.0, 3.0, 1.0, 3.0), Value(4.0, 5.0, 1.0, 7.0)):
        found.add(value)
    assert (found.said, found.first, found.random, found.best) == (3.0, 4.0, 1.0, 5.0)
    assert (found.closed, found.known) == (0.5, 0.75)


def test_the_strategy_is_the_demo_with_what_is_seen_of_it(tmp_path: Path) -> None:
    """The world that is lived through has the demo's own guesses and rules, and an outcome that also comes unasked."""
    strategy, demo = load_strategy(write_strategy(tmp_path / "strategy")), load_strategy(STRATEGY)
    assert [action.propensity for action in strategy.actions] == [action.propensity for action in demo.actions]
    assert len(strategy.guardrails) == len(demo.guardrails)
    (taken,) = read_strategy(tmp_path / "strategy").outcomes.declared
    assert (taken.sign.event, taken.sign.match, taken.anyway) == ("taken", "action", True)
    instead = asked_instead(tmp_path / "strategy")
    assert {"finish-cart", "ticket-progress"} & instead["three-offers-a-week"] == {"ticket-progress"}
    assert len(instead) > 5
