"""Insight: what logged decisions and outcomes come to, counted step by step of time; pure.

What held actions back is not logged: it is found by judging a decision again, by the engine that made it. Nothing that
is counted names a customer, and no text of a customer is kept: of values only sums of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeVar

from models.context import ValueType
from service.core.again import NotRepeatable, asked_again
from service.core.decision import Committed, Reason, ReasonCode
from service.core.engine import Engine
from service.core.judge import Veto
from service.core.plan import Candidate, Entry, PlacementPlan, Shadow
from service.core.rights import KeptDecision, KeptOutcome
from service.core.rules import Kind
from service.core.stock import Stocks
from service.core.strategy import Action
from service.core.sums import Sums

T = TypeVar("T")

BUCKETS = 1024
"""Into how many buckets customers fall."""
SHOWN, CLICKED, ACCEPTED, REFUSED, NEVER = 1, 2, 3, 4, 6
"""Kinds of outcomes; the numbers are those of the public contract."""
MOST_EXPECTED = 50_000
"""How many things said by a prediction wait for an outcome at most; the oldest are no longer waited for."""
_NUMBERS = frozenset({ValueType.BOOL, ValueType.INT, ValueType.DOUBLE})
_STOCK = frozenset({ReasonCode.OUT_OF_STOCK, ReasonCode.SHORT_SUPPLY})
_CAME = {SHOWN: "shown", CLICKED: "clicked", ACCEPTED: "accepted", REFUSED: "refused", 5: "refused", NEVER: "refused"}


@dataclass(slots=True)
class Tally:
    """Counts by steps of `step_ms`; `steps` holds them by the moment (ms) that they begin.

    `actions` are those of the engine whose decisions are judged again, by their index. `expected` is what was said by a
    prediction and when (ms), by decision and action, until it is accepted; `early` what was accepted before it was
    known to be expected, for the log and the outcomes are read side by side.
    """

    step_ms: int
    actions: tuple[str, ...] = ()
    steps: dict[int, Sums] = field(default_factory=dict)
    expected: dict[tuple[str, str], int] = field(default_factory=dict)
    early: dict[tuple[str, str], None] = field(default_factory=dict)

    def clear(self) -> None:
        """Begin again."""
        for counted in (self.steps, self.expected, self.early):
            counted.clear()

    def at(self, at_ms: int) -> Sums:
        """Return the step of a moment."""
        return self.steps.setdefault(at_ms - at_ms % self.step_ms, Sums())

    def decided(self, kept: KeptDecision, engine: Engine) -> None:
        """Count a decision; what held actions back only where the engine made it."""
        entry, committed = kept.entry, kept.committed
        if entry is None or committed is None:
            self.at(kept.logged_ms).count("unreadable")
            return
        step = self.at(entry.at_ms)
        step.count("decisions")
        step.count("version", entry.strategy, entry.model)
        step.span("version", entry.strategy, entry.model, at_ms=entry.at_ms)
        if entry.degraded:
            step.count("degraded")
        actions = {action.id: action for action in engine.strategy.actions}
        _count_answers(step, entry, committed, actions)
        self._expect(step, entry, committed)
        if entry.shadow is not None:
            _count_shadow(step, entry.shadow, entry.placements)
        if entry.strategy == engine.strategy.version and len(entry.values) == len(engine.strategy.schema.fields):
            _count_values(step, entry, engine)
        try:
            _count_judgement(step, entry, committed, engine)
        except NotRepeatable:
            return
        step.count("judged")

    def came(self, kept: KeptOutcome) -> None:
        """Count an outcome."""
        step, what = self.at(kept.at_ms), _CAME.get(kept.kind)
        step.count("outcomes")
        if what is None:
            return
        step.count("action", kept.action, what)
        step.count(what)
        if what == "accepted":
            step.add("amount", kept.action, amount=kept.amount)
            self._accept((kept.decision_id, kept.action))

    def _expect(self, step: Sums, entry: Entry, committed: Committed) -> None:
        """Count what a model predicted for what was said, once a decision and action."""
        for placed, rank in zip(entry.placements, committed.chosen, strict=True) if entry.model else ():
            if placed.suppression is not None or rank < 0:
                continue
            said, key = placed.candidates[rank], (entry.decision_id, placed.candidates[rank].action)
            if key in self.expected:
                continue
            step.count("predicted", said.action)
            step.add("predicted", said.action, amount=said.propensity)
            _remember(self.expected, key, entry.at_ms)
            if key in self.early:
                self._accept(key)

    def _accept(self, key: tuple[str, str]) -> None:
        """Count once, where and when it was predicted, that it came."""
        at_ms = self.expected.get(key)
        if at_ms is None:
            _remember(self.early, key, None)
        elif at_ms >= 0:
            self.at(at_ms).count("came", key[1])
            self.expected[key] = -1

    def told(self, since_ms: int, until_ms: int) -> Told:
        """Return copies of the steps of a window that another thread may read, with their total."""
        first = since_ms - since_ms % self.step_ms
        steps = tuple(Sums.total(filter(None, (self.steps.get(at),))) for at in range(first, until_ms, self.step_ms))
        total = Sums.total(steps)
        total.spread(self.actions)
        return Told(first, until_ms, self.step_ms, steps, total)

    def forget_before(self, at_ms: int) -> None:
        """Drop the steps that begin before a moment."""
        for begins_ms in [one for one in self.steps if one < at_ms]:
            del self.steps[begins_ms]


@dataclass(frozen=True, slots=True)
class Told:
    """What was counted from one moment to another (ms), step by step and in all."""

    since_ms: int
    until_ms: int
    step_ms: int
    steps: tuple[Sums, ...]
    total: Sums


@dataclass(frozen=True, slots=True)
class Insight:
    """What was counted, of how many buckets, whether these are all that are to be, and what is known of the supply."""

    told: Told
    buckets: int
    complete: bool
    stocks: Stocks


class NothingCounted:
    """Insight into nothing, where nothing is logged."""

    @property
    def stamp(self) -> tuple[str, str, str]:
        """Name nothing."""
        return "", "", ""

    async def insight(self, since_ms: int, step_ms: int, deadline_s: float) -> Insight:
        """Count nothing."""
        return Insight(Told(since_ms, since_ms, step_ms, (), Sums()), 0, True, {})


NOTHING_COUNTED = NothingCounted()


def rule_named(reason: Reason) -> str:
    """Return the rule of a reason; of what holds by itself, and stands in no document, the reason in small letters."""
    return reason.rule or reason.code.name.lower().replace("_", "-")


def _count_answers(step: Sums, entry: Entry, committed: Committed, actions: Mapping[str, Action]) -> None:
    for placed, rank in zip(entry.placements, committed.chosen, strict=True):
        said = placed.candidates[rank] if placed.suppression is None and rank >= 0 else None
        if said is None:
            step.count("suppressed")
            _count_why(step, placed)
            continue
        known = actions.get(said.action)
        step.count("greetings" if known is not None and known.kind is Kind.GREETING else "said")
        step.count("action", said.action, "won")
        step.add("propensity", said.action, amount=said.propensity)
        step.add("net", said.action, amount=said.net_value)


def _remember(found: dict[tuple[str, str], T], key: tuple[str, str], what: T) -> None:
    found[key] = what
    while len(found) > MOST_EXPECTED:
        del found[next(iter(found))]


def _count_why(step: Sums, placed: PlacementPlan) -> None:
    reasons = placed.suppression.reasons if placed.suppression is not None else ()
    for reason in reasons:
        step.count("why", str(int(reason.code)), reason.rule, reason.sentence)
    for rule in dict.fromkeys(map(rule_named, reasons)):
        step.count("rule silenced", rule)


def _count_shadow(step: Sums, shadow: Shadow, placements: Sequence[PlacementPlan]) -> None:
    if shadow.failed:
        step.count("shadow failed", shadow.model)
        return
    for placed, told, first in zip(placements, shadow.placements, shadow.first, strict=False):
        own = placed.candidates[0].action if placed.candidates else ""
        step.count("shadow", shadow.model)
        step.count("shadow same", shadow.model, times=int(own == first))
        for name, kind in ((own, "champion"), (first, "challenger")):
            if name:
                step.count(f"shadow {kind} first", name)
        scored = {one.action: one.propensity for one in told}
        for one in placed.candidates:
            if one.action in scored:
                step.count("shadow both", one.action)
                step.add("shadow champion", one.action, amount=one.propensity)
                step.add("shadow challenger", one.action, amount=scored[one.action])


def _count_values(step: Sums, entry: Entry, engine: Engine) -> None:
    for one, value in zip(engine.strategy.schema.fields, entry.values, strict=True):
        if value is None:
            step.count("unknown", one.id)
            continue
        step.count("known", one.id)
        if isinstance(value, int | float) and one.type in _NUMBERS:
            step.add("value", one.id, amount=float(value))
            step.meet("value", one.id, customer=hash(entry.customer))


def _count_judgement(step: Sums, entry: Entry, committed: Committed, engine: Engine) -> None:
    """Count how far each action came, and what held it back."""
    request, known, snapshot = asked_again(engine, entry)
    judged = engine.judge(snapshot, known, request)
    treated = ranked = survived = 0
    index = {action.id: action.index for action in engine.strategy.actions}
    for place, placed in enumerate(entry.placements):
        treated |= engine.treated(entry.channel, placed.placement)
        survived |= judged.survivors[place]
        ranked |= _mask(placed.candidates, index)
    eligible = treated & ~judged.verdicts.vetoed
    stages = (("considered", treated), ("eligible", eligible), ("scored", survived), ("ranked", ranked & survived))
    for stage, left in stages:
        step.count_actions("action", stage, mask=left)
    _count_held(step, [*judged.verdicts.vetoes, *chain.from_iterable(judged.capped)], treated & ~survived)
    for name in {one.counter.partition("|")[0] for one in committed.bound}:
        step.count("rule late", name)


def _count_held(step: Sums, vetoes: Iterable[Veto], held: int) -> None:
    """Count what held actions back (a mask), each rule once a decision."""
    by_rule: dict[str, int] = {}
    for veto in vetoes:
        if mask := veto.mask & held:
            name = rule_named(veto.reason)
            by_rule[name] = by_rule.get(name, 0) | mask
            for one in veto.reason.fields if veto.reason.code in _STOCK else ():
                step.count("short", one)
    once = twice = 0
    for mask in by_rule.values():
        once, twice = once | mask, twice | once & mask
    for name, mask in by_rule.items():
        step.count("rule", name)
        step.count("rule held", name, times=mask.bit_count())
        step.count("rule alone", name, times=int(mask & ~twice != 0))
        step.count_actions("back", name, mask=mask)


def _mask(candidates: Iterable[Candidate], index: Mapping[str, int]) -> int:
    found = 0
    for one in candidates:
        found |= 1 << index[one.action] if one.action in index else 0
    return found
