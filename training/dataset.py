"""The training set: what was known at each logged decision, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from models.artifacts import Rows
from models.context import ContextSchema, Purpose
from models.features import FeatureSpace
from models.history import as_of

from .decisions import NOTHING, Decisions
from .errors import TrainingRefused
from .fitting import Blind, blinds_of
from .progress import Advance
from .rows import DecisionRow, EventRow
from .strategy import Declared

Floats = npt.NDArray[np.float64]

_BATCH = 100


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Decisions with what was known and what came of them, and how much there was to read."""

    decisions: Decisions
    rows: Rows


def dataset(
    declared: Declared, events: Iterable[EventRow], decisions: Iterable[DecisionRow], watch: Callable[[int], Advance]
) -> Dataset:
    """Join decisions with what was known from the events strictly before them; `watch` is told how many there are."""
    logged = sorted(decisions, key=lambda decision: (decision.at_ms, decision.id))
    first: dict[str, DecisionRow] = {}
    for decision in logged:
        first.setdefault(decision.id, decision)
    taken = list(first.values())
    if not taken:
        raise TrainingRefused("there are no decisions to learn from")
    happened = _Happened.of(events, {decision.customer for decision in taken})
    x = _known(declared, taken, happened, watch(len(taken)))
    happened_by_action, others = _labels(taken, declared.actions)
    rows = Rows(
        events=happened.distinct,
        events_repeated=happened.repeated,
        decisions=len(taken),
        decisions_repeated=len(logged) - len(taken),
        decisions_unlabelled=sum(not decision.outcomes for decision in taken),
        decisions_of_other_actions=others,
        first=_written(taken[0].at_ms),
        last=_written(taken[-1].at_ms),
    )
    return Dataset(_decisions(declared, taken, x, happened_by_action), rows)


@dataclass(frozen=True, slots=True)
class _Happened:
    """The events of the customers in question, how many there were of all customers, and how many repeated an id."""

    events: Mapping[str, list[EventRow]]
    distinct: int
    repeated: int

    @classmethod
    def of(cls, events: Iterable[EventRow], customers: Collection[str]) -> _Happened:
        found: dict[str, list[EventRow]] = defaultdict(list)
        seen: set[tuple[str, str]] = set()
        count = 0
        for count, event in enumerate(events, 1):  # noqa: B007  counted as it streams by
            seen.add((event.customer, event.id))
            if event.customer in customers:
                found[event.customer].append(event)
        return cls(found, len(seen), count - len(seen))


def _known(declared: Declared, decisions: Sequence[DecisionRow], happened: _Happened, advance: Advance) -> Floats:
    """Return what was known at each decision, of shape (decisions, columns), a batch of customers at a time."""
    x = np.empty((len(decisions), len(declared.space.columns)))
    asked: dict[str, list[int]] = defaultdict(list)
    for place, decision in enumerate(decisions):
        asked[decision.customer].append(place)
    customers = iter(asked)
    while batch := tuple(islice(customers, _BATCH)):
        places = [place for customer in batch for place in asked[customer]]
        moments = [(decisions[place].customer, decisions[place].at_ms) for place in places]
        contexts = [decisions[place].context for place in places]
        events = chain.from_iterable(happened.events.get(customer, ()) for customer in batch)
        values = as_of(declared.schema, declared.space.features, events, moments, contexts)
        for place, known in zip(places, values, strict=True):
            x[place] = declared.space.encode(known, decisions[place].at_ms)
        advance(len(places))
    return x


def _labels(decisions: Sequence[DecisionRow], actions: Sequence[str]) -> tuple[Floats, int]:
    """Return what happened (decisions, actions and nothing), and how many rows name no action of today."""
    codes = {action: code for code, action in enumerate(actions, 1)}
    happened = np.full((len(decisions), len(actions) + 1), np.nan)
    others = 0
    for place, decision in enumerate(decisions):
        of_today = {codes[action]: outcome for action, outcome in decision.outcomes.items() if action in codes}
        others += len(of_today) < len(decision.outcomes)
        for code, outcome in of_today.items():
            happened[place, code] = outcome
    return happened, others


def _decisions(declared: Declared, taken: Sequence[DecisionRow], x: Floats, happened: Floats) -> Decisions:
    """Return the decisions whose outcome is known of an action of today."""
    codes = {action: code for code, action in enumerate(("", *declared.actions))}
    customers = {customer: code for code, customer in enumerate(dict.fromkeys(row.customer for row in taken))}
    told = np.flatnonzero(~np.isnan(happened).all(axis=1))
    rows = [taken[place] for place in told.tolist()]
    return Decisions(
        customer=np.array([customers[row.customer] for row in rows], dtype=np.int64),
        at_ms=np.array([row.at_ms for row in rows], dtype=np.int64),
        columns=declared.space.columns,
        x=x[told],
        actions=(NOTHING, *declared.actions),
        action=np.array([codes[row.action] for row in rows], dtype=np.int64),
        probability=np.array([row.probability for row in rows]),
        allowed=np.ones((len(rows), len(codes)), dtype=np.bool_),
        happened=happened[told],
        worth=np.full(len(rows), np.nan),
    )


def _written(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def blinds(schema: ContextSchema, space: FeatureSpace) -> tuple[Blind, ...]:
    """Return what a model cannot see of a customer who has not agreed to one of the purposes."""
    columns = [
        tuple(
            column
            for feature in space.features
            if schema.fields[schema.index[feature]].purpose is purpose
            for column in FeatureSpace.of(schema, (feature,)).columns
        )
        for purpose in Purpose
    ]
    return tuple(blinds_of(space.columns, columns))
