"""What would have been known at moments of the past: the same folds as in serving, and nothing from the future."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models import folds
from models.clock import Clock
from models.context import ContextSchema, Scalar

Values = tuple[Scalar | None, ...]
_NOTHING_GIVEN: Mapping[int, Scalar] = {}


class PastEvent(Protocol):
    """One event of one customer; `at_ms` is when it happened."""

    @property
    def id(self) -> str:
        """Name the event; the same id counts once a customer."""

    @property
    def customer(self) -> str:
        """Name the customer."""

    @property
    def type(self) -> str:
        """Name the event's type in the schema."""

    @property
    def at_ms(self) -> int:
        """Return when it happened."""

    @property
    def attributes(self) -> Mapping[str, Scalar]:
        """Return what the event says, typed by the schema."""


def as_of(
    schema: ContextSchema,
    feature_ids: Collection[str],
    events: Iterable[PastEvent],
    moments: Sequence[tuple[str, int]],
    given: Sequence[Mapping[int, Scalar]] = (),
) -> list[Values]:
    """Return for each moment (customer, ms) what was known from the events strictly before it.

    Each result has one value a field of the schema, in the schema's order, as `FeatureSpace.encode` takes it; None is
    unknown, and so is every field that is not among `feature_ids`. Events may come in any order; an id that a customer
    has twice counts once. `given`, where there is any, holds for each moment what came with the request, by the field's
    index. Hour and weekday are those of the moment where the customer then was.
    """
    history = _History(schema, feature_ids)
    asked: defaultdict[str, list[int]] = defaultdict(list)
    for place, (customer, _) in enumerate(moments):
        asked[customer].append(place)
    happened = _by_customer(events, asked)
    known: dict[int, Values] = {}
    for customer, places in asked.items():
        places.sort(key=lambda place: moments[place][1])
        steps = _in_time(happened.get(customer, ()), history.folding)
        looks = [(moments[place][1], given[place] if given else _NOTHING_GIVEN) for place in places]
        known.update(zip(places, history.replay(steps, looks), strict=True))
    return [known[place] for place in range(len(moments))]


def _by_customer(events: Iterable[PastEvent], wanted: Collection[str]) -> dict[str, list[PastEvent]]:
    found: dict[str, dict[str, PastEvent]] = defaultdict(dict)
    for event in events:
        if event.customer in wanted:
            found[event.customer].setdefault(event.id, event)
    return {customer: list(by_id.values()) for customer, by_id in found.items()}


@dataclass(frozen=True, slots=True)
class _Step:
    at_ms: int
    operations: tuple[folds.Operation, ...]


def _in_time(events: Iterable[PastEvent], folding: folds.Folding) -> list[_Step]:
    steps = [_Step(event.at_ms, folding.operations(event.type, event.attributes)) for event in events]
    return sorted(steps, key=lambda step: step.at_ms)


class _History:
    """Replays one customer's events and looks at the wanted fields on the way."""

    def __init__(self, schema: ContextSchema, feature_ids: Collection[str]) -> None:
        asked = {schema.index[name] for name in feature_ids if name in schema.index}
        clock = Clock.of(schema)
        self._clock = clock if clock and not asked.isdisjoint(clock.tells) else None
        self._looked_at = asked | {*self._clock.tells, *self._clock.looks_at} if self._clock else asked
        self._not_told = self._looked_at - asked
        wanted = [(index, schema.fields[index]) for index in sorted(self._looked_at) if schema.fields[index].fold]
        self.folding = folds.Folding(replace(schema, fields=tuple(field for _, field in wanted)))
        self._readers = [(index, field.key, folds.reader(field)) for index, field in wanted]
        self._nothing: list[Scalar | None] = [None] * len(schema.fields)

    def replay(self, steps: Sequence[_Step], looks: Iterable[tuple[int, Mapping[int, Scalar]]]) -> Iterator[Values]:
        """Yield what was known at each moment with what came with its request; steps and looks in time order."""
        states: dict[int, folds.State] = {}
        place = 0
        for moment, given in looks:
            while place < len(steps) and steps[place].at_ms < moment:
                for operation in steps[place].operations:
                    states[operation.key] = folds.apply(states.get(operation.key), operation, steps[place].at_ms)
                place += 1
            yield self._look(states, moment, given)

    def _look(self, states: Mapping[int, folds.State], now_ms: int, given: Mapping[int, Scalar]) -> Values:
        values = self._nothing.copy()
        for index, key, read in self._readers:
            state = states.get(key)
            if state is not None:
                values[index] = read(state, now_ms)
        for index, value in given.items():
            if index in self._looked_at:
                values[index] = value
        if self._clock is not None:
            self._clock.fill(values, now_ms)
            for index in self._not_told:
                values[index] = None
        return tuple(values)
