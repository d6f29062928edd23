"""What is called proven of random strategies is broken by no customer whom the real engine decides."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from models.context import Purpose, Scalar, ValueType
from service.core.caps import CapTable
from service.core.cel import Checked, ConditionRefused, check_condition
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.epochs import in_force
from service.core.invariants import AtMost, Never, Written
from service.core.rules import CONTACT_PERMISSION, Condition, Eligibility, Kind, Selector
from service.core.ruling import judging
from service.core.selection import bits, mask
from service.core.strategy import Strategy
from service.proving.asking import Promises
from service.proving.counterexample import Court
from service.proving.proofs import Ruling
from service.proving.prove import promises_of
from service.proving.questions import Customer
from service.proving.standard import CLOSED
from tests.core.expressions import NOW_MS, SCHEMA, WORDS
from tests.core.worlds import CHANNELS, EMPTY, HOUR_MS, LEVELS, SELECTORS, strategies

STRATEGIES = int(os.environ.get("TACT_PROVEN_STRATEGIES", "3"))
CONTEXTS = int(os.environ.get("TACT_PROVEN_CONTEXTS", "300"))
TIMEOUT_S = 2.0
_WHOLE = re.compile(r"(?<![\w.])-?\d{1,19}(?![\w.])")
_PARTS = (0.0, 1.0, -1.5, 0.1, 1e308, -1e308, 1e-300, 9.0, -9.0)


@dataclass(slots=True)
class Crowd:
    """Random customers, of whom much is as rules compare it."""

    dice: random.Random
    whole: list[int]

    @classmethod
    def of(cls, strategy: Strategy, seed: int) -> Crowd:
        """Return customers who stand where the strategy's rules change their mind."""
        text = " ".join(rule.when.source for rule in judging(strategy))
        near = {int(found) + step for found in _WHOLE.findall(text) for step in (-1, 0, 1)}
        return cls(random.Random(seed), sorted(near | {0, 1, 2, -1, 2**63 - 1, -(2**63)}))

    def values(self) -> tuple[Scalar | None, ...]:
        """Return what is true of one of them; a quarter of it nobody knows."""
        return tuple(None if self.dice.random() < 0.25 else self._value(one.type) for one in SCHEMA.fields)

    def now_ms(self) -> int:
        """Return when they ask: often where rules of random strategies begin and end."""
        return NOW_MS + self.dice.choice((-1, 0, 1, 0, self.dice.randint(-(10**9), 10**9)))

    def _value(self, kind: ValueType) -> Scalar:
        if kind is ValueType.INT:
            return max(-(2**63), min(self.dice.choice(self.whole), 2**63 - 1))
        if kind is ValueType.DOUBLE:
            return self.dice.choice((*_PARTS, self.dice.uniform(-10, 10), float(self.dice.randint(-9, 9))))
        if kind is ValueType.STRINGS:
            return tuple(self.dice.choices(WORDS, k=self.dice.randint(0, 3)))
        if kind is ValueType.TIMESTAMP:
            return self.now_ms() + self.dice.choice((0, 86_400_000, -86_400_000, 5_000, -5_000))
        return self.dice.choice(WORDS) if kind is ValueType.STRING else self.dice.random() < 0.5


@st.composite
def promises(draw: st.DrawFn, strategy: Strategy) -> list[Never]:
    """Draw promises of which many hold: that the rules' own actions are not said while the rules' conditions hold."""
    found = []
    for number, rule in enumerate(judging(strategy)):
        about = rule.permit if isinstance(rule, Eligibility) else rule.forbid
        ids = [strategy.actions[index].id for index in bits(mask(replace(about, channels=()), strategy.actions, ""))]
        if not ids or "action." in rule.when.source:
            continue
        kept = draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
        source = rule.when.source or "true"
        when = f"!({source})" if isinstance(rule, Eligibility) else source
        if draw(st.booleans()):  # which is never true, and unknown of those of whom too little is known
            when = f"({when}) || (past.vulnerable && !past.vulnerable)"
        channels = draw(st.sampled_from([about.channels, (), ("web",)]))
        written = Written(f"promise-{number}", "", valid=rule.valid)
        never = Condition(f"action.id in {kept!r}", "", 1)
        found.append(Never(written, never, Condition(when, "", 1), channels, draw(st.booleans())))
    return found


def proven(strategy: Strategy, wanted: Promises) -> tuple[list[Never], bool]:
    """Return the promises that are proven, and whether all rules are proven to hold for all that they are about."""
    declared = [one for one in strategy.invariants if isinstance(one, Never)]
    for standard in promises_of(strategy)[:3]:
        assert wanted.prove(standard).ruling is Ruling.PROVEN
    held = [one for one in declared if wanted.prove(one).ruling is Ruling.PROVEN]
    return held, wanted.closed(CLOSED).ruling is Ruling.PROVEN


@settings(max_examples=STRATEGIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_customer_breaks_what_was_proven(data: st.DataObject) -> None:
    """Of random strategies and customers the engine says nothing that a proven promise excludes."""
    strategy = data.draw(strategies())
    try:
        strategy = replace(strategy, invariants=tuple(data.draw(promises(strategy))))
        wanted = Promises(strategy, strategy.invariants, TIMEOUT_S)
    except ConditionRefused:
        assume(False)
        raise
    held, closed = proven(strategy, wanted)
    event(f"proven of what was declared: {len(held)}, not: {len(strategy.invariants) - len(held)}")
    assert closed
    crowd, engine, court = Crowd.of(strategy, data.draw(st.integers(0, 2**32))), Engine(strategy, None), Court(strategy)
    for _ in range(CONTEXTS):
        for said in asked(engine, crowd):
            assert [one.written.id for one in held if breaks(one, said, court, wanted.checked)] == []
            assert standard_broken(strategy, said) == []


@dataclass(frozen=True, slots=True)
class Said:
    """What the engine lets through of somebody on a channel."""

    customer: Customer
    actions: frozenset[str]


def asked(engine: Engine, crowd: Crowd) -> Iterator[Said]:
    """Ask about one random customer on every channel."""
    values, now_ms, level = crowd.values(), crowd.now_ms(), crowd.dice.choice(LEVELS)
    permits = crowd.dice.choice(((), ("email",)))
    context = {index: value for index, value in enumerate(values) if value is not None}
    for channel in CHANNELS:
        known = Known(now_ms, level.id, permits, {}, {})
        request = Request("somebody", channel.id, channel.placements, context)
        snapshot = engine.see(known, request)
        judged = engine.judge(snapshot, known, request)
        names = {engine.strategy.actions[i].id for survivors in judged.survivors for i in bits(survivors)}
        permitted = not channel.permission or channel.id in permits
        yield Said(Customer(snapshot.values, level.id, permitted, now_ms, channel.id), frozenset(names))


def breaks(promise: Never, said: Said, court: Court, checked: dict[str, Checked]) -> bool:
    """Tell whether something is let through that a promise excludes."""
    at = said.customer
    if (promise.channels and at.channel not in promise.channels) or not in_force(promise.written.valid, at.now_ms):
        return False
    never, when = checked[promise.never.source], checked[promise.when.source]
    if not _binds(court.truth(when, at), promise):  # it asks about no action, so once is enough
        return False
    return any(_binds(court.truth(never, at, action), promise) for action in said.actions)


def _binds(truth: bool | None, promise: Never) -> bool:
    return truth is True if promise.unknown_permits else truth is not False


def standard_broken(strategy: Strategy, said: Said) -> list[str]:
    """Return the actions that break what every strategy promises."""
    at = said.customer
    sells = Purpose.PERSONALIZATION in next(level for level in LEVELS if level.id == at.level).purposes
    exempt = [one for one in strategy.exemptions if CONTACT_PERMISSION in one.exempt_from]
    free = {
        action.id
        for action in strategy.actions
        if any(in_force(one.valid, at.now_ms) and mask(one.actions, (action,), at.channel) for one in exempt)
    }
    kinds = {action.id: action.kind for action in strategy.actions}
    return [
        one for one in said.actions if (kinds[one] is Kind.OFFER and not sells) or not (at.permitted or one in free)
    ]


# --------------------------------------------------------------------------------------------------------- how often


@settings(max_examples=2 * STRATEGIES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_history_breaks_how_often_was_proven(data: st.DataObject) -> None:
    """Whatever is said one after the other, as caps let it, nobody hears more than was proven within the window."""
    strategy = data.draw(strategies())
    number = data.draw(st.integers(1, 4))
    counted = data.draw(st.sampled_from([cap.count for cap in strategy.caps]) if strategy.caps else SELECTORS)
    promise = AtMost(Written("often", ""), counted, number, data.draw(st.sampled_from([1, 3])) * HOUR_MS)
    found = Promises(strategy, (promise,), TIMEOUT_S).prove(promise)
    event(f"how often: {found.ruling}")
    if found.ruling is Ruling.PROVEN:
        dice = random.Random(data.draw(st.integers(0, 2**32)))
        for _ in range(1 + CONTEXTS // 50):
            assert most_within(history(strategy, promise.count, dice), promise.within_ms) <= number


def history(strategy: Strategy, counted: Selector, dice: random.Random) -> list[int]:
    """Return when (ms) something that is counted was said, as often as the caps let it."""
    table, uses, times = CapTable(strategy), dict[str, tuple[int, ...]](), list[int]()
    places = [(action, one.channel, one.placement) for action in strategy.actions for one in action.treatments]
    at_ms = NOW_MS - 2 * HOUR_MS
    for _ in range(80):
        at_ms += dice.choice((0, 1_000, 60_000, HOUR_MS // 3))
        action, channel, placement = dice.choice(places)
        if any(one.mask >> action.index & 1 for one, _ in table.used_up(channel, placement, uses, at_ms)):
            continue
        for counter in table.all_counters(channel, placement, action.index, at_ms):
            if not counter.on:  # what was decided counts at once
                uses[counter.key] = (*uses.get(counter.key, ()), at_ms)
        if mask(counted, (action,), channel):
            times.append(at_ms)
    return times


def most_within(times: list[int], window_ms: int) -> int:
    """Return how many fall into the fullest window."""
    return max((sum(begin <= at < begin + window_ms for at in times) for begin in times), default=0)


@pytest.mark.parametrize("source", ["past.open_tickets > 0"])
def test_a_promise_that_does_not_hold_is_not_proven(source: str) -> None:
    """Brute force would see a wrong proof: of a strategy without rules nothing is proven that it does not promise."""
    strategy = replace(strategies_without_rules(), invariants=())
    never = Never(Written("p", ""), Condition("action.kind == 'greeting'", "", 1), Condition(source, "", 1))
    assert check_condition(source, SCHEMA).fields == ("past.open_tickets",)
    assert Promises(strategy, (never,), TIMEOUT_S).prove(never).ruling is Ruling.BROKEN


def strategies_without_rules() -> Strategy:
    """Return the strategy that only says hello."""
    return EMPTY
