"""What would have been known at moments of the past: the same folds as in serving, and nothing from the future."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from models import folds
from models.context import ContextSchema, Scalar

Values = tuple[Scalar | None, ...]


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
) -> list[Values]:
    """Return for each moment (customer, ms) what was known from the events strictly before it.

    Each result has one value a field of the schema, in the schema's order, as `FeatureSpace.encode` takes it; None is
    unknown, and so is every field that is not among `feature_ids`. Events may come in any order; an id that a customer
    has twice counts once.
    """
    history = _History(schema, feature_ids)
    asked: defaultdict[str, list[int]] = defaultdict(list)
    for place, (customer, _) in enumerate(moments):
        asked[customer].append(place)
    happened = _by_customer(events, asked)
    known: dict[int, Values] = {}
    for customer, places in asked.items():
        places.sort(key=lambda place: moments[place][1])
        steps = _in_time(happened.get(customer, ()), history.schema)
        known.update(zip(places, history.replay(steps, [moments[place][1] for place in places]), strict=True))
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


def _in_time(events: Iterable[PastEvent], schema: ContextSchema) -> list[_Step]:
    steps = [_Step(event.at_ms, folds.operations(schema, event.type, event.attributes)) for event in events]
    return sorted(steps, key=lambda step: step.at_ms)


class _History:
    """Replays one customer's events and looks at the wanted fields on the way."""

    def __init__(self, schema: ContextSchema, feature_ids: Collection[str]) -> None:
        wanted = [(index, field) for index, field in enumerate(schema.fields) if field.id in feature_ids and field.fold]
        self.schema = replace(schema, fields=tuple(field for _, field in wanted))
        self._readers = [(index, field.key, folds.reader(field)) for index, field in wanted]
        self._nothing: list[Scalar | None] = [None] * len(schema.fields)

    def replay(self, steps: Sequence[_Step], moments: Iterable[int]) -> Iterator[Values]:
        """Yield what was known at each moment; steps and moments in time order."""
        states: dict[int, folds.State] = {}
        place = 0
        for moment in moments:
            while place < len(steps) and steps[place].at_ms < moment:
                for operation in steps[place].operations:
                    states[operation.key] = folds.apply(states.get(operation.key), operation, steps[place].at_ms)
                place += 1
            yield self._look(states, moment)

    def _look(self, states: Mapping[int, folds.State], now_ms: int) -> Values:
        values = self._nothing.copy()
        for index, key, read in self._readers:
            state = states.get(key)
            if state is not None:
                values[index] = read(state, now_ms)
        return tuple(values)
