"""What an event may say, whoever reads it: one set of bounds for the service, and for files of the past.

A function named `wrong_…` returns what is wrong, as the end of a sentence that begins with the name of the thing, or
nothing. Values are never repeated: they may be about a person, and errors are written to logs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from models.context import Attribute, ContextSchema, FoldKind, Scalar, ValueType
from models.operations import LARGEST_INT

EVENT_ID_BYTES = 64
CUSTOMER_BYTES = 128
MAX_CHARACTERS = 1_024
MAX_TEXTS = 64
LARGEST_SUMMED = LARGEST_INT // 1_000_000  # sums are kept in whole millionths
YEAR_1_MS = -62_135_596_800_000
YEAR_2000_MS = 946_684_800_000
YEAR_2100_MS = 4_102_444_800_000
YEAR_10000_MS = 253_402_300_800_000
FUTURE_MS = 300_000  # how far in the future the clocks of callers may be
_SHOWN_NAMES = 12
# Control, format (zero-width, direction overrides), surrogate, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class EventForm:
    """How an event of one type must look: its attributes by name, and the names of those that folds add up."""

    attributes: Mapping[str, Attribute]
    required: tuple[str, ...]
    summed: frozenset[str]


def event_forms(schema: ContextSchema) -> dict[str, EventForm]:
    """Return the form of each event of a schema by the event's type."""
    summed = _summed(schema)
    return {
        event.id: EventForm(
            attributes={attribute.name: attribute for attribute in event.attributes},
            required=tuple(attribute.name for attribute in event.attributes if not attribute.optional),
            summed=frozenset(attribute.name for attribute in event.attributes if (event.id, attribute.name) in summed),
        )
        for event in schema.events.values()
    }


def _summed(schema: ContextSchema) -> frozenset[tuple[str, str]]:
    adding = {FoldKind.SUM, FoldKind.WINDOW_SUM, FoldKind.DECAY}
    folds = (field.fold for field in schema.fields if field.fold is not None)
    return frozenset((fold.event, fold.attribute) for fold in folds if fold.kind in adding and fold.attribute)


# ------------------------------------------------------------------------------------------------- names and moments


def wrong_name(text: str, most_bytes: int) -> str:
    """Look at a required name: 1 to `most_bytes` bytes, visible, without control or formatting characters."""
    if text and len(text) <= most_bytes and text.isascii() and text.isprintable() and not text.isspace():
        return ""
    if not text:
        return f"is required: 1 to {most_bytes} bytes of UTF-8."
    if (length := byte_length(text)) > most_bytes:
        return f"has {length} bytes; at most {most_bytes} are allowed."
    if text.isspace():
        return "is blank; send a name that can be seen."
    if any(unicodedata.category(c) in _HIDDEN for c in text):
        return "holds control or invisible formatting characters; leave them out."
    return ""


def wrong_past(at_ms: int, now_ms: int | None) -> str:
    """Look at when something happened: not before 2000, nor beyond now and 5 minutes.

    Files of the past have no now (None): what they hold counts only for moments after it, and is before 2100.
    """
    if at_ms < YEAR_2000_MS:
        return "is before the year 2000."
    if now_ms is None:
        return "" if at_ms < YEAR_2100_MS else "is not before the year 2100."
    return "" if at_ms <= now_ms + FUTURE_MS else "is more than 5 minutes in the future; check the clock of the sender."


def byte_length(text: str) -> int:
    """Return the length in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def has_control_characters(text: str) -> bool:
    """Return whether free text holds control characters, line separators or direction overrides."""
    if text.isprintable():
        return False
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _DIRECTION for c in text)


def listed(names: Iterable[str]) -> str:
    """List the names a caller may use, bounded."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _SHOWN_NAMES} more" if len(ordered) > _SHOWN_NAMES else ""
    return ", ".join(ordered[:_SHOWN_NAMES]) + more if ordered else "none"


# ------------------------------------------------------------------------------------------------------------- values


def wrong_value(value: Scalar, declared: Attribute) -> str:
    """Look at a value of the declared type: is it within what is declared, and within what can be kept?"""
    return _LOOKS[declared.type](value, declared)


def wrong_summed(value: Scalar) -> str:
    """Look at a number that is added up: can the store do so exactly?"""
    if isinstance(value, int | float) and abs(value) > LARGEST_SUMMED:
        return f"is added up by the strategy; at most {LARGEST_SUMMED:,} either side of zero can be."
    return ""


def _bool(value: bool, declared: Attribute) -> str:
    return ""


def _int(value: int, declared: Attribute) -> str:
    if abs(value) > LARGEST_INT:
        return f"is out of range; whole numbers reach {LARGEST_INT:,} either side of zero."
    return _range(value, declared)


def _double(value: float, declared: Attribute) -> str:
    if not isfinite(value):
        return "is not finite; NaN and infinities are refused. Leave it out when it is not known."
    return _range(value, declared)


def _range(value: float, declared: Attribute) -> str:
    if declared.low is not None and value < declared.low:
        return f"is out of range; it must be at least {declared.low:g}."
    if declared.high is not None and value > declared.high:
        return f"is out of range; it must be at most {declared.high:g}."
    return ""


def _moment(value: int, declared: Attribute) -> str:
    return "" if YEAR_1_MS <= value < YEAR_10000_MS else "is no moment of the years 1 to 9999."


def _text(text: str, declared: Attribute) -> str:
    if declared.values:
        if text not in declared.values:
            return f"is not one of the values it can have: {listed(declared.values)}."
    elif len(text) > MAX_CHARACTERS:
        return f"has {len(text):,} characters; at most {MAX_CHARACTERS:,} are allowed."
    elif has_control_characters(text):
        return "holds control characters; leave them out."
    return ""


def _texts(texts: tuple[str, ...], declared: Attribute) -> str:
    if len(texts) > MAX_TEXTS:
        return f"has {len(texts)} texts; at most {MAX_TEXTS} are allowed."
    return next(filter(None, (_text(text, declared) for text in texts)), "")


_LOOKS: Mapping[ValueType, Callable[[Any, Attribute], str]] = {
    ValueType.BOOL: _bool,
    ValueType.INT: _int,
    ValueType.DOUBLE: _double,
    ValueType.STRING: _text,
    ValueType.TIMESTAMP: _moment,
    ValueType.STRINGS: _texts,
}
