"""The journey of one person: what happened, what was said and what came of it, in pages; pure.

Of events the store keeps the type and the moments, under the purpose that lets them be told: the least of those that
the fields have which an event folds into. Who may not know any of these fields does not know of the event either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from models.context import ContextSchema, Purpose
from service.core.decision import Decision
from service.core.observed import Observer
from service.core.records import ConsentRecord, Happened
from service.core.rights import KeptOutcome
from service.core.rules import Selector
from service.core.selection import bits, mask
from service.core.strategy import Strategy

KEPT_EVENTS = 100
"""How many events of an id the store tells: service/store/lua/journey.lua keeps so many, and some for a while."""
NOT_KEPT = "-"


class Decided(Struct, frozen=True):
    """A decision as it is told, with the channel and the consent level that it was made for."""

    decision: Decision
    channel: str
    level: str


class Agreed(Struct, frozen=True):
    """A consent that was set, and the level before it; empty for the first that is kept."""

    consent: ConsentRecord
    before: str


class Step(Struct, frozen=True):
    """One thing on a journey: when it happened and when it arrived (ms), and under which id of the person."""

    at_ms: int
    arrived_ms: int
    customer: str
    what: Happened | Decided | KeptOutcome | Agreed


class Source(Struct, frozen=True):
    """Steps of one kind, in any order: all that arrived at `whole_from_ms` or later and before the page's end."""

    steps: tuple[Step, ...]
    whole_from_ms: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Steps by when they happened, the newest first, and before which arrival (ms) the next page begins; 0: none."""

    steps: tuple[Step, ...]
    next_ms: int


def page_of(sources: Sequence[Source], limit: int) -> Page:
    """Return the steps that arrived last, `limit` of them and those of the same millisecond as the last.

    Nothing is told of the time in which some source may lack steps: that is for the next page.
    """
    whole_ms = max((source.whole_from_ms for source in sources), default=0)
    found = [step for source in sources for step in source.steps if step.arrived_ms >= whole_ms]
    found.sort(key=lambda step: step.arrived_ms, reverse=True)
    next_ms = whole_ms
    if len(found) > limit:
        next_ms = found[limit - 1].arrived_ms
        found = [step for step in found if step.arrived_ms >= next_ms]
        older = any(step.arrived_ms < next_ms for source in sources for step in source.steps)
        next_ms = next_ms if older or whole_ms else 0
    found.sort(key=lambda step: (step.at_ms, step.arrived_ms), reverse=True)
    return Page(tuple(found), next_ms)


def purposes_of_events(schema: ContextSchema) -> Mapping[str, Purpose]:
    """Return the purpose that lets each type of event be told; those that fold into no field have none."""
    found: dict[str, Purpose] = {}
    order = list(Purpose)
    for field in schema.fields:
        if field.fold is None:
            continue
        for event in filter(None, (field.fold.event, field.fold.closed_by)):
            found[event] = min(found.get(event, field.purpose), field.purpose, key=order.index)
    return found


def letters_of_events(schema: ContextSchema | None) -> Mapping[str, str]:
    """Return the same as the letters under which the store keeps the purposes apart."""
    return {} if schema is None else {event: one.group for event, one in purposes_of_events(schema).items()}


def grounds_of_actions(strategy: Strategy) -> Mapping[str, frozenset[str]]:
    """Return of each action the fields that give away that it was said: of the rules that permit it or ask for it."""
    observer, found = Observer(strategy), {action.id: set[str]() for action in strategy.actions}
    pairs: list[tuple[Selector | None, tuple[str, ...]]] = []
    for needed in strategy.eligibility:
        pairs += [(needed.permit, observer.fields(needed)), (needed.instead, observer.fields(needed))]
    pairs += [(rule.instead, observer.fields(rule)) for rule in strategy.guardrails]
    for selector, fields in pairs:
        if selector is None:
            continue
        for channel in strategy.channels:
            for at in bits(mask(selector, strategy.actions, channel.id)):
                found[strategy.actions[at].id].update(fields)
    return {action: frozenset(fields) for action, fields in found.items()}


def moments_of_truth(strategy: Strategy) -> Mapping[str, tuple[str, ...]]:
    """Return the types of events that by themselves decide what may be said, with the guardrails that look at them."""
    observer, found = Observer(strategy), dict[str, list[str]]()
    folded = {field.id: field.fold for field in strategy.schema.fields if field.fold is not None}
    for rule in strategy.guardrails:
        folds = (folded[name] for name in observer.fields(rule) if name in folded)
        events = (event for fold in folds for event in (fold.event, fold.closed_by) if event)
        for event in dict.fromkeys(events):
            found.setdefault(event, []).append(rule.id)
    return {event: tuple(rules) for event, rules in found.items()}
