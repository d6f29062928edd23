"""The event history, and the moments of it at which a prediction is asked: what was known then, what came after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from random import Random

import numpy as np
import numpy.typing as npt

from models.context import ContextSchema, FoldKind, Scalar
from models.features import FeatureSpace
from models.history import as_of
from models.predictions import Prediction, PredictionKind

from ..errors import TrainingRefused
from ..progress import Advance
from ..rows import EventRow

Floats = npt.NDArray[np.float64]
MOMENTS_EACH = 6
"""At how many moments of the past each customer is looked at, at most."""

_BATCH = 100


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What happened, by customer and in order of time, each event id once; `end_ms` is the last moment of all."""

    events: Mapping[str, tuple[EventRow, ...]]
    end_ms: int

    @classmethod
    def of(cls, events: Iterable[EventRow]) -> History:
        """Arrange events that come in any order; raise `TrainingRefused` where there are none."""
        found: dict[str, dict[str, EventRow]] = defaultdict(dict)
        for event in events:
            found[event.customer].setdefault(event.id, event)
        if not found:
            raise TrainingRefused("there are no events to learn from")
        ordered = {
            customer: tuple(sorted(by_id.values(), key=lambda event: (event.at_ms, event.id)))
            for customer, by_id in sorted(found.items())
        }
        return cls(ordered, max(events[-1].at_ms for events in ordered.values()))

    @property
    def size(self) -> int:
        """How many events there are."""
        return sum(map(len, self.events.values()))


@dataclass(frozen=True, slots=True)
class Moment:
    """One customer at one moment, and what came after it."""

    customer: str
    at_ms: int
    label: str


def moments_of(history: History, prediction: Prediction, seed: int) -> list[Moment]:
    """Return moments whose answer is known by the end of the history, oldest first.

    They are drawn from those just after something happened to the customer, for then the models will be asked. They
    depend on the customer's id and the seed, and not on who else is there.
    """
    found = [
        moment
        for customer, events in history.events.items()
        for moment in _asked(customer, events, history.end_ms, prediction, seed)
    ]
    return sorted(found, key=lambda moment: (moment.at_ms, moment.customer))


HAPPENS = ("stays", "happens")
"""The labels of a chance: what is asked for did not happen in time, or did."""


def _asked(
    customer: str, events: Sequence[EventRow], end_ms: int, prediction: Prediction, seed: int
) -> Iterator[Moment]:
    first, last = end_ms - (prediction.history_ms or end_ms), end_ms - prediction.within_ms
    moments = sorted({event.at_ms + 1 for event in events if first <= event.at_ms < last})
    answers = [event for event in events if event.type == prediction.event]
    dice = Random(f"{seed} {prediction.field} {customer}")  # noqa: S311  a sample, not a secret
    for at_ms in sorted(dice.sample(moments, min(MOMENTS_EACH, len(moments)))):
        if prediction.once and answers and answers[0].at_ms < at_ms:
            return
        label = _label(answers, at_ms, prediction)
        if label is not None:
            yield Moment(customer, at_ms, label)


def _label(answers: Sequence[EventRow], at_ms: int, prediction: Prediction) -> str | None:
    coming = next((event for event in answers if event.at_ms >= at_ms), None)
    if coming is not None and coming.at_ms >= at_ms + prediction.within_ms:
        coming = None
    if prediction.kind is PredictionKind.CHANCE:
        return HAPPENS[coming is not None]
    named = None if coming is None else coming.attributes.get(prediction.attribute)
    return named if isinstance(named, str) else None


def seen(
    schema: ContextSchema, space: FeatureSpace, history: History, asked: Sequence[Moment], advance: Advance
) -> Floats:
    """Return what was known at each moment, of shape (moments, columns), from the events strictly before it."""
    x = np.empty((len(asked), len(space.columns)))
    for places, known in _known(schema, space.features, history, [(one.customer, one.at_ms) for one in asked]):
        for place, values in zip(places, known, strict=True):
            x[place] = space.encode(values, asked[place].at_ms)
        advance(len(places))
    return x


def _known(
    schema: ContextSchema, fields: Sequence[str], history: History, asked: Sequence[tuple[str, int]]
) -> Iterator[tuple[list[int], list[tuple[Scalar | None, ...]]]]:
    """Yield places and values for a batch of customers at a time, so that memory is bounded by the batch."""
    by_customer: dict[str, list[int]] = defaultdict(list)
    for place, (customer, _) in enumerate(asked):
        by_customer[customer].append(place)
    customers = iter(by_customer)
    while batch := tuple(islice(customers, _BATCH)):
        places = [place for customer in batch for place in by_customer[customer]]
        events = (event for customer in batch for event in history.events[customer])
        yield places, as_of(schema, fields, events, [asked[place] for place in places])


@dataclass(frozen=True, slots=True)
class Bought:
    """Something that a customer came to have, and what was in the basket field just before."""

    customer: str
    at_ms: int
    item: str
    before: tuple[str, ...]


def bought(schema: ContextSchema, prediction: Prediction, history: History) -> list[Bought]:
    """Return everything that went into the basket field, in order of time, with the basket as it was known then."""
    fold = schema.fields[schema.index[prediction.basket]].fold
    if fold is None or fold.kind is not FoldKind.RECENT or fold.attribute is None:
        raise TrainingRefused(f"{prediction.basket} lists nothing; give it a fold of kind recent")
    attribute, where = fold.attribute, fold.where
    events = [
        event
        for one in history.events.values()
        for event in one
        if event.type == fold.event and all(event.attributes.get(name) == value for name, value in where)
    ]
    events = sorted((e for e in events if attribute in e.attributes), key=lambda e: (e.at_ms, e.customer, e.id))
    baskets: list[tuple[str, ...]] = [()] * len(events)
    for places, known in _known(schema, (prediction.basket,), history, [(e.customer, e.at_ms) for e in events]):
        for place, values in zip(places, known, strict=True):
            held = values[schema.index[prediction.basket]]
            baskets[place] = held if isinstance(held, tuple) else ()
    return [
        Bought(event.customer, event.at_ms, str(event.attributes[attribute]), basket)
        for event, basket in zip(events, baskets, strict=True)
    ]


def written(at_ms: int) -> str:
    """Return a moment as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
