"""What a field's state says at a moment: read from its date and what is kept of it (models/cells.py).

A `Look` is made once a field and called often. Nothing that is too old or has not the shape of the field's fold passes
as known: it reads as None.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, ldexp
from typing import Any, TypeAlias, cast

from models import cells
from models.cells import MALFORMED, NEVER, State
from models.context import Field, Fold, FoldKind, Scalar, ValueType

Look: TypeAlias = Callable[[int, Any, int], Scalar | None]
"""Takes a state's date (ms), what is kept of it and the moment (ms) to look at."""

Reader: TypeAlias = Callable[[State, int], Scalar | None]

DAY_MS = 86_400_000
MILLION = 1_000_000


def age_ms(state: State, now_ms: int) -> int:
    """Return the age of a state: milliseconds since the event that it dates from."""
    return now_ms - cast(int, state[0])


def value(field: Field, state: State, now_ms: int) -> Scalar | None:
    """Return a field's value at `now_ms`, however old; None when the state has not the shape of the field's fold."""
    return _reader(_look(field, inf))(state, now_ms)


def known(field: Field, state: State | None, now_ms: int) -> Scalar | None:
    """Return a field's value at `now_ms`; None when it is missing, malformed or older than the field allows."""
    return None if state is None else reader(field)(state, now_ms)


def reader(field: Field) -> Reader:
    """Return the function that reads `known` values of one field from its states: make it once, call it often."""
    return _reader(look(field))


def look(field: Field) -> Look:
    """Return the function that reads `known` values of one field from what the store keeps."""
    return _look(field, inf if field.max_age_ms is None else field.max_age_ms)


def _reader(look: Look) -> Reader:
    def read(state: State, now_ms: int) -> Scalar | None:
        try:
            return look(state[0], cells.kept_of(state), now_ms)
        except MALFORMED:
            return None

    return read


def kept_as(field: Field) -> type | None:
    """Return the type of what is kept when that is the value itself; None where `look` must be asked."""
    if field.fold is None or field.fold.kind in _COMPUTED or field.fold.kind is FoldKind.MODEL:
        return None
    return _KEPT_AS.get(field.type)


def _look(field: Field, longest_ms: float) -> Look:
    if field.fold is None:
        return lambda t, kept, now_ms: None
    if field.fold.kind in _COMPUTED:
        return _COMPUTED[field.fold.kind](field.fold, longest_ms)
    is_double = field.type is ValueType.DOUBLE
    plain = _number(longest_ms) if is_double else _as_it_is(_KEPT_AS[field.type], longest_ms)
    return _of_a_model(plain) if field.fold.kind is FoldKind.MODEL else plain


def _as_it_is(wanted: type, longest_ms: float) -> Look:
    def read(t: int, kept: Any, now_ms: int) -> Scalar | None:  # noqa: ANN401 - whatever is kept
        return cast(Scalar, kept) if type(kept) is wanted and now_ms - t <= longest_ms else None

    return read


def _number(longest_ms: float) -> Look:
    """Read a double; the store keeps 2.0 as 2."""

    def read(t: int, kept: Any, now_ms: int) -> Scalar | None:  # noqa: ANN401 - whatever is kept
        if now_ms - t > longest_ms or not (type(kept) is float or type(kept) is int):
            return None
        return float(kept) if -inf < kept < inf else None

    return read


def _of_a_model(plain: Look) -> Look:
    """Read what a model wrote; its texts are a tuple, as those of a request are."""

    def read(t: int, kept: Any, now_ms: int) -> Scalar | None:  # noqa: ANN401 - whatever is kept
        if type(kept) is not list or len(kept) != 3 or kept[0] != cells.MODEL:
            return None
        given = kept[1]
        if type(given) is list:
            given = tuple(given) if all(type(text) is str for text in given) else None
        return plain(t, given, now_ms)

    return read


def _total(fold: Fold, longest_ms: float) -> Look:
    def total(t: int, kept: Any, now_ms: int) -> float | None:  # noqa: ANN401 - whatever is kept
        return kept / MILLION if type(kept) is int and now_ms - t <= longest_ms else None

    return total


def _days(fold: Fold, longest_ms: float) -> Look:
    nothing = [cells.SINCE]

    def days(t: int, kept: Any, now_ms: int) -> float | None:  # noqa: ANN401 - whatever is kept
        return (now_ms - t) / DAY_MS if kept == nothing and now_ms - t <= longest_ms else None

    return days


def _tagged(tag: int, longest_ms: float, read: Look) -> Look:
    """Read a list with a tag; one of another fold, of another shape or too old reads as None."""

    def tagged(t: int, kept: Any, now_ms: int) -> Scalar | None:  # noqa: ANN401 - whatever is kept
        try:
            if type(kept) is list and kept[0] == tag and now_ms - t <= longest_ms:
                return read(t, kept, now_ms)
        except (*MALFORMED, OverflowError):  # a number beyond all that doubles hold is malformed, too
            pass
        return None

    return tagged


def _items_open(fold: Fold, longest_ms: float) -> Look:
    """Count what is open; of an opening and a closing at the same moment it is not known which came last: open."""

    def number(t: int, kept: list[Any], now_ms: int) -> int:
        items = 0
        for opened, closed in zip(kept[2::3], kept[3::3], strict=True):
            if closed == NEVER or NEVER != opened <= closed:
                items += 1
        return items

    return _tagged(cells.OPEN, longest_ms, number)


def _texts_seen(fold: Fold, longest_ms: float) -> Look:
    return _tagged(cells.DISTINCT, longest_ms, lambda t, kept, now_ms: len(kept) // 2)


def _texts(fold: Fold, longest_ms: float) -> Look:
    def texts(t: int, kept: list[Any], now_ms: int) -> tuple[str, ...] | None:
        found = tuple(kept[2::2])
        return found if all(type(text) is str for text in found) else None

    return _tagged(cells.RECENT, longest_ms, texts)


def _number_in_window(fold: Fold, longest_ms: float) -> Look:
    window, keep = fold.window_ms, fold.keep

    def number(t: int, kept: list[Any], now_ms: int) -> int | None:
        agos, end = kept[1::2], t - now_ms
        start = end + window
        if len(agos) >= keep and agos[0] <= start:
            return None  # as many as are kept at most: older ones may have gone
        inside = 0
        for ago in agos:  # here and below a plain loop: these are the dearest values of a decision
            if end < ago <= start:
                inside += 1
        return inside

    return _tagged(cells.WINDOW, longest_ms, number)


def _total_in_window(fold: Fold, longest_ms: float) -> Look:
    window, keep = fold.window_ms, fold.keep

    def worth(t: int, kept: list[Any], now_ms: int) -> float | None:
        agos, end = kept[1::2], t - now_ms
        start = end + window
        if len(agos) >= keep and agos[0] <= start:
            return None
        total = 0
        for ago, amount in zip(agos, kept[2::2], strict=True):
            if end < ago <= start:
                total += amount
        return total / MILLION if type(total) is int else None

    return _tagged(cells.WINDOW, longest_ms, worth)


def _rate(fold: Fold, longest_ms: float) -> Look:
    number, times = _number_in_window(fold, longest_ms), fold.per_ms / fold.window_ms

    def rate(t: int, kept: Any, now_ms: int) -> Scalar | None:  # noqa: ANN401 - whatever is kept
        events = number(t, kept, now_ms)
        return None if events is None else cast(int, events) * times

    return rate


def _left(fold: Fold, longest_ms: float) -> Look:
    """Sum what each half-life period has left; nothing has decayed yet before the latest event."""
    half_life = fold.half_life_ms

    def left(t: int, kept: list[Any], now_ms: int) -> float | None:
        if kept[1] != half_life:
            return None
        since = (t - t % half_life - (now_ms if now_ms > t else t)) / half_life
        total = 0.0
        for amount, ago in zip(kept[2::2], kept[3::2], strict=True):
            total += ldexp(amount, -ago)
        return total * 2**since / MILLION

    return _tagged(cells.DECAY, longest_ms, left)


_COMPUTED: dict[FoldKind, Callable[[Fold, float], Look]] = {
    FoldKind.SUM: _total,
    FoldKind.OPEN: _items_open,
    FoldKind.DISTINCT: _texts_seen,
    FoldKind.RECENT: _texts,
    FoldKind.WINDOW_COUNT: _number_in_window,
    FoldKind.WINDOW_SUM: _total_in_window,
    FoldKind.RATE: _rate,
    FoldKind.DECAY: _left,
    FoldKind.SINCE: _days,
}
_KEPT_AS: dict[ValueType, type] = {
    ValueType.BOOL: bool,
    ValueType.INT: int,
    ValueType.STRING: str,
    ValueType.TIMESTAMP: int,
    ValueType.STRINGS: tuple,
}
