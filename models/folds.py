"""How events become the values of fields: one state a field, folded event by event, in any order.

A state is a list whose first item is the event time (ms) that ages the field:

    last, first, min, max        [t, v]
    count, sum                   [t, n]                         sum: whole millionths
    open                         [t, {key: [opened, closed]}]   ms, 0: never
    distinct                     [t, {value: t}]
    recent                       [t, [[t, value], ...]]         newest first
    window_count, window_sum     [t, [[t, millionths], ...]]    oldest first
    rate                         as window_count
    decay                        [t, [[period, millionths], ...], half-life]    newest first
    since                        [t]
    model                        [t, v, version]                v: a value of any type, several texts as a list

A decaying amount is summed in whole millionths as of the beginning of the half-life period (t // half-life) of its
event, so that adding is exact; the newest 40 periods are kept. Equal events give equal states in whatever order they
arrive, and folding happens in the store as well as here (service/store/lua/folds.lua); models/cells.py says how states
are kept, docs/decisions/0005-folding-in-the-store.md where order independence ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from models.cells import MALFORMED, State
from models.context import FoldKind
from models.fold_readers import DAY_MS, Look, Reader, age_ms, kept_as, known, look, reader, value
from models.operations import LARGEST_INT, Folding, Operation, as_of_period, clipped, code, dated, operations

__all__ = [
    "LARGEST_INT",
    "Folding",
    "Look",
    "Operation",
    "Reader",
    "State",
    "age_ms",
    "apply",
    "code",
    "dated",
    "kept_as",
    "known",
    "look",
    "operations",
    "reader",
    "value",
]

PERIODS = 40
"""So many half-life periods of a decaying amount are kept; what is older has less than 2^-39 of its amount left."""


def apply(state: State | None, operation: Operation, t_ms: int) -> State:
    """Return the state after an event at `t_ms`; a state of another shape counts as none."""
    step = _STEPS[operation.kind]
    try:
        return step(state if state and fits(operation, state) else None, operation, t_ms)
    except MALFORMED:
        return step(None, operation, t_ms)


def fits(operation: Operation, state: State) -> bool:
    """Tell whether a state has the shape of a fold, and not that of another fold that once had its key."""
    kind, second = operation.kind, state[1] if len(state) > 1 else None
    if kind is FoldKind.DECAY:
        return state[2:] == [operation.half_life_ms]
    if kind is FoldKind.MODEL:
        return len(state) == 3 and isinstance(state[2], str)
    if kind is FoldKind.SINCE or len(state) > 2:
        return len(state) == 1
    if kind in (FoldKind.OPEN, FoldKind.DISTINCT):
        item = next(iter(second.values())) if isinstance(second, dict) else None
        return isinstance(item, list if kind is FoldKind.OPEN else int)
    if kind is FoldKind.RECENT or kind in _WINDOWS:
        item = second[0][1] if isinstance(second, list) else None
        return isinstance(item, str if kind is FoldKind.RECENT else int)
    if kind in (FoldKind.COUNT, FoldKind.SUM):
        return type(second) in (int, float)
    return isinstance(second, int | float | str) and (type(second) is bool) == (type(operation.value) is bool)


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
    return [t, value] if state is None else [max(t, state[0]), clipped(state[1] + value)]


def _open(state: State | None, operation: Operation, t: int) -> State:
    latest, items = (t, {}) if state is None else (max(t, state[0]), dict(state[1]))
    opened, closed = items.get(operation.value, (0, 0))
    items[operation.value] = [opened, max(closed, t)] if operation.closed else [max(opened, t), closed]
    while len(items) > operation.keep:
        del items[min(items, key=lambda key: staying(key, *items[key]))]
    return [latest, items]


def staying(key: str, opened: int, closed: int) -> tuple[bool, int, str]:
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
    half_life_ms = operation.half_life_ms
    amount = as_of_period(cast(float, operation.value), half_life_ms, t)
    latest, periods = (t, {}) if state is None else (max(t, state[0]), dict(state[1]))
    periods[t // half_life_ms] = clipped(periods.get(t // half_life_ms, 0) + amount)
    oldest = latest // half_life_ms - PERIODS
    kept = [[period, periods[period]] for period in sorted(periods, reverse=True) if period > oldest]
    return [latest, kept, half_life_ms]


def _model(state: State | None, operation: Operation, t: int) -> State:
    value = list(operation.value) if isinstance(operation.value, tuple) else operation.value
    new = [t, value, operation.version]
    return new if state is None or _written_order(new) > _written_order(state) else state


def _written_order(state: State) -> tuple[int, int, Any, str]:
    """Order what models wrote: by time, then by type (bool, number, text, texts), value and version."""
    t, value, version = state
    return t, _TYPE_ORDER[type(value)], value, version


def _since(state: State | None, operation: Operation, t: int) -> State:
    return [t if state is None else max(t, state[0])]


_WINDOWS = frozenset({FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE})
_TYPE_ORDER = {bool: 0, int: 1, float: 1, str: 2, list: 3}
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
    FoldKind.RATE: _window,
    FoldKind.DECAY: _decay,
    FoldKind.SINCE: _since,
    FoldKind.MODEL: _model,
}
