"""The benchmark of judging measures what it says, and says when a bound is missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import judging, judging_world
from benchmarks.judging import CHANNEL, Figure, NotJudged, Plan, compare, customers, figures
from models.context import Scalar
from service.core.judge import Judge
from service.core.loader import load_strategy
from service.core.rules import Condition
from service.core.strategy import Strategy

QUICK = Plan(rounds=2, decisions=40, warmup=40, compared=2)


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the strategy of the benchmark over 100 actions."""
    return load_strategy(judging_world.write_strategy(tmp_path_factory.mktemp("judging"), 100))


def test_forty_rules_of_every_sort_are_judged(strategy: Strategy) -> None:
    """There are 40 rules, of all layers, some about actions, some with dates, some asking for something instead."""
    rules = [*strategy.guardrails, *strategy.eligibility]
    conditions = [rule.when for rule in strategy.guardrails] + [rule.when for rule in strategy.eligibility]
    assert len(rules) == judging_world.RULES
    assert {rule.layer.value for rule in strategy.eligibility} == {"eligibility", "applicability", "suitability"}
    assert sum("action." in when.source for when in conditions) == 10
    assert sum(rule.valid.until_ms is not None for rule in strategy.guardrails) == 2
    assert sum(rule.instead is not None for rule in strategy.guardrails) == 2
    assert len(strategy.exemptions) == 2


def test_customers_are_the_same_every_time_and_partly_unknown(strategy: Strategy) -> None:
    """Two runs judge the same customers, of whom about a tenth is not known."""
    found = customers(strategy)
    assert [snapshot.values for snapshot in found] == [snapshot.values for snapshot in customers(strategy)]
    values: list[Scalar | None] = [value for snapshot in found for value in snapshot.values]
    assert 0.05 < values.count(None) / len(values) < 0.15


def test_a_few_decisions_are_measured_and_compared(tmp_path: Path) -> None:
    """A figure has a median of its rounds, and every fate that was compared is as the CEL engine says."""
    judged, (judge, check) = figures(tmp_path, 100, QUICK)
    assert (judged.rules, judged.fates_compared) == (40, 200)
    assert judged.vetoes > 10
    assert 0 < judged.forbidden < 100
    for figure in (judge, check):
        assert len(figure.rounds_us) == 2
        assert min(figure.rounds_us) <= figure.median_us <= figure.p90_us <= max(figure.rounds_us)


def test_a_judge_that_finds_something_else_gives_no_figure(strategy: Strategy) -> None:
    """A judge that reads one rule otherwise is noticed by the plain reading, before anything is measured."""
    first, *others = strategy.guardrails
    other = replace(strategy, guardrails=(replace(first, when=Condition("past.open_tickets > 9", "", 1)), *others))
    with pytest.raises(NotJudged, match="forbidden-0"):
        compare(strategy, Judge(other), customers(strategy), 8)


def test_a_missed_bound_is_said(strategy: Strategy) -> None:
    """The line of a figure over its bound says so; one at its bound holds."""
    slow = Figure("judge", 100, 20.1, 25.0, 20.0, (20.1,))
    assert not slow.holds
    assert replace(slow, median_us=20.0).holds
    plain = compare(strategy, Judge(strategy), customers(strategy), 1)
    said = judging.document(QUICK, [(plain, [slow])], {"processor": "", "cores": 2, "python": "3"})
    assert judging.lines(said)[-1].endswith("bound 20 µs: MISSED")
    assert CHANNEL in {channel.id for channel in strategy.channels}
