"""Plain JSON values as the typed values that the strategy declares."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import isfinite

from models.context import Attribute, Scalar, ValueType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_MS, _LATEST_MS = 0, 253_402_300_799_999  # 1970 to 9999, as in the public contract


class Misfit(ValueError):
    """A value that is not of the declared type or not within the declared bounds."""


def typed(value: object, declared: Attribute) -> Scalar:
    """Return a JSON value as a value of the declared type; raise `Misfit` with what would be right."""
    scalar = _TYPES[declared.type](value)
    if isinstance(scalar, str) and declared.values and scalar not in declared.values:
        raise Misfit(f"{declared.name} must be one of {', '.join(declared.values)}")
    if isinstance(scalar, int | float) and not _within(scalar, declared):
        raise Misfit(f"{declared.name} must be within {_bounds(declared)}")
    return scalar


def moment_ms(value: object) -> int:
    """Return a moment in time, RFC 3339 or whole milliseconds since 1970, as the latter."""
    moment = value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise Misfit("this text is no moment in time; write 2026-11-21T09:30:00Z or milliseconds") from None
        if at.tzinfo is None:
            raise Misfit("this moment names no time zone; write it as in 2026-11-21T09:30:00Z")
        moment = (at - _EPOCH) // timedelta(milliseconds=1)  # finer digits are cut off, as in the public contract
    if type(moment) is not int or not _EARLIEST_MS <= moment <= _LATEST_MS:
        raise Misfit("this is no moment in time; write 2026-11-21T09:30:00Z or milliseconds since 1970")
    return moment


def moment_text(at_ms: int) -> str:
    """Return a moment in milliseconds since 1970 as RFC 3339 in UTC."""
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bool(value: object) -> bool:
    if type(value) is not bool:
        raise Misfit(f"{_shown(value)} must be true or false")
    return value


def _int(value: object) -> int:
    if type(value) is not int or not -(2**53) < value < 2**53:
        raise Misfit(f"{_shown(value)} must be a whole number below 2^53")
    return value


def _double(value: object) -> float:
    if type(value) not in (int, float) or not isfinite(value):  # type: ignore[arg-type]  # a number by now
        raise Misfit(f"{_shown(value)} must be a finite number")
    return float(value)  # type: ignore[arg-type]  # see above


def _string(value: object) -> str:
    if type(value) is not str:
        raise Misfit(f"{_shown(value)} must be a text")
    return value


def _strings(value: object) -> tuple[str, ...]:
    if type(value) is not list:
        raise Misfit(f"{_shown(value)} must be a list of texts")
    return tuple(_string(item) for item in value)


def _shown(value: object) -> str:
    """Say of what kind a value is, never the value: it may be about a person."""
    kinds = {bool: "a truth value", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "nothing" if value is None else "an object")


def _within(number: float, declared: Attribute) -> bool:
    above = declared.low is None or number >= declared.low
    return above and (declared.high is None or number <= declared.high)


def _bounds(declared: Attribute) -> str:
    return f"{'...' if declared.low is None else declared.low} to {'...' if declared.high is None else declared.high}"


_TYPES: dict[ValueType, Callable[[object], Scalar]] = {
    ValueType.BOOL: _bool,
    ValueType.INT: _int,
    ValueType.DOUBLE: _double,
    ValueType.STRING: _string,
    ValueType.TIMESTAMP: moment_ms,
    ValueType.STRINGS: _strings,
}
