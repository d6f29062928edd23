"""Make a customer easier to tell: numbers that people write, where they make the same decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from models.context import Field, Scalar, ValueType
from service.proving.counterexample import Court, Real
from service.proving.questions import Decided

_DAY_MS = 86_400_000
_PLAIN = (0, 1, 2, 3, 5, 10, 12, 20, 50, 100, 365, 1_000)
_PARTS = (0.0, 0.5, -0.5, 1.0, -1.0, 0.1, 0.3, -0.3)


def rounded(court: Court, decided: Decided, real: Real, action: str) -> Decided:
    """Return a decision that is as real as this one, about a customer of whom plainer values are known."""
    for index, field in enumerate(court.strategy.schema.fields):
        value = decided.customer.values[index]
        for plainer in () if value is None else _plainer(field, value, decided.customer.now_ms):
            values = decided.customer.values
            other = replace(decided.customer, values=(*values[:index], plainer, *values[index + 1 :]))
            found = next(court.decisions(other, action), None)
            if (
                found is not None
                and found.seen >= decided.seen
                and found.customer.values[index] == plainer
                and real(found)
            ):
                decided = found
                break
    return decided


def _plainer(field: Field, value: Scalar, now_ms: int) -> Iterator[Scalar]:
    """Yield what could stand for a value, the plainest first, up to what is as plain as it."""
    if isinstance(value, bool | str | tuple):
        return
    if field.type is ValueType.TIMESTAMP:
        yield from (now_ms + days * _DAY_MS for days in (0, -1, 1, -30, 30, -365, 365))
        return
    whole = field.type is ValueType.INT
    low, high = field.bounds.low, field.bounds.high
    for number in (*_PLAIN, *(-one for one in _PLAIN)) if whole else (*_PARTS, *map(float, _PLAIN)):
        if number == value:
            return
        if (low is None or low <= number) and (high is None or number <= high):
            yield number
