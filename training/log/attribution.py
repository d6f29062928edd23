"""What came of a decision: the declared outcomes within their windows, what influenced them, and what it earned."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from models.outcomes import Outcome, Outcomes, Sign, Term

from .rows import NOTHING, Came, Decided, Happened

UNKNOWN = math.nan
_NO_END = 1 << 62


class Hit(NamedTuple):
    """One time that an outcome happened: when (ms; 0 where nobody says), and its amount."""

    at_ms: int
    amount: float


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one decision.

    `happened` says of which actions it is known whether the predicted outcome happened, 1 or 0. `influenced` is 1 or 0
    where something was said and that outcome tells it, else NaN; `delay_ms` is how long after the decision it happened,
    NaN where it did not. `amounts` has one sum an outcome, in their order, NaN where it is not known (yet).
    `unfinished` says that the window of the predicted outcome is not over.
    """

    happened: Mapping[str, float]
    influenced: float
    delay_ms: float
    amounts: tuple[float, ...]
    worth: float
    unfinished: bool


@dataclass(slots=True)
class Life:
    """The events of one customer, by type, in order of time."""

    _times: dict[str, list[int]] = field(default_factory=dict)
    _events: dict[str, list[Happened]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Happened]) -> Life:
        """Take the events of one customer in any order; of those with one id the first in that order counts."""
        life, own = cls(), dict[str, Happened]()
        for event in events:
            own.setdefault(event.id, event)
        for event in sorted(own.values(), key=lambda event: event.at_ms):
            life._times.setdefault(event.type, []).append(event.at_ms)
            life._events.setdefault(event.type, []).append(event)
        return life

    def between(self, event: str, from_ms: int, until_ms: int) -> Sequence[Happened]:
        """Return the events of a type from one moment on and before another."""
        times = self._times.get(event, ())
        return self._events[event][bisect_left(times, from_ms) : bisect_left(times, until_ms)] if times else ()


class Attribution:
    """Attributes what happened to decisions.

    `until_ms` is when the log ends: of a window that runs past it nothing is known, unless `unfinished` ones count as
    if nothing more came. `by_events` says whether the events are at hand; then they tell of what they can tell.
    """

    def __init__(self, outcomes: Outcomes, until_ms: int, by_events: bool, unfinished: bool = False) -> None:
        self._outcomes = outcomes
        self._declared = outcomes.declared
        self._target = outcomes.target
        self._until_ms = until_ms
        self._by_events = by_events
        self._unfinished = unfinished
        self._place = {outcome.id: place for place, outcome in enumerate(outcomes.declared)}
        self._about = {outcome.id: frozenset(outcome.of) for outcome in outcomes.declared}
        self._money: dict[str, dict[str, float]] = {
            action.id: {Term.VALUE: action.value, Term.REWARD: action.reward, Term.COST: action.cost}
            for action in outcomes.actions
        }

    def of(self, decision: Decided, life: Life) -> Result:
        """Return what came of a decision, of whose customer these are the events."""
        return (self._of_silence if decision.action == NOTHING else self._of_action)(decision, life)

    # ---------------------------------------------------------------------------------------------- something was said

    def _of_action(self, decision: Decided, life: Life) -> Result:
        action, target = decision.action, self._target
        mine = [self._hits(outcome, decision, life) for outcome in self._declared]
        amounts = tuple(
            _sum(outcome, hits) if self._is_about(outcome, action) and self._is_over(outcome, decision) else UNKNOWN
            for outcome, hits in zip(self._declared, mine, strict=True)
        )
        hits = mine[self._place[target.id]]
        known = self._is_known(decision)
        touched = self._influenced(decision, life, hits) if known else UNKNOWN
        happened = touched if self._outcomes.influenced else float(bool(hits))
        return Result(
            {action: happened} if known else {},
            touched,
            float(hits[0].at_ms - decision.at_ms) if known and hits and hits[0].at_ms else UNKNOWN,
            amounts,
            self._worth_of(action, amounts, float(bool(hits)) if known else UNKNOWN),
            not self._is_over(target, decision),
        )

    def _is_known(self, decision: Decided) -> bool:
        """Say whether the log can tell if the predicted outcome of what was said happened."""
        target, labels = self._target, decision.labels
        told = labels is None or decision.action in labels or self._reads_events(target.sign)
        return told and self._is_about(target, decision.action) and self._is_over(target, decision)

    def _influenced(self, decision: Decided, life: Life, hits: Sequence[Hit]) -> float:
        """Say whether what influences the predicted outcome came no later than it."""
        sign = self._target.influenced_by
        if sign is None:
            return UNKNOWN
        touches = [hit.at_ms for hit in self._signs(sign, "", decision, life, _end(self._target, decision))]
        return float(bool(hits and touches) and min(touches) <= hits[-1].at_ms)

    def _worth_of(self, action: str, amounts: Sequence[float], happened: float) -> float:
        money, worth, about = self._money.get(action, {}), 0.0, False
        for name, factor in self._outcomes.worth.items():
            if name in self._place:
                if not self._is_about(self._declared[self._place[name]], action):
                    continue
                worth, about = worth + factor * amounts[self._place[name]], True
            else:
                times = 1.0 if name == Term.COST else happened
                worth, about = worth + factor * money.get(name, 0.0) * times, about or name == Term.VALUE
        return worth if about else UNKNOWN

    # ---------------------------------------------------------------------------------------------- nothing was said

    def _of_silence(self, decision: Decided, life: Life) -> Result:
        over = self._is_over(self._target, decision)
        amounts = tuple(self._anyway(outcome, decision, life) for outcome in self._declared)
        happened = dict(self._happened_anyway(decision, life)) if over else {}
        worth = self._worth_anyway(amounts, any(happened.values()) or not over)
        return Result(happened, UNKNOWN, UNKNOWN, amounts, worth, not over)

    def _anyway(self, outcome: Outcome, decision: Decided, life: Life) -> float:
        """Return what an outcome amounts to after nothing was said: an event that names an action adds nothing."""
        if not self._is_over(outcome, decision):
            return UNKNOWN
        if self._reads_events(outcome.sign) or not decision.labels:
            return _sum(outcome, self._hits(outcome, decision, life))
        end_ms = _end(outcome, decision)
        told = [c.amount for c in decision.came if c.amount is not None and _is_within(c, decision, end_ms)]
        return sum(told) if told else UNKNOWN  # labels say what would have counted for which action, not how much

    def _happened_anyway(self, decision: Decided, life: Life) -> Iterator[tuple[str, float]]:
        target = self._target
        if self._reads_events(target.sign):
            if target.anyway:
                yield from self._each_anyway(decision, life)
            elif not target.sign.match:
                hit = float(bool(self._hits(target, decision, life)))
                yield from ((action, hit) for action in target.of)
        elif decision.labels is not None:
            yield from ((action, float(label)) for action, label in decision.labels.items())
        else:
            end_ms, kinds = _end(target, decision), {*target.sign.kinds, target.id}
            counting = (c for c in decision.came if c.kind in kinds and _is_within(c, decision, end_ms))
            yield from ((came.action, 1.0) for came in counting)

    def _each_anyway(self, decision: Decided, life: Life) -> Iterator[tuple[str, float]]:
        """Yield, of every action that the predicted outcome is of, whether an event in the window names it."""
        target, sign = self._target, self._target.sign
        named = {
            event.attributes.get(sign.match)
            for event in life.between(sign.event, decision.at_ms, _end(target, decision))
            if _is_as_wanted(sign, event)
        }
        yield from ((action, float(action in named)) for action in target.of)

    def _worth_anyway(self, amounts: Sequence[float], may_have_happened: bool) -> float:
        worth = 0.0
        for name, factor in self._outcomes.worth.items():
            if name in self._place:
                worth += factor * amounts[self._place[name]]
            elif name == Term.VALUE and may_have_happened:
                return UNKNOWN  # whose value it would be nobody can tell
        return worth

    # ---------------------------------------------------------------------------------------------- what happened

    def _hits(self, outcome: Outcome, decision: Decided, life: Life) -> list[Hit]:
        """Return the times that an outcome happened within its window, in order."""
        return sorted(self._signs(outcome.sign, outcome.amount, decision, life, _end(outcome, decision), outcome.id))

    def _signs(
        self, sign: Sign, amount: str, decision: Decided, life: Life, end_ms: int, named: str = ""
    ) -> Iterator[Hit]:
        """Yield what an event tells, or what was reported under its kinds or the outcome's own name."""
        if self._reads_events(sign):
            for event in life.between(sign.event, decision.at_ms, end_ms):
                if _is_meant(sign, event, decision.action):
                    told = cast("float", event.attributes.get(amount, 0.0)) if amount else 1.0
                    yield Hit(event.at_ms, float(told))
            return
        for came in decision.came:
            mine = decision.action in (came.action, NOTHING)
            if mine and _is_within(came, decision, end_ms) and (came.kind in sign.kinds or came.kind == named):
                yield Hit(came.at_ms or 0, self._amount(came, sign) if amount else 1.0)

    def _amount(self, came: Came, sign: Sign) -> float:
        """Return the amount that was reported, or the action's declared value where none was."""
        if came.amount is not None:
            return came.amount
        return self._money.get(came.action, {}).get(Term.VALUE, 0.0) if sign.kinds else 0.0

    # ---------------------------------------------------------------------------------------------- what is known

    def _reads_events(self, sign: Sign) -> bool:
        return self._by_events and bool(sign.event)

    def _is_over(self, outcome: Outcome, decision: Decided) -> bool:
        return self._unfinished or outcome.within_ms is None or decision.at_ms + outcome.within_ms <= self._until_ms

    def _is_about(self, outcome: Outcome, action: str) -> bool:
        """Say whether an outcome is about an action; one of all actions is about those of other strategies, too."""
        return action in self._about[outcome.id] or len(outcome.of) == len(self._outcomes.actions)


def _sum(outcome: Outcome, hits: Sequence[Hit]) -> float:
    total = math.fsum(hit.amount for hit in hits)
    return total if outcome.at_most is None else min(total, outcome.at_most)


def _end(outcome: Outcome, decision: Decided) -> int:
    return _NO_END if outcome.within_ms is None else decision.at_ms + outcome.within_ms


def _is_within(came: Came, decision: Decided, end_ms: int) -> bool:
    """Say whether something was reported within the window; where nobody says when, it counts."""
    return not came.at_ms or decision.at_ms <= came.at_ms < end_ms


def _is_meant(sign: Sign, event: Happened, action: str) -> bool:
    return (not sign.match or event.attributes.get(sign.match) == action) and _is_as_wanted(sign, event)


def _is_as_wanted(sign: Sign, event: Happened) -> bool:
    return all(event.attributes.get(name) == value for name, value in sign.where)
