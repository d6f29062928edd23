"""Two states of a field become the one that all their events would have made, so that a person is seen as one.

What holds for folding holds here: order does not matter, and what is bounded in a fold (docs/decisions/0005) is bounded
here in the same way. An event is told by its identity and its id: recorded under two identities, it is two events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from models import folds
from models.cells import MALFORMED, State
from models.context import ContextSchema, Field, Fold, FoldKind
from models.fold_readers import DAY_MS
from models.folds import LARGEST_INT, PERIODS, Operation, fits
from models.states import arrivals, packed, unpacked

Fields = Mapping[int, Field]
"""The fields that the store keeps, by key."""


def stored_fields(schema: ContextSchema | None) -> Fields:
    """Return the fields of a schema that the store keeps, by key."""
    return {field.key: field for field in schema.fields if field.fold is not None} if schema else {}


def merged_groups(fields: Fields, groups: Iterable[bytes]) -> bytes:
    """Return the states of several identities' groups as one group.

    Raises ValueError when one of them cannot be read: what it says might be what forbids. A field that is not among
    `fields` is left out.
    """
    states: dict[int, State] = {}
    arrived: dict[int, int] = {}
    for group in groups:
        later = arrivals(group)
        for key, state in unpacked(group).items():
            if key not in fields:
                continue
            known = states.get(key)
            states[key] = state if known is None else merged(fields[key], known, state)
            if states[key][0] == state[0]:
                arrived[key] = max(later[key], arrived.get(key, 0) if known and known[0] == state[0] else 0)
    return packed(states, arrived)


def merged(field: Field, one: State, other: State) -> State:
    """Return the state that the events of both make, whichever comes first.

    A state of another shape than the field's fold counts as none; of two values that cannot be compared, because the
    field's type has changed, the later one holds.
    """
    operation = _operation(field)
    if operation is None or not _fits(operation, other):
        return one
    if not _fits(operation, one):
        return other
    try:
        if (merge := _MERGES.get(operation.kind)) is not None:
            return merge(operation, one, other)
        if operation.kind is FoldKind.MODEL or _comparable(one, other):
            return folds.apply(one, _as_event(operation, other), other[0])
    except MALFORMED:
        pass
    return max(one, other, key=lambda state: (int(state[0]), str(type(state[-1]))))


def _operation(field: Field) -> Operation | None:
    fold: Fold | None = field.fold
    if fold is None:
        return None
    return Operation(field.key, field.purpose.group, fold.kind, 1, fold.window_ms, fold.half_life_ms, fold.keep)


def _fits(operation: Operation, state: State) -> bool:
    try:
        return bool(state) and fits(_as_event(operation, state), state)
    except (StopIteration, *MALFORMED):
        return False


def _as_event(operation: Operation, state: State) -> Operation:
    """Return what an event would do that says all that a state of one value says."""
    if operation.kind in _MERGES or len(state) < 2:
        return operation
    value = tuple(state[1]) if isinstance(state[1], list) else state[1]
    return replace(operation, value=value, version=state[2] if len(state) > 2 else "")


def _comparable(one: State, other: State) -> bool:
    """Tell whether two states hold numbers, or values of one type, or no values."""
    types = {float if type(state[-1]) is int else type(state[-1]) for state in (one, other)}
    return len(types) == 1


def _open(operation: Operation, one: State, other: State) -> State:
    items = {key: list(ends) for key, ends in one[1].items()}
    for key, (opened, closed) in other[1].items():
        before = items.get(key, (0, 0))
        items[key] = [max(opened, before[0]), max(closed, before[1])]
    staying = sorted(items, key=lambda key: folds.staying(key, *items[key]))[-operation.keep :]
    return [max(one[0], other[0]), {key: items[key] for key in staying}]


def _distinct(operation: Operation, one: State, other: State) -> State:
    seen = dict(one[1])
    for text, t in other[1].items():
        seen[text] = max(t, seen.get(text, 0))
    staying = sorted(seen, key=lambda text: (seen[text], text))[-operation.keep :]
    return [max(one[0], other[0]), {text: seen[text] for text in staying}]


def _recent(operation: Operation, one: State, other: State) -> State:
    items = sorted([*one[1], *other[1]], reverse=True)
    return [max(one[0], other[0]), items[: operation.keep]]


def _window(operation: Operation, one: State, other: State) -> State:
    latest = max(one[0], other[0])
    since = latest - operation.window_ms - DAY_MS
    items = sorted(item for item in [*one[1], *other[1]] if item[0] >= since)
    return [latest, items[-operation.keep :]]


def _decay(operation: Operation, one: State, other: State) -> State:
    latest, periods = max(one[0], other[0]), dict(one[1])
    for period, amount in other[1]:
        periods[period] = max(-LARGEST_INT, min(LARGEST_INT, periods.get(period, 0) + amount))
    oldest = latest // operation.half_life_ms - PERIODS
    kept = [[period, periods[period]] for period in sorted(periods, reverse=True) if period > oldest]
    return [latest, kept, operation.half_life_ms]


_MERGES: dict[FoldKind, Callable[[Operation, State, State], State]] = {
    FoldKind.OPEN: _open,
    FoldKind.DISTINCT: _distinct,
    FoldKind.RECENT: _recent,
    FoldKind.WINDOW_COUNT: _window,
    FoldKind.WINDOW_SUM: _window,
    FoldKind.RATE: _window,
    FoldKind.DECAY: _decay,
}
"""The folds that remember items; a state of the others says no more than one event would."""
