"""Whatever is edited in a strategy, what is known from before is what a fresh proof says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from service.core.cel import ConditionRefused
from service.core.invariants import AtMost, Invariant, Rests, Written
from service.core.rules import Answered, Exemption, Kind, Per
from service.core.ruling import judging
from service.core.strategy import Action, Strategy
from service.proving.asking import Promises
from service.proving.parts import Parts
from service.proving.proofs import Ruling
from tests.core.worlds import GROUPS, HOUR_MS, INTENTS, SELECTORS, strategies
from tests.proving.test_brute_force import STRATEGIES, TIMEOUT_S, promises

_WRITTEN = Written("often", "", file="invariants.yaml")
_TRIED = 3
"""So many edits of one strategy are tried, for a strategy is dear to draw."""


def one_other_action(strategy: Strategy, data: st.DataObject, change: Callable[[Action], Action]) -> Strategy:
    """Return the strategy with one action changed."""
    place = data.draw(st.integers(0, len(strategy.actions) - 1))
    actions = tuple(change(one) if one.index == place else one for one in strategy.actions)
    return replace(strategy, actions=actions)


def _group(strategy: Strategy, data: st.DataObject) -> Strategy:
    group = data.draw(st.sampled_from(GROUPS))
    return one_other_action(strategy, data, lambda one: replace(one, group=group))


def _intents(strategy: Strategy, data: st.DataObject) -> Strategy:
    intents = (data.draw(st.sampled_from(INTENTS)),)
    return one_other_action(strategy, data, lambda one: replace(one, intents=intents))


def _kind(strategy: Strategy, data: st.DataObject) -> Strategy:
    kind = data.draw(st.sampled_from(Kind))
    return one_other_action(strategy, data, lambda one: replace(one, kind=kind))


def _silent(strategy: Strategy, data: st.DataObject) -> Strategy:
    return one_other_action(strategy, data, lambda one: replace(one, treatments=one.treatments[1:]))


def _caps(strategy: Strategy, data: st.DataObject) -> Strategy:
    per = data.draw(st.sampled_from([(), (Per.GROUP,), (Per.INTENT,), (Per.CHANNEL,)]))
    count = data.draw(st.none() | SELECTORS)
    return replace(strategy, caps=tuple(replace(cap, per=per, count=count or cap.count) for cap in strategy.caps))


def _rules(strategy: Strategy, data: st.DataObject) -> Strategy:
    if data.draw(st.booleans()):
        return replace(strategy, guardrails=strategy.guardrails[1:], eligibility=strategy.eligibility[1:])
    return replace(strategy, guardrails=tuple(replace(one, forbid=data.draw(SELECTORS)) for one in strategy.guardrails))


def _exemptions(strategy: Strategy, data: st.DataObject) -> Strategy:
    names = tuple(rule.id for rule in (*judging(strategy), *strategy.caps, *strategy.cool_offs))
    return replace(strategy, exemptions=(*strategy.exemptions, Exemption("all", "", data.draw(SELECTORS), names)))


def _cool_offs(strategy: Strategy, data: st.DataObject) -> Strategy:
    per = data.draw(st.sampled_from([(), (Per.GROUP,), (Per.ACTION,)]))
    return replace(strategy, cool_offs=tuple(replace(one, per=per) for one in strategy.cool_offs))


EDITS = (_group, _intents, _kind, _silent, _caps, _rules, _exemptions, _cool_offs)


@settings(max_examples=max(1, 2 * STRATEGIES // 3), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_known_from_before_is_what_a_fresh_proof_says(data: st.DataObject) -> None:
    """A promise that depends on nothing that was edited, and was proven, is not broken after the edit."""
    before = data.draw(strategies())
    try:
        declared: list[Invariant] = [replace(one, written=replace(one.written, file="invariants.yaml"))
                                     for one in data.draw(promises(before))]  # fmt: skip
        declared.append(AtMost(_WRITTEN, data.draw(SELECTORS), data.draw(st.integers(1, 3)), HOUR_MS))
        resting = data.draw(st.sampled_from([one.about for one in before.cool_offs]) if before.cool_offs else SELECTORS)
        declared.append(Rests(replace(_WRITTEN, id="rests"), resting, (Answered.REFUSED,), HOUR_MS))
        first = Promises(before, declared, TIMEOUT_S)
    except ConditionRefused:
        assume(False)
        raise
    parts = Parts(before)
    proven = [(one, parts.digest(one)) for one in declared if first.prove(one).ruling is Ruling.PROVEN]
    for edit in data.draw(st.lists(st.sampled_from(EDITS), min_size=_TRIED, max_size=_TRIED, unique=True)):
        after = edit(before, data)
        known = Parts(after)
        kept = [one for one, digest in proven if known.digest(one) == digest]
        event(f"{edit.__name__}: known from before {len(kept) > 0}")
        if kept:
            anew = Promises(after, kept, TIMEOUT_S)
            assert [one for one in kept if anew.prove(one).ruling is Ruling.BROKEN] == []
