"""How events become the values of fields: one state a field, folded event by event, in any order.

A state is a list whose first item is the event time (ms) that ages the field:

    last, first, min, max        [t, v]
    count, sum                   [t, n]                         sum: whole millionths
    open                         [t, {key: [opened, closed]}]   ms, 0: never
    distinct                     [t, {value: t}]
    recent                       [t, [[t, value], ...]]         newest first
    window_count, window_sum     [t, [[t, millionths], ...]]    oldest first
    decay                        [t, x]                         x as of t
    since                        [t]

Equal events give equal states in whatever order they arrive, and folding happens in the store as well as here
(service/store/lua/folds.lua); docs/decisions/0005-folding-in-the-store.md says where that ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import cast

import msgspec

from models.context import ContextSchema, Field, FoldKind, Scalar
from models.fold_readers import DAY_MS, MALFORMED, MILLION, Reader, State, age_ms, decayed, known, reader, value

__all__ = [
    "LARGEST_INT",
    "Operation",
    "Reader",
    "State",
    "age_ms",
    "apply",
    "known",
    "operations",
    "reader",
    "value",
]

LONGEST_NAME = 64
LARGEST_INT = 2**53 - 1
"""The largest whole number, either side of zero, that the store keeps exactly; sums stop there (9 billion units)."""


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """What one event does to one field.

    `key` and `group` say where the store keeps the field. `value` is a text for `open`, `distinct` and `recent`,
    whole millionths for `sum` and `window_sum`, else what is folded. `closed` is true for what ends an open item.
    """

    key: int
    group: str
    kind: FoldKind
    value: bool | int | float | str
    window_ms: int
    half_life_ms: int
    keep: int
    closed: bool


def operations(schema: ContextSchema, event_type: str, attributes: Mapping[str, Scalar]) -> tuple[Operation, ...]:
    """Return what an event does to the fields of a schema; a fold whose attribute is absent is skipped.

    Raises OverflowError for a whole number beyond `LARGEST_INT`, which the store could not keep exactly.
    """
    return tuple(found for field in schema.fields for found in _of_field(field, event_type, attributes))


def _of_field(field: Field, event_type: str, attributes: Mapping[str, Scalar]) -> Iterator[Operation]:
    fold = field.fold
    if fold is None:
        return
    if fold.event == event_type and all(attributes.get(name) == value for name, value in fold.where):
        yield from _operation(field, attributes, fold.attribute, closed=False)
    if fold.closed_by == event_type:
        yield from _operation(field, attributes, fold.closed_key or fold.attribute, closed=True)


def _operation(
    field: Field, attributes: Mapping[str, Scalar], attribute: str | None, *, closed: bool
) -> Iterator[Operation]:
    fold = field.fold
    if fold is None:
        return
    value = attributes.get(attribute) if attribute else 1
    if value is not None:
        folded = _folded(fold.kind, value)
        yield Operation(
            field.key, field.purpose.group, fold.kind, folded, fold.window_ms, fold.half_life_ms, fold.keep, closed
        )


def _folded(kind: FoldKind, value: Scalar) -> bool | int | float | str:
    """Bring an attribute's value into the form that is folded, free of what Lua would change."""
    if kind in (FoldKind.OPEN, FoldKind.DISTINCT):
        return _name(_text(value))
    if kind is FoldKind.RECENT:
        return _text(value)
    if kind in (FoldKind.COUNT, FoldKind.WINDOW_COUNT, FoldKind.SINCE):
        return 1
    if kind in (FoldKind.SUM, FoldKind.WINDOW_SUM):
        return _clipped(round(cast(float, value) * MILLION))
    if type(value) is int and abs(value) > LARGEST_INT:
        raise OverflowError(f"{value} is beyond {LARGEST_INT}, the largest whole number that is kept exactly")
    return value + 0.0 if type(value) is float else cast(bool | int | str, value)  # no negative zero


def _name(text: str) -> str:
    """Return a text that is only ever counted: as it is, or its digest, so that the store compares short texts."""
    return text if len(text) <= LONGEST_NAME else blake2b(text.encode(), digest_size=LONGEST_NAME // 2).hexdigest()


def _text(value: Scalar) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return value if type(value) is str else str(value)


def _clipped(number: int) -> int:
    return max(-LARGEST_INT, min(LARGEST_INT, number))


def apply(state: State | None, operation: Operation, t_ms: int) -> State:
    """Return the state after an event at `t_ms`; a state of another shape counts as none."""
    step = _STEPS[operation.kind]
    try:
        return step(state if state and _fits(operation.kind, state) else None, operation, t_ms)
    except MALFORMED:
        return step(None, operation, t_ms)


def _fits(kind: FoldKind, state: State) -> bool:
    """Tell whether a state has the shape of a fold, and not that of another fold that once had its key."""
    second = state[1] if len(state) > 1 else None
    if kind is FoldKind.SINCE:
        return second is None
    if kind in (FoldKind.OPEN, FoldKind.DISTINCT):
        item = next(iter(second.values())) if isinstance(second, dict) else None
        return isinstance(item, list if kind is FoldKind.OPEN else int)
    if kind in (FoldKind.RECENT, FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM):
        item = second[0][1] if isinstance(second, list) else None
        return isinstance(item, str if kind is FoldKind.RECENT else int)
    if kind in (FoldKind.COUNT, FoldKind.SUM, FoldKind.DECAY):
        return isinstance(second, int | float)
    return isinstance(second, bool | int | float | str)


def _last(state: State | None, operation: Operation, t: int) -> State:
    return [t, operation.value] if state is None or (t, operation.value) > (state[0], state[1]) else state


def _first(state: State | None, operation: Operation, t: int) -> State:
    return [t, operation.value] if state is None or (t, operation.value) < (state[0], state[1]) else state


def _min(state: State | None, operation: Operation, t: int) -> State:
    return [t, operation.value] if state is None else [max(t, state[0]), min(operation.value, state[1])]


def _max(state: State | None, operation: Operation, t: int) -> State:
    return [t, operation.value] if state is None else [max(t, state[0]), max(operation.value, state[1])]


def _sum(state: State | None, operation: Operation, t: int) -> State:
    value = cast(int, operation.value)
    return [t, value] if state is None else [max(t, state[0]), _clipped(state[1] + value)]


def _open(state: State | None, operation: Operation, t: int) -> State:
    latest, items = (t, {}) if state is None else (max(t, state[0]), dict(state[1]))
    opened, closed = items.get(operation.value, (0, 0))
    items[operation.value] = [opened, max(closed, t)] if operation.closed else [max(opened, t), closed]
    while len(items) > operation.keep:
        del items[min(items, key=lambda key: _staying(key, *items[key]))]
    return [latest, items]


def _staying(key: str, opened: int, closed: int) -> tuple[bool, int, str]:
    """Order items by how long they stay: the longest closed goes first, what is open goes last."""
    return (True, opened, key) if opened > closed else (False, closed, key)


def _distinct(state: State | None, operation: Operation, t: int) -> State:
    latest, seen = (t, {}) if state is None else (max(t, state[0]), dict(state[1]))
    seen[operation.value] = max(t, seen.get(operation.value, 0))
    while len(seen) > operation.keep:
        del seen[min(seen, key=lambda value: (seen[value], value))]
    return [latest, seen]


def _recent(state: State | None, operation: Operation, t: int) -> State:
    latest, items = (t, []) if state is None else (max(t, state[0]), state[1])
    return [latest, sorted([*items, [t, operation.value]], reverse=True)[: operation.keep]]


def _window(state: State | None, operation: Operation, t: int) -> State:
    latest, items = (t, []) if state is None else (max(t, state[0]), state[1])
    since = latest - operation.window_ms - DAY_MS
    return [latest, sorted(item for item in [*items, [t, operation.value]] if item[0] >= since)[-operation.keep :]]


def _decay(state: State | None, operation: Operation, t: int) -> State:
    value = float(operation.value)
    if state is None:
        return [t, value]
    then, amount = state
    if t >= then:
        return [t, amount * decayed(t - then, operation.half_life_ms) + value]
    return [then, amount + value * decayed(then - t, operation.half_life_ms)]


def _since(state: State | None, operation: Operation, t: int) -> State:
    return [t if state is None else max(t, state[0])]


_STEPS: dict[FoldKind, Callable[[State | None, Operation, int], State]] = {
    FoldKind.LAST: _last,
    FoldKind.FIRST: _first,
    FoldKind.COUNT: _sum,
    FoldKind.SUM: _sum,
    FoldKind.MIN: _min,
    FoldKind.MAX: _max,
    FoldKind.OPEN: _open,
    FoldKind.DISTINCT: _distinct,
    FoldKind.RECENT: _recent,
    FoldKind.WINDOW_COUNT: _window,
    FoldKind.WINDOW_SUM: _window,
    FoldKind.DECAY: _decay,
    FoldKind.SINCE: _since,
}
