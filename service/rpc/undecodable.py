"""Where bytes that protobuf refuses are broken: the library says only that they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from service.core.cel import wire
from service.errors import Violation
from service.rpc.checks import shown

DEEPEST = 32
KEY_OF_ENTRY = 1
MOST_FIELDS = 512
MOST_FIELDS_OF_A_BATCH = 8_192
_WHOLE = "the bytes cannot be decoded as"


class _LookedEnough(Exception):
    """There are more fields than are looked at."""


@dataclass(slots=True)
class Looks:
    """How many fields may still be looked at, at about 2 µs each: 64 KiB can hold 32,000, and everybody else waits."""

    left: int = MOST_FIELDS

    def fields(self, raw: bytes) -> Iterator[tuple[int, int | bytes]]:
        """Yield the fields of a message as `wire.fields` does; raise `_LookedEnough` when there are too many."""
        for one in wire.fields(raw):
            if self.left <= 0:
                raise _LookedEnough
            self.left -= 1
            yield one


def violation_in(message_type: type[Message], raw: bytes, looks: Looks | None = None) -> Violation:
    """Return the first field that cannot be decoded, by its path; the empty path means the message as a whole.

    That is also said when the broken field is not among the first that are looked at.
    """
    found = None
    with suppress(_LookedEnough):
        found = _broken(message_type.DESCRIPTOR, raw, "", DEEPEST, looks or Looks())
    return found or Violation("", f"{_WHOLE} a {message_type.DESCRIPTOR.full_name}")


def text_in(message_type: type[Message], raw: bytes, field_name: str, looks: Looks | None = None) -> str:
    """Return a text field of a message that cannot be decoded, as far as it can be read; empty where it cannot."""
    return _text_at(raw, message_type.DESCRIPTOR.fields_by_name[field_name].number, looks or Looks())


def _text_at(raw: bytes, number: int, looks: Looks) -> str:
    found = b""
    with suppress(ValueError, _LookedEnough):
        for at, value in looks.fields(raw):
            if at == number and isinstance(value, bytes):
                found = value
    return found.decode() if _is_text(found) else ""


def _broken(descriptor: Any, raw: bytes, path: str, deepest: int, looks: Looks) -> Violation | None:  # noqa: ANN401 - upb's is private
    seen: dict[int, int] = {}
    try:
        for number, value in looks.fields(raw):
            field = descriptor.fields_by_number.get(number)
            if field is None or not isinstance(value, bytes):
                continue
            place = seen[number] = seen.get(number, -1) + 1
            found = _broken_field(field, value, _at(path, field, place, value, looks), deepest, looks)
            if found is not None:
                return found
    except ValueError:
        return Violation(path, f"{_WHOLE} a {descriptor.full_name}")
    return None


def _broken_field(field: Any, value: bytes, path: str, deepest: int, looks: Looks) -> Violation | None:  # noqa: ANN401 - as above
    if field.type == field.TYPE_STRING and not _is_text(value):
        return Violation(path, "is not UTF-8; send text as UTF-8")
    if field.message_type is None:
        return None
    if deepest == 0:
        return Violation(path, "is nested too deep")
    return _broken(field.message_type, value, path, deepest - 1, looks)


def _at(path: str, field: Any, place: int, value: bytes, looks: Looks) -> str:  # noqa: ANN401 - as above
    name = f"{path}.{field.name}" if path else str(field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"{name}[{shown(_text_at(value, KEY_OF_ENTRY, looks))}]"
    return f"{name}[{place}]" if field.is_repeated else name


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
