"""Plain JSON values as the typed values that the strategy declares, within the bounds of the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from models import bounds
from models.context import Attribute, Scalar, ValueType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Misfit(ValueError):
    """A value that is not of the declared type or not within the declared bounds."""


def typed(value: object, declared: Attribute) -> Scalar:
    """Return a JSON value as a value of the declared type; raise `Misfit` with what would be right."""
    scalar = _TYPES[declared.type](value)
    fits("it", bounds.wrong_value(scalar, declared))
    return scalar


def fits(name: str, wrong: str) -> None:
    """Raise `Misfit` where something is wrong with what is named."""
    if wrong:
        raise Misfit(f"{name} {wrong}")


def happened_ms(name: str, value: object) -> int:
    """Return when something happened, as `moment_ms`; raise `Misfit` where no service would take it, whenever."""
    at_ms = moment_ms(value)
    fits(name, bounds.wrong_past(at_ms, None))
    return at_ms


def moment_ms(value: object) -> int:
    """Return a moment in time, RFC 3339 or whole milliseconds since 1970, as the latter; it may be before 1970."""
    moment = value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise Misfit("this text is no moment in time; write 2026-11-21T09:30:00Z or milliseconds") from None
        if at.tzinfo is None:
            raise Misfit("this moment names no time zone; write it as in 2026-11-21T09:30:00Z")
        moment = (at - _EPOCH) // timedelta(milliseconds=1)  # finer digits are cut off, as in the public contract
    if type(moment) is not int:
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
    if type(value) is not int:
        raise Misfit(f"{_shown(value)} must be a whole number")
    return value


def _double(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        raise Misfit(f"{_shown(value)} must be a number")
    try:
        return float(value)
    except OverflowError:
        raise Misfit(f"{_shown(value)} must be a number that 64 bits can hold") from None


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


_TYPES: dict[ValueType, Callable[[object], Scalar]] = {
    ValueType.BOOL: _bool,
    ValueType.INT: _int,
    ValueType.DOUBLE: _double,
    ValueType.STRING: _string,
    ValueType.TIMESTAMP: moment_ms,
    ValueType.STRINGS: _strings,
}
