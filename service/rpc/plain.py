"""Plain Python values to messages and messages to plain ones, for our own client: no protobuf beyond this point.

Enums become their short lower-case names (`highest_net_value`), moments RFC 3339 texts in UTC, values themselves; of a
`oneof` only what is set is there. All that comes out can be written as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from models.context import ValueType
from service.rpc.checks import timestamp
from tact.v1.values_pb2 import StringList, Value

Plain: TypeAlias = bool | int | float | str | datetime | Sequence[str]
"""A value as callers write it. Without a declared type its Python type decides; with one, 5 is a good double."""

Moment: TypeAlias = datetime | int | str
"""A moment: aware datetime, milliseconds since 1970, or RFC 3339 text."""

_KINDS: dict[type, ValueType] = {
    bool: ValueType.BOOL,
    int: ValueType.INT,
    float: ValueType.DOUBLE,
    str: ValueType.STRING,
    datetime: ValueType.TIMESTAMP,
    list: ValueType.STRINGS,
    tuple: ValueType.STRINGS,
}


def value_message(value: Plain, declared: ValueType | None = None) -> Value:
    """Return a value of the declared type, or of the type that its Python type suggests.

    Raises TypeError or ValueError when the value cannot be of that type; only whole numbers turn into doubles.
    """
    wanted = declared or _KINDS.get(type(value))
    match wanted, value:
        case ValueType.BOOL, bool():
            return Value(bool_value=value)
        case ValueType.INT, int() if type(value) is not bool:
            return Value(int_value=value)
        case ValueType.DOUBLE, int() | float() if type(value) is not bool:
            return Value(double_value=value)
        case ValueType.STRING, str():
            return Value(string_value=value)
        case ValueType.TIMESTAMP, datetime() | int() | str() if type(value) is not bool:
            return Value(timestamp_value=moment_message(value))
        case ValueType.STRINGS, list() | tuple():
            return Value(strings_value=StringList(values=value))
        case _:
            raise TypeError(f"{type(value).__name__} is no value of type {wanted or 'any'}")


def value_messages(values: Mapping[str, Plain], types: Mapping[str, ValueType]) -> dict[str, Value]:
    """Return values by name; errors say which."""
    messages = {}
    for name, value in values.items():
        try:
            messages[name] = value_message(value, types.get(name))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name}: {error}") from None
    return messages


def moment_message(moment: Moment) -> Timestamp:
    """Return a moment as protobuf writes it; raise ValueError for a text or datetime without a time zone."""
    if isinstance(moment, int):
        return timestamp(moment)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone, such as 2026-01-31T12:00:00Z")
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def plain(message: Message) -> dict[str, Any]:
    """Return a message as JSON can hold it: every field without presence, and of the others those that are set."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if not field.has_presence or message.HasField(field.name):
            found[field.name] = _field(field, getattr(message, field.name))
    return found


def _field(field: Any, value: Any) -> Any:  # noqa: ANN401 - a descriptor (upb's type is private), and any value
    if field.is_repeated:
        return [_item(field, item) for item in value]
    return _item(field, value)


def _item(field: Any, value: Any) -> Any:  # noqa: ANN401 - whatever the contract says that it is
    if field.enum_type is not None:
        return short_name(field.enum_type, value)
    if isinstance(value, Timestamp):
        return moment_text(value)
    if isinstance(value, Value):
        return plain_value(value)
    return plain(value) if isinstance(value, Message) else value


def plain_value(value: Value) -> Any:  # noqa: ANN401 - a JSON value
    """Return a typed value as JSON writes it."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    held = getattr(value, kind)
    if isinstance(held, Timestamp):
        return moment_text(held)
    return list(held.values) if isinstance(held, StringList) else held


def short_name(enum: EnumDescriptor, number: int) -> str:
    """Return the name of an enum's value without the enum's own name; numbers that this version does not know stay."""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    return value.name.removeprefix(enum.values_by_number[0].name.removesuffix("UNSPECIFIED")).lower()


def moment_text(moment: Timestamp) -> str:
    """Return a moment as RFC 3339 in UTC, with milliseconds where there are some."""
    at = datetime.fromtimestamp(moment.seconds, UTC).replace(microsecond=moment.nanos // 1000)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
