"""What the states of folds say at a moment: the readers of models/folds.py, made once a field and called often.

Nothing that is too old or has not the shape of the field's fold passes as known: it reads as None.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias, cast

from models.context import Field, Fold, FoldKind, Scalar, ValueType

State: TypeAlias = list[Any]
Reader: TypeAlias = Callable[[State, int], Scalar | None]

DAY_MS = 86_400_000
MILLION = 1_000_000
MALFORMED = (TypeError, ValueError, LookupError, AttributeError)
"""What Python raises over a state of another shape than expected."""


def decayed(age_ms: int, half_life_ms: int) -> float:
    """Return what is left of one after an age; what lies in the future has not decayed."""
    left: float = 2.0 ** -(max(0, age_ms) / half_life_ms)
    return left


def age_ms(state: State, now_ms: int) -> int:
    """Return the age of a state: milliseconds since the event that it dates from."""
    return now_ms - cast(int, state[0])


def value(field: Field, state: State, now_ms: int) -> Scalar | None:
    """Return a field's value at `now_ms`, however old; None when the state has not the shape of the field's fold."""
    return _reader(field, inf)(state, now_ms)


def known(field: Field, state: State | None, now_ms: int) -> Scalar | None:
    """Return a field's value at `now_ms`; None when it is missing, malformed or older than the field allows."""
    return None if state is None else reader(field)(state, now_ms)


def reader(field: Field) -> Reader:
    """Return the function that reads `known` values of one field from its states: make it once, call it often."""
    return _reader(field, inf if field.max_age_ms is None else field.max_age_ms)


def _reader(field: Field, longest_ms: float) -> Reader:
    if field.fold is None:
        return lambda state, now_ms: None
    if field.fold.kind in _COMPUTED:
        return _computed(_COMPUTED[field.fold.kind](field.fold), longest_ms)
    return _number(longest_ms) if field.type is ValueType.DOUBLE else _as_it_is(_KEPT_AS[field.type], longest_ms)


def _as_it_is(wanted: type, longest_ms: float) -> Reader:
    def read(state: State, now_ms: int) -> Scalar | None:
        try:
            item: Scalar = state[1]
            return item if type(item) is wanted and now_ms - state[0] <= longest_ms else None
        except MALFORMED:
            return None

    return read


def _number(longest_ms: float) -> Reader:
    """Read a double; the store keeps 2.0 as 2."""

    def read(state: State, now_ms: int) -> Scalar | None:
        try:
            item = state[1]
            right = (type(item) is float or type(item) is int) and -inf < item < inf
            return float(item) if right and now_ms - state[0] <= longest_ms else None
        except MALFORMED:
            return None

    return read


def _computed(compute: Reader, longest_ms: float) -> Reader:
    def read(state: State, now_ms: int) -> Scalar | None:
        try:
            return compute(state, now_ms) if now_ms - state[0] <= longest_ms else None
        except MALFORMED:
            return None

    return read


def _total(fold: Fold) -> Reader:
    return lambda state, now_ms: _checked(int, state[1]) / MILLION


def _items_open(fold: Fold) -> Reader:
    """Count what is open; of an opening and a closing at the same moment it is not known which came last: open."""
    return lambda state, now_ms: sum([opened >= closed for opened, closed in state[1].values()])


def _texts_seen(fold: Fold) -> Reader:
    return lambda state, now_ms: len(state[1].keys())


def _texts(fold: Fold) -> Reader:
    return lambda state, now_ms: tuple([_checked(str, text) for _, text in state[1]])


def _number_in_window(fold: Fold) -> Reader:
    window, keep = fold.window_ms, fold.keep

    def number(state: State, now_ms: int) -> Scalar | None:
        if not _whole_window(state[1], keep, now_ms - window):
            return None
        inside: int = sum([now_ms - window <= t < now_ms for t, _ in state[1]])
        return inside

    return number


def _total_in_window(fold: Fold) -> Reader:
    window, keep = fold.window_ms, fold.keep

    def worth(state: State, now_ms: int) -> Scalar | None:
        if not _whole_window(state[1], keep, now_ms - window):
            return None
        total: int = _checked(int, sum([amount for t, amount in state[1] if now_ms - window <= t < now_ms]))
        return total / MILLION

    return worth


def _whole_window(items: list[list[int]], keep: int, start_ms: int) -> bool:
    """Tell whether a window is known in full: where as many items are kept as may be, older ones may have gone."""
    return len(items) < keep or items[0][0] < start_ms


def _left(fold: Fold) -> Reader:
    half_life = fold.half_life_ms

    def left(state: State, now_ms: int) -> Scalar | None:
        amount = state[1] * decayed(now_ms - state[0], half_life)
        return amount if -inf < amount < inf else None

    return left


def _days(fold: Fold) -> Reader:
    return lambda state, now_ms: (now_ms - state[0]) / DAY_MS


def _checked(wanted: type, found: object) -> Any:  # noqa: ANN401 - of the wanted type, which the signature cannot say
    if type(found) is not wanted:
        raise TypeError(f"not {wanted.__name__}")
    return found


_COMPUTED: dict[FoldKind, Callable[[Fold], Reader]] = {
    FoldKind.SUM: _total,
    FoldKind.OPEN: _items_open,
    FoldKind.DISTINCT: _texts_seen,
    FoldKind.RECENT: _texts,
    FoldKind.WINDOW_COUNT: _number_in_window,
    FoldKind.WINDOW_SUM: _total_in_window,
    FoldKind.DECAY: _left,
    FoldKind.SINCE: _days,
}
_KEPT_AS: dict[ValueType, type] = {
    ValueType.BOOL: bool,
    ValueType.INT: int,
    ValueType.STRING: str,
    ValueType.TIMESTAMP: int,
    ValueType.STRINGS: tuple,  # no fold keeps it as it is
}
