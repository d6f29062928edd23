"""Typed values of the contract to plain ones of the core and back; nothing is converted silently."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from models import bounds
from models.context import Attribute, Scalar, ValueType
from models.operations import LARGEST_INT
from service.rpc.checks import Refused, moment_ms, timestamp
from tact.v1.values_pb2 import StringList, Value

KIND_OF = {
    ValueType.BOOL: "bool_value",
    ValueType.INT: "int_value",
    ValueType.DOUBLE: "double_value",
    ValueType.STRING: "string_value",
    ValueType.TIMESTAMP: "timestamp_value",
    ValueType.STRINGS: "strings_value",
}
_MEANS = {kind: value_type.value for value_type, kind in KIND_OF.items()}


def scalar_of(value: Value, declared: Attribute) -> Scalar:
    """Return the plain value of the declared type and bounds; raise `Refused` with what would be right."""
    kind = value.WhichOneof("kind")
    if kind != KIND_OF[declared.type]:
        raise Refused(_wrong_kind(kind, declared))
    scalar = _READERS[declared.type](value)
    if wrong := bounds.wrong_value(scalar, declared):
        raise Refused(wrong)
    return scalar


def reader_of(declared: Attribute) -> Callable[[Value], Scalar]:
    """Return `scalar_of` for one declaration, of which what is usual is decided in one step; every request needs it."""
    make = _SWIFT.get(declared.type)
    return (lambda value: scalar_of(value, declared)) if make is None else make(declared)


def _swift_number(declared: Attribute) -> Callable[[Value], Scalar]:
    low = -_ANY if declared.low is None else declared.low
    high = _ANY if declared.high is None else declared.high

    def read(value: Value) -> Scalar:
        if value.WhichOneof("kind") == "double_value" and low <= (number := value.double_value) <= high:
            return number
        return scalar_of(value, declared)

    return read


def _swift_whole(declared: Attribute) -> Callable[[Value], Scalar]:
    low = -LARGEST_INT if declared.low is None else max(declared.low, -LARGEST_INT)
    high = LARGEST_INT if declared.high is None else min(declared.high, LARGEST_INT)

    def read(value: Value) -> Scalar:
        if value.WhichOneof("kind") == "int_value" and low <= (number := value.int_value) <= high:
            return number
        return scalar_of(value, declared)

    return read


def _swift_text(declared: Attribute) -> Callable[[Value], Scalar]:
    known = frozenset(declared.values)

    def read(value: Value) -> Scalar:
        if value.WhichOneof("kind") == "string_value" and (text := value.string_value) in known:
            return text
        return scalar_of(value, declared)

    return read


def check_summed(value: Scalar) -> None:
    """Refuse a number that the store could not add up exactly."""
    if wrong := bounds.wrong_summed(value):
        raise Refused(wrong)


def value_of(value: Scalar, value_type: ValueType) -> Value:
    """Return a plain value of the given type as the contract writes it."""
    return _WRITERS[value_type](value)


def _wrong_kind(kind: str | None, declared: Attribute) -> str:
    wanted = f"send {KIND_OF[declared.type]}"
    if kind is None:
        return f"has no value; it is of type {declared.type}: {wanted}, or leave it out when it is not known."
    return f"is of type {declared.type}, not {_MEANS[kind]}: {wanted}. Nothing is converted."


def _write_strings(value: Scalar) -> Value:
    return Value(strings_value=StringList(values=cast(tuple[str, ...], value)))


_READERS: dict[ValueType, Callable[[Value], Scalar]] = {
    ValueType.BOOL: lambda value: value.bool_value,
    ValueType.INT: lambda value: value.int_value,
    ValueType.DOUBLE: lambda value: value.double_value,
    ValueType.STRING: lambda value: value.string_value,
    ValueType.TIMESTAMP: lambda value: moment_ms(value.timestamp_value),
    ValueType.STRINGS: lambda value: tuple(value.strings_value.values),
}
_ANY = 1.7976931348623157e308
"""The largest finite double."""
_SWIFT: dict[ValueType, Callable[[Attribute], Callable[[Value], Scalar]]] = {
    ValueType.DOUBLE: _swift_number,
    ValueType.INT: _swift_whole,
    ValueType.STRING: _swift_text,
}
# A field's value has the field's type: the snapshot and the folds see to that.
_WRITERS: dict[ValueType, Callable[[Scalar], Value]] = {
    ValueType.BOOL: lambda value: Value(bool_value=bool(value)),
    ValueType.INT: lambda value: Value(int_value=cast(int, value)),
    ValueType.DOUBLE: lambda value: Value(double_value=cast(float, value)),
    ValueType.STRING: lambda value: Value(string_value=cast(str, value)),
    ValueType.TIMESTAMP: lambda value: Value(timestamp_value=timestamp(cast(int, value))),
    ValueType.STRINGS: _write_strings,
}
