"""Claims about findings: what is found is so by brute force over all there can be, and all that is so is found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.context import Scalar
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.rules import Condition, Eligibility, Guardrail, Kind, Selector
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.proving.finding import FindingKind
from service.proving.found_actions import odd_actions
from service.proving.found_gaps import gaps
from service.proving.found_rules import odd_rules
from service.proving.prover import Prover
from tests.core import worlds
from tests.core.expressions import NOW_MS, SCHEMA
from tests.folding import DETERMINISTIC

STRATEGIES = int(os.environ.get("TACT_FOUND_STRATEGIES", "8"))
POOL = (
    "past.open_tickets > 0",
    "past.open_tickets > 1",
    "past.open_tickets <= 1",
    "past.open_tickets < 0 && past.open_tickets > 0",
    "past.vulnerable",
    "!past.vulnerable",
    "past.vulnerable || !past.vulnerable",
    "past.tier == 'gold'",
    "past.tier in ['gold', 'silver']",
    "past.vulnerable && past.open_tickets > 0",
    "action.kind == 'offer' && past.open_tickets > 0",
)
FACTS: dict[str, tuple[Scalar | None, ...]] = {
    "past.open_tickets": (None, -1, 0, 1, 2),
    "past.vulnerable": (None, True, False),
    "past.tier": (None, "gold", "silver", "bronze"),
}
"""Of each field that the pool reads one value of every sort that it can tell apart."""

some = st.sampled_from(POOL).map(lambda source: Condition(source, "rules.yaml", 1))


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    """Draw a strategy of few rules that often say the same, or exclude each other."""
    kinds = st.sampled_from(list(Kind)).map(lambda kind: Selector(kinds=(kind,)))
    about = st.one_of(kinds, st.just(Selector()))
    guards = [Guardrail(f"guard-{n}", ".", draw(about), draw(some)) for n in range(draw(st.integers(0, 3)))]
    permits = [Eligibility(f"permit-{n}", ".", draw(kinds), draw(some)) for n in range(draw(st.integers(0, 3)))]
    hello, *others = draw(worlds.actions())
    return replace(worlds.EMPTY, actions=(hello, *others[:4]), guardrails=tuple(guards), eligibility=tuple(permits))


def snapshots() -> Iterator[tuple[Snapshot, str]]:
    """Yield everybody that the pool can tell apart, on each channel."""
    for facts in product(*FACTS.values()):
        told = dict(zip(FACTS, facts, strict=True))
        for level, channel, permitted in product(worlds.LEVELS, worlds.CHANNELS, (True, False)):
            allowed = (told.get(f.id) if f.purpose in level.purposes else None for f in SCHEMA.fields)
            if permitted or channel.permission:
                yield Snapshot(tuple(allowed), {}, NOW_MS, level, permitted), channel.id


EVERYBODY = tuple(dict.fromkeys((s.values, s.level.id, s.permitted, c) for s, c in snapshots()))


def survivors(strategy: Strategy) -> list[dict[str, frozenset[str]]]:
    """Return what the engine lets through at each placement, for everybody."""
    engine, found = Engine(strategy, None), []
    levels, places = ({one.id: one for one in worlds.LEVELS}, {one.id: one.placements for one in worlds.CHANNELS})
    for values, level, permitted, channel in EVERYBODY:
        snapshot = Snapshot(values, {}, NOW_MS, levels[level], permitted)
        judged = engine.judge(snapshot, Known(NOW_MS, level, (), {}, {}), Request("x", channel, places[channel], {}))
        found.append(
            {
                f"{channel} {placement}": frozenset(a.id for a in strategy.actions if left >> a.index & 1)
                for placement, left in zip(places[channel], judged.survivors, strict=True)
            }
        )
    return found


def without(strategy: Strategy, rules: set[str]) -> Strategy:
    """Return the strategy without some rules."""
    guardrails = tuple(rule for rule in strategy.guardrails if rule.id not in rules)
    return replace(
        strategy, guardrails=guardrails, eligibility=tuple(r for r in strategy.eligibility if r.id not in rules)
    )


QUICKLY = settings(DETERMINISTIC, max_examples=STRATEGIES, phases=[Phase.generate])


@given(strategies())
@QUICKLY
def test_a_rule_is_found_to_change_nothing_exactly_if_it_changes_nothing(strategy: Strategy) -> None:
    """Without all rules that are found to change nothing the same is said to everybody; without one more it is not."""
    prover = Prover(strategy, timeout_s=60.0)
    found = [one for one in odd_rules(prover) if one.kind in (FindingKind.DEAD_RULE, FindingKind.SWALLOWED_RULE)]
    needless = {one.about[0] for one in found}
    before = survivors(strategy)
    assert survivors(without(strategy, needless)) == before
    for rule in {rule.id for rule in prover.model.rules} - needless:
        assert survivors(without(strategy, {*needless, rule})) != before, rule


@given(strategies())
@QUICKLY
def test_a_rule_is_swallowed_by_one_that_holds_back_all_that_it_does(strategy: Strategy) -> None:
    """Whatever a swallowed rule holds back alone among all rules but the one that swallows it, that one holds back."""
    swallowed = [one for one in odd_rules(Prover(strategy, 60.0)) if one.kind is FindingKind.SWALLOWED_RULE]
    names = {*(rule.id for rule in strategy.guardrails), *(rule.id for rule in strategy.eligibility)}
    for rule, by in (finding.about for finding in swallowed):
        if by in names:
            alone = without(strategy, names - {rule, by})
            assert survivors(without(alone, {rule})) == survivors(alone), rule


@given(strategies())
@QUICKLY
def test_actions_and_gaps_are_found_exactly_where_they_are(strategy: Strategy) -> None:
    """An action is found that nobody can get, and a gap, exactly if brute force finds it, channel by channel."""
    prover, told = Prover(strategy, timeout_s=60.0), survivors(strategy)
    found = [*odd_actions(prover), *gaps(prover)]
    got = {(place.split()[0], action) for one in told for place, actions in one.items() for action in actions}
    worded = {(one.channel, action.id) for action in strategy.actions for one in action.treatments}
    never = {one.about[:2] for one in found if one.kind is FindingKind.NEVER_SAID}
    nowhere = {action for action in {a for _, a in worded} if not any(a == action for _, a in got)}
    assert {about[0] for about in never if about[1:2] not in (("web",), ("email",))} == nowhere
    assert {about for about in never if about[0] not in nowhere} == {
        (a, c) for c, a in worded - got if a not in nowhere
    }
    silent = {place for one in told for place in one if place.startswith("web") and not any(
        one[other] for other in one)}  # fmt: skip
    silences = {place for one in told for place, actions in one.items() if place.startswith("web") and not actions}
    gap = {one.about for one in found if one.kind is FindingKind.GAP}
    assert (("web",) in gap) == bool(silent)
    assert gap - {("web",)} == (set() if silent else {tuple(place.split()) for place in silences})


@given(strategies())
@QUICKLY
def test_nothing_is_found_that_holds_an_action_back_exactly_if_nothing_does(strategy: Strategy) -> None:
    """An action but the safe greeting is found to be never held back exactly if everybody can get it everywhere."""
    found = {one.about[0] for one in odd_actions(Prover(strategy, 60.0)) if one.kind is FindingKind.NEVER_HELD_BACK}
    free = {action.id: True for action in strategy.actions if action.id != strategy.safe_greeting}
    for one in survivors(strategy):
        for action in strategy.actions[1:]:
            places = [f"{t.channel} {t.placement}" for t in action.treatments]
            free[action.id] &= all(action.id in one[place] for place in places if place in one)
    assert found == {action for action, free_always in free.items() if free_always}
