"""What each field of a request may be, as its comment in the contract says: how to make it surely wrong.

A rule spoils a good message and returns the path that the refusal must name. It knows the contract alone, nothing of
the code that checks it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from tact.v1.values_pb2 import StringList, Value
from tests.edge.hostile.good import DECISION, moment

Loose: TypeAlias = Any
"""A message of any type: fields are set by name."""

Rule: TypeAlias = Callable[[Random, Loose, str], str]
"""Spoils the named field of a message; returns its path."""

HIDDEN = ("\x00", "\r\nSET x", "\n", "\t", "\x7f", "\x85", "\u202e", "\u200b", "\u200f", "\ufeff", "\u2028", "\u2066")
CONTROLS = ("\x00", "\r\n", "\x1b[2J", "\x7f", "\u2028", "\u202e", "\u2066")
BLANK = (" ", "   ", "\u00a0", "\u3000")
INT32 = (-(2**31), -1, 2**31 - 1)
INT64 = (-(2**63), -(2**63) + 1, 2**63 - 1, 2**53, -(2**53))
NO_MOMENT = (
    Timestamp(seconds=-62_167_219_200),  # the year 0
    Timestamp(seconds=253_402_300_800),  # the year 10000
    Timestamp(seconds=2**63 - 1),
    Timestamp(seconds=-(2**63)),
    Timestamp(seconds=1_800_000_000, nanos=-1),
    Timestamp(seconds=1_800_000_000, nanos=1_000_000_000),
    Timestamp(seconds=1_800_000_000, nanos=2**31 - 1),
)
ANCIENT = (Timestamp(), Timestamp(seconds=946_684_799), Timestamp(seconds=-62_135_596_800))
WORDS = "abcdefghijklmnopqrstuvwxyz0123456789-._:{}*@/ éü漢🙂"
NOT_NUMBERS = (math.nan, math.inf, -math.inf)


def word(rng: Random, length: int) -> str:
    """Return any text of so many characters, of which the first and last can be seen."""
    return "a" + "".join(rng.choices(WORDS, k=length - 2)) + "z"


def beyond(rng: Random, most_bytes: int) -> str:
    """Return a text that is too long: by one byte, in bytes only, or by far."""
    return rng.choice(("x" * (most_bytes + 1), "é" * (most_bytes // 2 + 1), "x" * 10_000, word(rng, most_bytes + 1)))


def hiding(rng: Random, hidden: Sequence[str]) -> str:
    """Return a short text with something in it that nobody sees."""
    start = rng.choice(("", "c", "x}:consent", "a:b", "*", "漢"))
    return start + rng.choice(hidden) + rng.choice(("", "1", "z"))


def name(most_bytes: int, *, required: bool = True) -> Rule:
    """Spoil a name: 1 to `most_bytes` bytes, not blank, no control or invisible formatting characters."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        bad = [beyond(rng, most_bytes), hiding(rng, HIDDEN), rng.choice(BLANK)]
        setattr(message, field, rng.choice([*bad, ""] if required else bad))
        return field

    return spoil


def names(most_bytes: int, most: int, least: int = 0) -> Rule:
    """Spoil a list of names."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        texts = getattr(message, field)
        if rng.random() < 0.3:
            del texts[:]
            texts.extend([] if least and rng.random() < 0.5 else ["x"] * rng.choice((most + 1, most + 7, most * 2)))
            return field
        texts.append(rng.choice((beyond(rng, most_bytes), hiding(rng, HIDDEN), rng.choice(BLANK), "")))
        return f"{field}[{len(texts) - 1}]"

    return spoil


def counted(most: int) -> Rule:
    """Spoil a list of which only the number counts."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        getattr(message, field).extend(["x"] * (most + rng.choice((1, 2, 500))))
        return field

    return spoil


def one_of(*others: str) -> Rule:
    """Spoil a word of the strategy."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        setattr(
            message,
            field,
            rng.choice(("", "fax", " web", "WEB", "web\x00", "x" * 10_000, "None", word(rng, 9), *others)),
        )
        return field

    return spoil


def words_of(field_path: str = "") -> Rule:
    """Spoil a list of words of the strategy: an unknown one, or one twice."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        texts = getattr(message, field)
        texts.append(rng.choice((texts[0], "", "fax", "x" * 1_000, "\u202e", word(rng, 7))))
        return f"{field_path}{field}[{len(texts) - 1}]"

    return spoil


def placements(rng: Random, message: Loose, field: str) -> str:
    """Spoil placements: none, too many, an unknown one, or one twice."""
    texts = message.placements
    if rng.random() < 0.6:
        return words_of()(rng, message, field)
    several = [] if rng.random() < 0.5 else ["greeting"] * rng.choice((9, 10, 1_000))
    del texts[:]
    texts.extend(several)
    return field


def matching(good: str) -> Rule:
    """Spoil a text that has to have a form."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        bad = (good[:-1] + "!", " " + good, good + "\n", good.upper() + "Z", "x" * 10_000, "\x00", "٣" * 26, "-1", "é")
        setattr(message, field, rng.choice(bad))
        return field

    return spoil


def decision(rng: Random, message: Loose, field: str) -> str:
    """Spoil a decision id: 26 characters."""
    bad = ("", DECISION[:-1], DECISION + "0", "9" + DECISION[1:], DECISION.replace("2", "G"), "٣" * 26, " " * 26)
    setattr(message, field, rng.choice((*bad, hiding(rng, HIDDEN), "x" * 10_000)))
    return field


def text(most_bytes: int, *, plain: bool = False, required: bool = False) -> Rule:
    """Spoil a free text: too long, and where it has to be plain, with control characters."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        ways = [beyond(rng, most_bytes)]
        ways += [hiding(rng, CONTROLS)] if plain else []
        ways += ["", "  "] if required else []
        setattr(message, field, rng.choice(ways))
        return field

    return spoil


def number(*, good: range, also: tuple[int, ...] = ()) -> Rule:
    """Spoil a whole number."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        is_long = message.DESCRIPTOR.fields_by_name[field].cpp_type == 2  # int64
        tries = [*INT32, *(INT64 if is_long else ()), good.start - 1, good.stop, good.stop + rng.randrange(1_000)]
        setattr(message, field, rng.choice([one for one in tries if one not in good and one not in also]))
        return field

    return spoil


def numbers_of_enum(known: range, most: int = 0) -> Rule:
    """Spoil an enum, or a list of them: a number that stands for nothing."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        bad = rng.choice([one for one in (*INT32, 0, 7, 99, 1_000_000) if one not in known])
        if not most:
            setattr(message, field, bad)
            return field
        values = getattr(message, field)
        if rng.random() < 0.2:
            values.extend([1] * (most + rng.choice((1, 10, 1_000))))
            return field
        values.append(bad)
        return f"{field}[{len(values) - 1}]"

    return spoil


def past(*, required: bool) -> Rule:
    """Spoil a moment that is not before 2000 nor beyond now and five minutes."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        later = (moment(301 + rng.randrange(10_000)), moment(10**9), Timestamp(seconds=253_402_300_799))
        if required and rng.random() < 0.2:
            message.ClearField(field)
        else:
            getattr(message, field).CopyFrom(rng.choice((*NO_MOMENT, *ANCIENT, *later)))
        return field

    return spoil


def recent(days: int) -> Rule:
    """Spoil a moment that has passed, and not before so many days."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        if rng.random() < 0.3:
            getattr(message, field).CopyFrom(moment(rng.choice((60, -86_400 * days - 60, -86_400 * 400))))
            return field
        return past(required=False)(rng, message, field)

    return spoil


def any_moment(rng: Random, message: Loose, field: str) -> str:
    """Spoil a moment of the years 1 to 9999."""
    getattr(message, field).CopyFrom(rng.choice(NO_MOMENT))
    return field


def expires(rng: Random, message: Loose, field: str) -> str:
    """Spoil the end of a report: in the future, after it was observed, at most 366 days away."""
    bad = (*NO_MOMENT, *ANCIENT, moment(-60), moment(367 * 86_400), Timestamp(seconds=253_402_300_799))
    getattr(message, field).CopyFrom(rng.choice(bad))
    return field


def not_allowed(rng: Random, message: Loose, field: str) -> str:
    """Set what is refused unless the service allows it."""
    getattr(message, field).CopyFrom(rng.choice((*NO_MOMENT, *ANCIENT, moment(), moment(-1_000))))
    return field


def finite(rng: Random, message: Loose, field: str) -> str:
    """Spoil a number that has to be finite."""
    setattr(message, field, rng.choice(NOT_NUMBERS))
    return field


def missing(rng: Random, message: Loose, field: str) -> str:
    """Leave out a message that is required."""
    message.ClearField(field)
    return field


def switch(rng: Random, message: Loose, field: str) -> str:
    """Name nothing to switch."""
    message.ClearField("switch")
    return "switch"


def everything(rng: Random, message: Loose, field: str) -> str:
    """Say that everything is not meant."""
    message.everything = False
    return field


def values(kinds: Mapping[str, str], most: int | None = None, least: int = 0) -> Rule:
    """Spoil a map of values: of an unknown name, of the wrong type, without a kind, out of bounds, too many or none."""

    def spoil(rng: Random, message: Loose, field: str) -> str:
        entries = getattr(message, field)
        if most is not None and rng.random() < 0.15:
            entries.clear()
            for place in range(0 if least and rng.random() < 0.5 else most + 1 + rng.randrange(300)):
                entries[f"f{place}"].bool_value = True
            return field
        if rng.random() < 0.2:
            unknown = rng.choice(("", "mood", "x" * 300, "a\nb", "\u202e", "past.open_tickets"))
            entries[unknown].int_value = 0
            return f"{field}["
        named = rng.choice(list(kinds))
        entries[named].CopyFrom(rng.choice(BAD_VALUES[kinds[named]]))
        return f'{field}["{named}"]'

    return spoil


def _texts(*found: str) -> Value:
    return Value(strings_value=StringList(values=found))


_NO_TEXT = ("x" * 1_025, "a\x00", "\u202eevil", "\x1b[2J", "a\r\nb")
_OTHERS: Mapping[str, Value] = {
    "bool": Value(bool_value=True),
    "int": Value(int_value=1),
    "double": Value(double_value=0.5),
    "string": Value(string_value="bill"),
    "timestamp": Value(timestamp_value=Timestamp(seconds=1_800_000_000)),
    "strings": _texts("a"),
}
_WORSE: Mapping[str, tuple[Value, ...]] = {
    "bool": (),
    "int": tuple(Value(int_value=one) for one in INT64),
    "double": tuple(Value(double_value=one) for one in NOT_NUMBERS),
    "string": tuple(Value(string_value=one) for one in _NO_TEXT),
    "timestamp": tuple(Value(timestamp_value=one) for one in NO_MOMENT),
    "strings": (*(_texts("a", one) for one in _NO_TEXT), _texts(*["a"] * 65), _texts(*["a"] * 5_000)),
    "share": tuple(Value(double_value=one) for one in (-1.5, 1.0000001, 1e308, -sys.float_info.min)),
}
BAD_VALUES: dict[str, list[Value]] = {
    kind: [
        Value(),
        *worse,
        *(other for name, other in _OTHERS.items() if name != kind and (kind, name) != ("share", "double")),
    ]
    for kind, worse in _WORSE.items()
}
BAD_VALUES["share"] += _WORSE["double"]


def free(rng: Random, message: Loose, field: str) -> str:
    """Mark a field that may be anything."""
    raise LookupError(field)


def within(rng: Random, message: Loose, field: str) -> str:
    """Mark a message whose fields have rules of their own."""
    raise LookupError(field)
