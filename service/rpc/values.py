"""Typed values of the contract to plain ones of the core and back; nothing is converted silently."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

from models.context import Attribute, Scalar, ValueType
from service.rpc.checks import Refused, has_control_characters, listed, moment_ms, timestamp
from tact.v1.values_pb2 import StringList, Value

MAX_CHARACTERS = 1_024
MAX_TEXTS = 64
LARGEST_INT = 2**53 - 1  # what the store and the models, which count in doubles, keep exactly
LARGEST_SUMMED = LARGEST_INT // 1_000_000  # sums are kept in whole millionths

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
    return _READERS[declared.type](value, declared)


def check_summed(value: Scalar) -> None:
    """Refuse a number that the store could not add up exactly."""
    if isinstance(value, int | float) and abs(value) > LARGEST_SUMMED:
        raise Refused(f"is added up by the strategy; at most {LARGEST_SUMMED:,} either side of zero can be.")


def value_of(value: Scalar, value_type: ValueType) -> Value:
    """Return a plain value of the given type as the contract writes it."""
    return _WRITERS[value_type](value)


def _wrong_kind(kind: str | None, declared: Attribute) -> str:
    wanted = f"send {KIND_OF[declared.type]}"
    if kind is None:
        return f"has no value; it is of type {declared.type}: {wanted}, or leave it out when it is not known."
    return f"is of type {declared.type}, not {_MEANS[kind]}: {wanted}. Nothing is converted."


def _check_range(value: float, declared: Attribute) -> None:
    if declared.low is not None and value < declared.low:
        raise Refused(f"is out of range; it must be at least {declared.low:g}.")
    if declared.high is not None and value > declared.high:
        raise Refused(f"is out of range; it must be at most {declared.high:g}.")


def _bool(value: Value, declared: Attribute) -> Scalar:
    return value.bool_value


def _int(value: Value, declared: Attribute) -> Scalar:
    number = value.int_value
    if abs(number) > LARGEST_INT:
        raise Refused(f"is out of range; whole numbers reach {LARGEST_INT:,} either side of zero.")
    _check_range(number, declared)
    return number


def _double(value: Value, declared: Attribute) -> Scalar:
    number = value.double_value
    if not math.isfinite(number):
        raise Refused("is not finite; NaN and infinities are refused. Leave it out when it is not known.")
    _check_range(number, declared)
    return number


def _string(value: Value, declared: Attribute) -> Scalar:
    return _text(value.string_value, declared)


def _timestamp(value: Value, declared: Attribute) -> Scalar:
    return moment_ms(value.timestamp_value)


def _strings(value: Value, declared: Attribute) -> Scalar:
    texts = value.strings_value.values
    if len(texts) > MAX_TEXTS:
        raise Refused(f"has {len(texts)} texts; at most {MAX_TEXTS} are allowed.")
    return tuple(_text(text, declared) for text in texts)


def _text(text: str, declared: Attribute) -> str:
    if declared.values:
        if text not in declared.values:
            # The text is not repeated: it may be about a person, and errors are written to logs.
            raise Refused(f"is not one of the values it can have: {listed(declared.values)}.")
    elif len(text) > MAX_CHARACTERS:
        raise Refused(f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed.")
    elif has_control_characters(text):
        raise Refused("holds control characters; leave them out.")
    return text


def _write_strings(value: Scalar) -> Value:
    return Value(strings_value=StringList(values=cast(tuple[str, ...], value)))


_READERS: dict[ValueType, Callable[[Value, Attribute], Scalar]] = {
    ValueType.BOOL: _bool,
    ValueType.INT: _int,
    ValueType.DOUBLE: _double,
    ValueType.STRING: _string,
    ValueType.TIMESTAMP: _timestamp,
    ValueType.STRINGS: _strings,
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
