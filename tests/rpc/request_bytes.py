"""Requests for decisions as bytes: right ones, odd ones and spoiled ones, written by hand and not by protobuf."""

from __future__ import annotations

import random

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from tact.v1.values_pb2 import StringList, Value
from tests.rpc.messages import ask
from tests.rpc.world import NOW_MS

LONG = "a long day " * 100  # 1,100 characters
NAMES = ("c-1", "Zoë", " x ", "   ", "", "a" * 128, "a" * 129, "tab\t", "del\x7f", "zero\x00", "\u200b", "٣", "🙂")
KEYS = ("", "key", "k" * 64, "k" * 65, "\x00", "é" * 32, "é" * 33)
RIGHT_PLACES = (
    ("web", ("hero",)), ("web", ("hero", "greeting")), ("web", ("greeting", "hero")), ("desk", ("offer",)),
    ("email", ("body",)),
)  # fmt: skip
PLACES = (
    *RIGHT_PLACES, ("web", ("offer",)), ("web", ("hero", "hero")), ("web", ()), ("web", ("hero", "")), ("", ("",)),
    ("fax", ("hero",)), ("web", ("hero", "greeting", "body")), ("wéb", ("hero",)), ("desk", ("greeting",) * 9),
)  # fmt: skip
FIELDS = (
    "present.sentiment", "present.cart_value", "present.reason", "present.waiting", "present.calls", "present.count",
    "present.since", "present.words", "present.pages", "past.tier", "clock.hour", "nothing", "",
)  # fmt: skip
REALS = (0.0, -0.0, 0.5, 1.0, -1.0, 1.0000000000000002, 1e308, float("inf"), float("-inf"), float("nan"))
WHOLES = (0, 1, 100, 101, -1, 2**53 - 1, 2**53, 1 - 2**53, -(2**53), 2**63 - 1, -(2**63))
TEXTS = ("bill", "move", "bil", "bill ", "", "words", "é", "\n", "\x7f", "~ ", LONG[:1024], LONG[:1025], "é" * 1024)
VALUES = (
    *(Value(double_value=x) for x in REALS), *(Value(int_value=x) for x in WHOLES),
    *(Value(bool_value=x) for x in (True, False)), *(Value(string_value=x) for x in TEXTS),
    Value(), Value(timestamp_value=Timestamp(seconds=5)), Value(strings_value=StringList(values=["a"])),
)  # fmt: skip
FITTING: dict[str, st.SearchStrategy[Value]] = {
    "present.sentiment": st.floats(-1, 1).map(lambda x: Value(double_value=x)),
    "present.cart_value": st.floats(0, allow_infinity=False).map(lambda x: Value(double_value=x)),
    "present.reason": st.sampled_from(["bill", "move"]).map(lambda x: Value(string_value=x)),
    "present.waiting": st.booleans().map(lambda x: Value(bool_value=x)),
    "present.calls": st.integers(0, 100).map(lambda x: Value(int_value=x)),
    "present.count": st.integers(1 - 2**53, 2**53 - 1).map(lambda x: Value(int_value=x)),
    "present.words": st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(lambda x: Value(string_value=x)),
}


def varint(number: int, longer: int = 0) -> bytes:
    """Return a number as the wire has it, `longer` bytes longer than it need be."""
    groups = [number >> shift & 0x7F for shift in range(0, max(1, number.bit_length()), 7)] + [0] * longer
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def part(number: int, content: bytes | str, longer: int = 0) -> bytes:
    """Return a field of text, bytes or a message."""
    body = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(body), longer) + body


def said(field: str, value: Value | bytes) -> bytes:
    """Return one entry of the context."""
    return part(4, part(1, field) + part(2, value if isinstance(value, bytes) else value.SerializeToString()))


def explained(number: int, longer: int = 0) -> bytes:
    """Return the field that asks for an explanation."""
    return varint(5 << 3) + varint(number, longer)


def raw_of(*more: bytes) -> bytes:
    """Return a good request with more at its end."""
    return part(1, "c-1") + part(2, "web") + part(3, "hero") + b"".join(more)


@st.composite
def right(draw: st.DrawFn) -> list[bytes]:
    """Draw the parts of a request that is right, and says nothing rare."""
    channel, placements = draw(st.sampled_from(RIGHT_PLACES))
    context = draw(st.fixed_dictionaries({}, optional=FITTING))
    parts = [part(1, draw(st.sampled_from(["c-1", " x ", "~" * 128]))), part(2, channel)]
    parts += [*(part(3, one) for one in placements), *(said(*entry) for entry in context.items())]
    return parts + draw(st.sampled_from([[], [part(6, "k")], [explained(1)], [explained(0), part(7, "r" * 64)]]))


@st.composite
def odd(draw: st.DrawFn) -> bytes:
    """Draw parts that a request can have, right or wrong, some of them twice, some left out, in any order."""
    parts = draw(right())
    channel, placements = draw(st.sampled_from(PLACES))
    field, value = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(VALUES))
    longer, number = draw(st.sampled_from([0, 0, 0, 1, 9])), draw(st.integers(0, 2**64 - 1))
    odds = [
        part(1, draw(st.sampled_from(NAMES)), longer), part(2, channel), *(part(3, one) for one in placements),
        part(6, draw(st.sampled_from(KEYS))), part(7, draw(st.sampled_from(KEYS))), explained(number, longer),
        said(field, value), part(4, part(2, value.SerializeToString()) + part(1, field)),
        said("present.count", b"\x10" + varint(number, longer)), part(9, b"new"), part(1, b"\xff"),
        part(8, Timestamp(seconds=NOW_MS // 1000).SerializeToString()), b"\x0b\x0c", b"\x0d",
    ]  # fmt: skip
    parts += draw(st.lists(st.sampled_from(odds), max_size=4))
    parts = draw(st.permutations(parts)) if draw(st.booleans()) else parts
    return b"".join(parts[: draw(st.integers(0, len(parts)))] if draw(st.integers(0, 4)) == 0 else parts)


def spoiled(raw: bytes, dice: random.Random) -> bytes:
    """Return bytes with a few of them changed, put in, taken out or cut off."""
    spoilt = bytearray(raw)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.randrange(len(spoilt) + 1)
        match dice.randrange(9):
            case 0 | 1:
                spoilt[at : at + 1] = bytes([dice.randrange(256)])
            case 2 | 3:
                spoilt[at : at + 1] = bytes([(spoilt[at] if at < len(spoilt) else 0) ^ 1 << dice.randrange(8)])
            case 4 | 5:
                spoilt[at:at] = dice.choice((b"\x80", b"\x00", b"\x01", b"\x22", spoilt[at : at + 9]))
            case 6 | 7:
                del spoilt[at : at + dice.choice((1, 1, 2, 8))]
            case _:
                del spoilt[at:]
    return bytes(spoilt)


USUAL = {
    "nothing but who and where": raw_of(),
    "everything": ask(
        customer_id="c 1", placements=["hero", "greeting"], explain=True, idempotency_key="k", request_id="r",
        context={
            "present.sentiment": Value(double_value=-0.0), "present.cart_value": Value(double_value=1e300),
            "present.reason": Value(string_value="bill"), "present.waiting": Value(bool_value=True),
            "present.calls": Value(int_value=7), "present.count": Value(int_value=-5),
            "present.words": Value(string_value="so"),
        },
    ).SerializeToString(),
    "defaults written out": raw_of(b"\x28\x00", part(6, ""), part(7, ""), said("present.words", b"\x22\x00")),
    "the longest": b"".join(
        (
            part(1, "c" * 128), part(2, "web"), part(3, "hero"), part(6, "k" * 64), part(7, "r" * 64),
            said("present.words", Value(string_value=LONG[:1024])),
        )
    ),
}  # fmt: skip
RARE = {
    "nothing": b"",
    "another moment": ask(as_of=Timestamp(seconds=NOW_MS // 1000)).SerializeToString(),
    "how deep": ask(explain=True, explain_depth=2).SerializeToString(),
    "deeper than there is": raw_of(b"\x48\x09"),
    "no customer": part(2, "web") + part(3, "hero"),
    "no channel": part(1, "c") + part(3, "hero"),
    "no placement": part(1, "c") + part(2, "web"),
    "three placements": raw_of(part(3, "greeting"), part(3, "body")),
    "a name beyond ASCII": ask(customer_id="Zoë").SerializeToString(),
    "a name twice": raw_of(part(1, "c-1")),
    "a key twice": raw_of(part(6, "one"), part(6, "two")),
    "an entry twice": raw_of(said("present.calls", b"\x10\x01"), said("present.calls", b"\x10\x02")),
    "an entry turned round": raw_of(part(4, part(2, b"\x10\x01") + part(1, "present.calls"))),
    "an entry and more": raw_of(part(4, part(1, "present.calls") + part(2, b"\x10\x01") + part(3, ""))),
    "a value in two types": raw_of(said("present.calls", b"\x10\x01\x10\x02")),
    "no value": raw_of(said("present.calls", b"")),
    "a list of texts": raw_of(said("present.pages", Value(strings_value=StringList(values=["a"])))),
    "a number of more than 64 bits": raw_of(said("present.count", b"\x10" + b"\x80" * 9 + b"\x02")),
    "a longer number": raw_of(said("present.calls", b"\x10\x81\x00")),
    "a longer length": raw_of(part(7, "r", 1)),
    "a truth of 2": raw_of(b"\x28\x02"),
    "a value that is true as 2": raw_of(said("present.waiting", b"\x08\x02")),
    "a new field": raw_of(part(9, "")),
    "a group": raw_of(b"\x4b\x4c"),
    "cut off": raw_of(b"\x32\x05k"),
    "a field alone": raw_of(b"\x32"),
    "too long": raw_of(part(9, "x" * 65_536)),
}
