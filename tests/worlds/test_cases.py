"""The cases of the strategies that come with Tact: each is decided so, each can fail, and no rule lacks one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from service.cases.case import Case
from service.cases.reader import read_cases
from service.cases.runner import Runner
from service.cases.sentences import why
from service.cases.verdict import Verdict, verdict_on
from service.core.loader import load_strategy
from service.core.strategy import Strategy

STRATEGIES = Path(__file__).parents[2] / "strategies"
ALL = ("bank", "demo", "starbucks", "trucks")
KINDS_OF_RULES = ("guardrails", "eligibility", "caps", "cool_offs", "promises", "exemptions")
A_MINUTE_MS = 60_000


@cache
def shipped(name: str) -> tuple[Strategy, tuple[Case, ...], Runner]:
    """Return a strategy that comes with Tact, its cases, and what decides them."""
    strategy = load_strategy(STRATEGIES / name)
    return strategy, read_cases(STRATEGIES / name, strategy), Runner(strategy)


def decided(name: str, case: Case) -> Verdict:
    """Return what a strategy decides in a case."""
    strategy, _, runner = shipped(name)
    return verdict_on(case, runner, strategy)


def every_case() -> list[object]:
    """Return each case of each strategy, named by its sentence."""
    return [pytest.param(name, case, id=f"{name}: {case.says}") for name in ALL for case in shipped(name)[1]]


def rules_of_the_demo() -> list[object]:
    """Return each rule of the demo that holds something back, promises something or exempts from another, by its id."""
    named = [(kind, rule.id) for kind in KINDS_OF_RULES for rule in getattr(shipped("demo")[0], kind)]
    return [pytest.param(kind, rule_id, id=f"{kind}: {rule_id}") for kind, rule_id in named]


@pytest.mark.parametrize(("name", "case"), every_case())
def test_the_strategy_decides_as_the_case_says(name: str, case: Case) -> None:
    """The sentence of each case is true: the engine that serves decides so, for the reason that the case names."""
    verdict = decided(name, case)
    assert verdict.ok, "\n".join(why(verdict))


@pytest.mark.parametrize(("name", "case"), every_case())
def test_every_case_can_fail(name: str, case: Case) -> None:
    """Each part of what a case wants is looked at: with another action, rule, end or other words it fails."""
    others = list(spoiled(name, case))
    assert others
    for other in others:
        assert not decided(name, other).ok, other.wanted


def spoiled(name: str, case: Case) -> Iterator[Case]:
    """Yield the case with each part of what it wants replaced by something that is not so."""
    wanted, strategy = case.wanted, shipped(name)[0]
    for placement, action in wanted.gets.items():
        others = [a.id for a in strategy.actions if _has_words(strategy, a.id, case.channel, placement)]
        for other in [one for one in ("", *others) if one != action][:2]:
            yield replace(case, wanted=replace(wanted, gets={**wanted.gets, placement: other}))
    if wanted.because:
        found = decided(name, case).got
        named = {r.rule for rs in (*found.vetoes.values(), *(a.reasons for a in found.answers)) for r in rs}
        for other in [rule.id for rule in strategy.guardrails if rule.id not in named][:1] or ["no-model"]:
            yield replace(case, wanted=replace(wanted, because=other))
    if wanted.until_ms is not None:
        yield replace(case, wanted=replace(wanted, until_ms=wanted.until_ms + A_MINUTE_MS))
    if wanted.words:
        yield replace(case, wanted=replace(wanted, words=("what nobody says",)))


def _has_words(strategy: Strategy, action: str, channel: str, placement: str) -> bool:
    treatments = next(one for one in strategy.actions if one.id == action).treatments
    return any((t.channel, t.placement) == (channel, placement) for t in treatments)


@pytest.mark.parametrize(("kind", "rule_id"), rules_of_the_demo())
def test_without_one_of_its_rules_the_demo_breaks_a_case(kind: str, rule_id: str) -> None:
    """Whoever drops a rule is told by a case: every guardrail, permit, cap, cool-off, promise and exemption has one."""
    strategy, cases, _ = shipped("demo")
    kept: Any = tuple(rule for rule in getattr(strategy, kind) if rule.id != rule_id)
    without = replace(strategy, **{kind: kept})
    runner = Runner(without)
    assert not all(verdict_on(case, runner, without).ok for case in cases)


def test_the_demo_has_many_cases_and_every_strategy_some() -> None:
    """There are at least 60 cases of the demo, and a few of each other strategy."""
    assert len(shipped("demo")[1]) >= 60
    assert all(len(shipped(name)[1]) >= 3 for name in ALL)
