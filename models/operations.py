"""What one event does to the fields of a schema, brought into the form in which it is folded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import TypeAlias, cast

import msgspec

from models.context import ContextSchema, Field, Fold, FoldKind, Scalar
from models.fold_readers import MILLION

LONGEST_NAME = 64
LARGEST_INT = 2**53 - 1
"""The largest whole number, either side of zero, that the store keeps exactly; sums stop there (9 billion units)."""


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """What one event does to one field.

    `key` and `group` say where the store keeps the field. `value` is a text for `open`, `distinct` and `recent`,
    whole millionths for `sum` and `window_sum`, else what is folded. `closed` is true for what ends an open item;
    `version` names the model that wrote the value, for `model`. `code` says all but the value in one text, as the
    store takes it; empty where nobody has written it yet.
    """

    key: int
    group: str
    kind: FoldKind
    value: bool | int | float | str | tuple[str, ...]
    window_ms: int = 0
    half_life_ms: int = 0
    keep: int = 64
    closed: bool = False
    version: str = ""
    code: str = ""


class Folding:
    """How each event folds into the fields of a schema, laid out once so that an event finds its folds at once."""

    def __init__(self, schema: ContextSchema) -> None:
        self._steps: dict[str, list[_Step]] = {}
        for field in schema.fields:
            if field.fold is not None:
                self._add(field, field.fold)

    def operations(self, event_type: str, attributes: Mapping[str, Scalar]) -> tuple[Operation, ...]:
        """Return what an event does to the fields; a fold whose attribute is absent is skipped.

        Raises OverflowError for a whole number beyond `LARGEST_INT`, which the store could not keep exactly.
        """
        given = attributes.get
        found = []
        for where, step in self._steps.get(event_type, ()):
            if not where or all([given(name) == wanted for name, wanted in where]):  # noqa: C419 - half the time
                operation = step(attributes)
                if operation is not None:
                    found.append(operation)
        return tuple(found)

    def _add(self, field: Field, fold: Fold) -> None:
        self._steps.setdefault(fold.event, []).append((fold.where, _step(field, fold, fold.attribute, closed=False)))
        if fold.closed_by:
            ends = _step(field, fold, fold.closed_key or fold.attribute, closed=True)
            self._steps.setdefault(fold.closed_by, []).append(((), ends))


_Step: TypeAlias = tuple[tuple[tuple[str, Scalar], ...], Callable[[Mapping[str, Scalar]], Operation | None]]
"""What the attributes must equal, and what then makes the operation."""


def operations(schema: ContextSchema, event_type: str, attributes: Mapping[str, Scalar]) -> tuple[Operation, ...]:
    """Return what a single event does to the fields of a schema, as `Folding` does for many."""
    return Folding(schema).operations(event_type, attributes)


def _step(
    field: Field, fold: Fold, attribute: str | None, *, closed: bool
) -> Callable[[Mapping[str, Scalar]], Operation | None]:
    key, group, kind, half_life_ms = field.key, field.purpose.group, fold.kind, fold.half_life_ms
    window_ms, keep, folded = fold.window_ms, fold.keep, _FOLDED.get(fold.kind, _as_it_is)
    text = code(Operation(key, group, kind, 1, window_ms, half_life_ms, keep, closed))
    if attribute is None:
        always = Operation(key, group, kind, 1, window_ms, half_life_ms, keep, closed, "", text)
        return lambda attributes: always

    def step(attributes: Mapping[str, Scalar]) -> Operation | None:
        value = attributes.get(attribute)
        if value is None:
            return None
        return Operation(key, group, kind, folded(value), window_ms, half_life_ms, keep, closed, "", text)

    return step


def code(operation: Operation) -> str:
    """Return all of an operation but its value as a text, as service/store/lua/operations.lua reads it."""
    text = f"{operation.key:04x}{operation.group}{operation.kind}"
    if operation.kind in _PLAIN:
        return text
    window_ms, half_life_ms, keep = operation.window_ms, operation.half_life_ms, operation.keep
    return f"{text}|{window_ms}|{half_life_ms}|{keep}|{operation.closed:d}|{operation.version}"


def dated(operation: Operation, t_ms: int) -> Operation:
    """Return an operation as the store folds it at `t_ms`: with whole numbers where the order of adding would show."""
    if operation.kind is not FoldKind.DECAY:
        return operation
    amount = as_of_period(cast(float, operation.value), operation.half_life_ms, t_ms)
    return msgspec.structs.replace(operation, value=amount)


def as_of_period(value: float, half_life_ms: int, t_ms: int) -> int:
    """Return a decaying amount in whole millionths as of the beginning of the half-life period of `t_ms`."""
    return clipped(round(value * 2.0 ** (t_ms % half_life_ms / half_life_ms) * MILLION))


def clipped(number: int) -> int:
    """Return a whole number, or the end of the range of those that are kept exactly."""
    return max(-LARGEST_INT, min(LARGEST_INT, number))


def _as_it_is(value: Scalar) -> Scalar:
    """Free a value of what Lua would change."""
    if type(value) is int and abs(value) > LARGEST_INT:
        raise OverflowError(f"{value} is beyond {LARGEST_INT}, the largest whole number that is kept exactly")
    return value + 0.0 if type(value) is float else value  # no negative zero


def _millionths(value: Scalar) -> int:
    return clipped(round(cast(float, value) * MILLION))


def _name(value: Scalar) -> str:
    """Return a text that is only ever counted: as it is, or its digest, so that the store compares short texts."""
    text = _text(value)
    return text if len(text) <= LONGEST_NAME else blake2b(text.encode(), digest_size=LONGEST_NAME // 2).hexdigest()


def _text(value: Scalar) -> str:
    if type(value) is bool:
        return "true" if value else "false"
    return value if type(value) is str else str(value)


_PLAIN = frozenset(
    {FoldKind.LAST, FoldKind.FIRST, FoldKind.COUNT, FoldKind.SUM, FoldKind.MIN, FoldKind.MAX, FoldKind.SINCE}
)
"""The kinds that need no more than a value."""

_FOLDED: dict[FoldKind, Callable[[Scalar], Scalar]] = {
    FoldKind.OPEN: _name,
    FoldKind.DISTINCT: _name,
    FoldKind.RECENT: _text,
    FoldKind.SUM: _millionths,
    FoldKind.WINDOW_SUM: _millionths,
}
"""How values are brought into the form that is folded; those of other kinds are as they are."""
