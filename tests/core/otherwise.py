"""Decisions made otherwise: what a change asks for is done to what the store and the caller say, and decided anew.

Nothing of what looks for changes is used here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

from hypothesis import strategies as st
from msgspec import structs

from service.core.actionable import Actionable, Fact
from service.core.again import Again, made
from service.core.counterfactual import Change, ChangeKind, Goal
from service.core.decision import Request
from service.core.engine import Engine
from service.core.plan import Entry
from service.core.strategy import Strategy
from tests.core.expressions import SCHEMA, WORDS
from tests.core.worlds import Case

HOUR_MS = 3_600_000
FACTS = (
    Fact("past.open_tickets", "Tickets are closed.", (), -1, 0.0),
    Fact("past.open_tickets", "Tickets are opened.", (), 1, None, 4.0),
    Fact("past.purchases", "More is bought.", (), 1, None, 1e6),
    Fact("past.spend", "More is spent.", (), 0.5, None, 9.0),
    Fact("present.sentiment", "The mood gets better.", (), 0.25, None, 1.0),
    Fact("past.tier", "The tier changes.", ("gold", "silver")),
    Fact("present.reason", "It is about something else.", WORDS[1:4]),
    Fact("past.vulnerable", "Less care is needed.", (False,)),
    Fact("present.logged_in", "The customer logs in.", (True,)),
)


@st.composite
def actionable(draw: st.DrawFn) -> Actionable:
    """Draw what is actionable: up to four facts, and mostly waiting, consent and permission."""
    facts = draw(st.lists(st.sampled_from(FACTS), max_size=4, unique_by=lambda fact: fact.field))
    yes = st.sampled_from([True, True, False])
    return Actionable(tuple(facts), draw(st.sampled_from([0, 3 * HOUR_MS, 9 * HOUR_MS])), draw(yes), draw(yes))


def asked(case: Case, changes: Sequence[Change]) -> Case:
    """Return what is known and asked when these changes have come about."""
    known, request = case.known, case.request
    context = dict(request.context)
    for change in changes:
        if change.kind is ChangeKind.CONSENT:
            known = structs.replace(known, level=change.level)
        elif change.kind is ChangeKind.PERMISSION:
            known = structs.replace(known, channels=(request.channel,))
        elif change.kind is ChangeKind.WAIT:
            assert change.until_ms is not None
            known = structs.replace(known, now_ms=change.until_ms)
        else:
            assert change.after is not None
            context[SCHEMA.index[change.field]] = change.after
    return replace(case, known=known, request=structs.replace(request, context=context))


def decided(engine: Engine, case: Case, draws: Sequence[float]) -> Again:
    """Decide for a customer, with these dice."""
    snapshot = engine.see(case.known, case.request)
    blank = structs.replace(_BLANK, draws=tuple(draws), decision_id="d" * 26)
    return made(engine, blank, case.request, case.known, snapshot)


def first(again: Again, place: int) -> str:
    """Return what a placement says first; empty for nothing."""
    candidates = again.entry.placements[place].candidates
    return candidates[0].action if candidates else ""


def consented_only(engine: Engine, case: Case) -> Case:
    """Return a case in which the request tells no more than the consent lets a log hold."""
    values = engine.see(case.known, case.request).values
    context = {index: value for index, value in case.request.context.items() if values[index] is not None}
    return replace(case, request=structs.replace(case.request, context=context))


def sayable(strategy: Strategy, request: Request) -> list[Goal]:
    """Return every action with words at a placement that was asked for, as a goal to win there."""
    return [
        Goal(action.id, True, treatment.placement)
        for action in strategy.actions
        for treatment in action.treatments
        if treatment.channel == request.channel and treatment.placement in request.placements
    ]


class Effort(NamedTuple):
    """How much some changes ask for, in the order in which it counts."""

    changes: int
    wait_ms: int
    steps: int


def effort(changes: Sequence[Change], now_ms: int) -> Effort:
    """Return what is asked for by changes."""
    waits = [change.until_ms - now_ms for change in changes if change.until_ms is not None]
    return Effort(len(changes), max(waits, default=0), sum(change.steps for change in changes))


def least(
    engine: Engine, case: Case, draws: Sequence[float], goal: Goal, moments: Sequence[int], most: int = 3
) -> tuple[Effort, tuple[Change, ...]] | None:
    """Try every combination of every change there is, at these moments, and return the least that reaches a goal."""
    every, place = list(axes(engine.strategy, case, moments)), case.request.placements.index(goal.placement)
    level = engine.see(case.known, case.request).level
    for size in range(1, most + 1):
        reached = []
        for some in combinations(every, size):
            for changes in product(*some):
                consent = next((one.level for one in changes if one.level), level.id)
                if not _read(engine, changes, consent):
                    continue
                if (first(decided(engine, asked(case, changes), draws), place) == goal.action) is goal.wins:
                    reached.append((effort(changes, case.known.now_ms), changes))
        if reached:
            return min(reached, key=lambda one: one[0])
    return None


def axes(strategy: Strategy, case: Case, moments: Sequence[int]) -> Iterator[list[Change]]:
    """Yield everything that can be changed, each with all that it can be changed to."""
    levels: Mapping[str, frozenset[str]] = {one.id: frozenset(one.purposes) for one in strategy.levels}
    now = levels.get(case.known.level or "", frozenset())
    for fact in strategy.actionable.facts:
        value = case.request.context.get(SCHEMA.index[fact.field])
        if SCHEMA.fields[SCHEMA.index[fact.field]].purpose not in now and fact.step:
            continue  # what is not read is not known, and nothing can be added to it
        steps = fact.reachable(value)
        yield [Change(ChangeKind.FACT, "", fact.field, None, after, step) for step, after in steps]
    more = [name for name, purposes in levels.items() if purposes > now] if strategy.actionable.consent else []
    yield [Change(ChangeKind.CONSENT, "", steps=len(levels[name]) - len(now), level=name) for name in more]
    yield [Change(ChangeKind.PERMISSION, "", steps=1)] if strategy.actionable.permission else []
    yield [Change(ChangeKind.WAIT, "", until_ms=at_ms) for at_ms in moments]


def _read(engine: Engine, changes: Sequence[Change], consent: str) -> bool:
    level = engine.level(consent)
    fields = [SCHEMA.fields[SCHEMA.index[change.field]] for change in changes if change.field]
    return level is not None and all(field.purpose in level.purposes for field in fields)


_BLANK = Entry("", "", "", 0, "", "", "", (), None, (), (), ())
