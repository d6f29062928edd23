"""Where bytes that protobuf refuses are broken: the library says only that they are."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from google.protobuf.message import Message

from service.core.cel import wire
from service.errors import Violation

DEEPEST = 32
KEY_OF_ENTRY = 1
_WHOLE = "the bytes cannot be decoded as"


def violation_in(message_type: type[Message], raw: bytes) -> Violation:
    """Return the first field that cannot be decoded, by its path; the empty path means the message as a whole."""
    name = message_type.DESCRIPTOR.full_name
    return _broken(message_type.DESCRIPTOR, raw, "", DEEPEST) or Violation("", f"{_WHOLE} a {name}")


def text_in(message_type: type[Message], raw: bytes, field_name: str) -> str:
    """Return a text field of a message that cannot be decoded, as far as it can be read; empty where it cannot."""
    return _text_at(raw, message_type.DESCRIPTOR.fields_by_name[field_name].number)


def _text_at(raw: bytes, number: int) -> str:
    found = b""
    with suppress(ValueError):
        for at, value in wire.fields(raw):
            if at == number and isinstance(value, bytes):
                found = value
    return found.decode() if _is_text(found) else ""


def _broken(descriptor: Any, raw: bytes, path: str, deepest: int) -> Violation | None:  # noqa: ANN401 - upb's is private
    seen: dict[int, int] = {}
    try:
        for number, value in wire.fields(raw):
            field = descriptor.fields_by_number.get(number)
            if field is None or not isinstance(value, bytes):
                continue
            place = seen[number] = seen.get(number, -1) + 1
            found = _broken_field(field, value, _at(path, field, place, value), deepest)
            if found is not None:
                return found
    except ValueError:
        return Violation(path, f"{_WHOLE} a {descriptor.full_name}")
    return None


def _broken_field(field: Any, value: bytes, path: str, deepest: int) -> Violation | None:  # noqa: ANN401 - as above
    if field.type == field.TYPE_STRING and not _is_text(value):
        return Violation(path, "is not UTF-8; send text as UTF-8")
    if field.message_type is None:
        return None
    if deepest == 0:
        return Violation(path, "is nested too deep")
    return _broken(field.message_type, value, path, deepest - 1)


def _at(path: str, field: Any, place: int, value: bytes) -> str:  # noqa: ANN401 - as above
    name = f"{path}.{field.name}" if path else str(field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f'{name}["{_text_at(value, KEY_OF_ENTRY)}"]'
    return f"{name}[{place}]" if field.is_repeated else name


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
