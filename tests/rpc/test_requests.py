"""Claims about reading requests for decisions: the compiled reader and protobuf agree on any bytes whatsoever."""

from __future__ import annotations

import os
import random
import shutil
import struct
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks import world
from benchmarks.population import Population
from service.core.decision import Request
from service.core.loader import load_strategy
from service.errors import InvalidArgument
from service.rpc import requests
from service.rpc.decisions import Decisions
from service.rpc.edge import Current, Limits, Vocabulary
from service.rpc.requests import Plainly, reader_for
from service.telemetry.counts import Counts
from service.telemetry.spreads import Durations
from service.telemetry.watch import Watching
from tact.v1.values_pb2 import Value
from tests.rpc.messages import ask
from tests.rpc.request_bytes import (
    FIELDS,
    KEYS,
    NAMES,
    PLACES,
    RARE,
    USUAL,
    VALUES,
    odd,
    part,
    raw_of,
    right,
    said,
    spoiled,
)
from tests.rpc.world import NOW_MS, edge_of, strategy

compiled_only = pytest.mark.skipif(
    shutil.which("cc") is None and not requests.COMPILED, reason="there is no C compiler here, so only the twin reads"
)
CASES = int(os.environ.get("TACT_REQUEST_CASES", "250"))


@cache
def plainly() -> Plainly:
    """Return the twin for the test's strategy, where callers may choose the moment."""
    return Plainly(edge_of().vocabulary, Limits(allow_as_of=True))


@cache
def swiftly() -> Any:  # noqa: ANN401 - a module in C has no types
    """Return the compiled reader for the same."""
    return reader_for(strategy(), plainly().vocabulary, plainly().limits)


def told(read: Callable[[bytes], Request], raw: bytes) -> tuple[object, ...]:
    """Return all there is to see of what is read, types included, or of the error.

    Protobuf shuffles its maps anew for every message, so neither entries nor what is wrong with them have an order.
    """
    try:
        request = read(raw)
    except InvalidArgument as error:
        wrong = sorted((one.field, one.description) for one in error.violations)
        return type(error), wrong, error.message if len(wrong) == 1 else error.message.rpartition("(")[2]
    context = dict(sorted(request.context.items()))
    return type(request), type(request.context), request.placements, repr(replace(request, context=context))


@compiled_only
def test_where_there_is_a_compiler_requests_are_read_in_one_step() -> None:
    """An installation on a machine with a compiler reads requests with the compiled reader."""
    assert requests.COMPILED
    assert not isinstance(edge_of().requests, Plainly)


@compiled_only
@settings(max_examples=CASES, deadline=None)
@given(parts=right(), seed=st.integers(0, 2**32))
def test_what_is_right_is_read_in_one_step(parts: list[bytes], seed: int) -> None:
    """A request that is right is read whole and as protobuf reads it, in any order of its fields; spoiled ones too."""
    dice = random.Random(seed)
    dice.shuffle(parts)
    raw = b"".join(parts)
    assert told(swiftly().usual, raw) == told(plainly().read, raw)
    for bad in (spoiled(raw, dice) for _ in range(12)):
        assert told(swiftly().read, bad) == told(plainly().read, bad)


@compiled_only
@settings(max_examples=CASES, deadline=None)
@given(raw=odd())
def test_both_read_the_same_from_odd_requests(raw: bytes) -> None:
    """What is repeated, out of bounds, of another type, unknown or too long for its number is read as protobuf does."""
    assert told(swiftly().read, raw) == told(plainly().read, raw)
    if swiftly().usual(raw) is not None:
        assert told(swiftly().usual, raw) == told(plainly().read, raw)


@compiled_only
@pytest.mark.parametrize("field", FIELDS)
def test_every_value_of_every_field(field: str) -> None:
    """Values of every type, at and beyond every bound, are taken or refused alike, and of the same type."""
    for value in VALUES:
        raw = raw_of(said(field, value))
        assert told(swiftly().read, raw) == told(plainly().read, raw)


@compiled_only
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_every_name_and_place(place: int) -> None:
    """Customers, keys, channels and placements are taken or refused alike."""
    channel, placements = PLACES[place]
    for customer, key, kind in product(NAMES, KEYS, ("idempotency_key", "request_id")):
        raw = ask(customer_id=customer, channel=channel, placements=placements, **{kind: key}).SerializeToString()
        assert told(swiftly().read, raw) == told(plainly().read, raw)


@compiled_only
@pytest.mark.parametrize("name", USUAL)
def test_usual_requests_need_no_protobuf(name: str) -> None:
    """What callers send every day is read in one step, with the very objects of the strategy's words."""
    found = swiftly().usual(USUAL[name])
    assert told(lambda _: found, b"") == told(plainly().read, USUAL[name])
    assert any(found.placements is placements for _, placements in plainly().vocabulary.usual)


@compiled_only
@pytest.mark.parametrize("name", RARE)
def test_rare_requests_are_left_to_protobuf(name: str) -> None:
    """What is rare or wrong is left alone, and then read or refused by protobuf."""
    assert swiftly().usual(RARE[name]) is None
    assert told(swiftly().read, RARE[name]) == told(plainly().read, RARE[name])


@compiled_only
def test_entries_come_in_the_order_of_the_bytes() -> None:
    """The context has the order in which it was sent, where protobuf has none."""
    index = strategy().schema.index
    for names in (("present.calls", "present.count"), ("present.count", "present.calls")):
        found = swiftly().read(raw_of(*(said(name, b"\x10\x05") for name in names)))
        assert list(found.context) == [index[name] for name in names]


@compiled_only
def test_only_bytes_are_read() -> None:
    """What is no bytes is left to protobuf, which refuses it."""
    for other in (bytearray(raw_of()), memoryview(raw_of()), "text", None, 5):
        assert swiftly().usual(other) is None
    with pytest.raises(TypeError):
        swiftly().read("text")


@compiled_only
def test_the_requests_of_the_benchmark_are_usual(tmp_path: Path) -> None:
    """No request of the benchmark's population takes the long way."""
    bench = load_strategy(world.write_strategy(tmp_path, 10))
    vocabulary = Vocabulary.of(bench)
    reader: Any = reader_for(bench, vocabulary, Limits())
    twin = Plainly(vocabulary, Limits())
    for message in Population.of(50, NOW_MS).requests(500):
        raw = message.SerializeToString()
        assert reader.usual(raw) is not None
        assert told(reader.read, raw) == told(twin.read, raw)


@compiled_only
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ((Request, print, (1, 1, 1, 65, 1), (), ()), ValueError),
        ((Request, print, (1, 1, 1, 64, 1), (("web", ()),), ()), ValueError),
        ((Request, print, (1, 1, 1, 64, 1), (("web", ("a", "b", "c")),), ()), ValueError),
        ((Request, print, (1, 1, 1, 64, 1), (("web", (5,)),), ()), TypeError),
        ((Request, print, (1, 1, 1, 64, 1), (), (("f", 0, 4, 0.0, 0.0, 0, 0, ()),)), ValueError),
        ((Request, print, (1, 1, 1, 64, 1), (), (("f", 0, 3, 0.0, 0.0, 0, 0, (b"a",)),)), TypeError),
        ((Request, print, (1, 1, 1, 64, 1), (), (("f", "0", 3, 0.0, 0.0, 0, 0, ()),)), TypeError),
        ((Request, print, (1, 1, 1, 64), (), ()), TypeError),
        ((), TypeError),
    ],
    ids=["entries", "no placement", "three", "no text", "kind", "no values", "index", "bounds", "nothing"],
)
def test_a_reader_of_nonsense_is_not_made(wrong: tuple[object, ...], error: type[Exception]) -> None:
    """What a reader is made from is looked at when it is made, not when it reads."""
    with pytest.raises(error):
        requests._compiled.Reader(*wrong)


@compiled_only
def test_the_bounds_are_those_of_the_edge() -> None:
    """A request that is too long, or has too many entries, is left to protobuf, which says so."""
    raw = raw_of(*(said(name, b"\x08\x01") for name in "fg"))
    fields = tuple((name, place, 0, 0.0, 0.0, 0, 0, ()) for place, name in enumerate("fg"))
    for most, entries, fits in ((len(raw), 2, True), (len(raw) - 1, 2, False), (len(raw), 1, False)):
        reader = requests._compiled.Reader(Request, len, (most, 3, 0, entries, 0), (("web", ("hero",)),), fields)
        assert (reader.usual(raw) == Request("c-1", "web", ("hero",), {0: True, 1: True})) is fits


@compiled_only
def test_words_that_no_request_can_hold_match_nothing() -> None:
    """A word with half a surrogate is never asked for, and does not stop a reader from being made."""
    places, fields = (("\ud800", ("a",)), ("b", ("a",))), (("f", 0, 3, 0.0, 0.0, 0, 0, ("\ud800", "x")),)
    reader = requests._compiled.Reader(Request, len, (999, 9, 9, 9, 9), places, fields)
    assert reader.read(part(1, "c") + part(2, "b") + part(3, "a")).channel == "b"
    for bad in (b"\xed\xa0\x80", b"", b"\xff"):
        raw = part(1, "c") + part(2, bad) + part(3, "a")
        assert reader.read(raw) == len(raw)


@compiled_only
def test_reading_leaves_nothing_behind() -> None:
    """Neither what is right nor what is wrong keeps memory, or counts of references, once it is read."""
    held = {one for place in plainly().vocabulary.usual for one in (*place, Request, None, True)}
    raws = [*USUAL.values(), *(raw for name, raw in RARE.items() if name != "too long")]

    def read(times: int) -> None:
        for _ in range(times):
            for raw in raws:
                told(swiftly().read, raw)
                swiftly().usual(raw)

    read(2)
    before = {id(one): sys.getrefcount(one) for one in held}
    tracemalloc.start()
    try:
        read(1)
        memory = tracemalloc.get_traced_memory()[0]
        read(20)
        grown = tracemalloc.get_traced_memory()[0] - memory
    finally:
        tracemalloc.stop()
    assert grown < 2_000
    assert all(abs(sys.getrefcount(one) - before[id(one)]) < 20 for one in held)


@pytest.mark.parametrize(
    ("raw", "counted"),
    [
        (b"\xff", []), (RARE["cut off"], []), (RARE["too long"], []), (b"\x0a\x01\xff", []),
        (RARE["no customer"], ["invalid_argument"]), (b"", ["invalid_argument"]),
    ],
    ids=["no tag", "cut off", "too long", "no text", "no customer", "nothing"],
)  # fmt: skip
async def test_only_what_can_be_read_is_counted_as_a_request(raw: bytes, counted: list[str]) -> None:
    """Bytes that nobody can read are refused, and are no request for a decision; a bad request is one."""
    counts = Counts()
    with pytest.raises(InvalidArgument):
        await Decisions(Current(edge_of(), Watching(Durations(), counts))).decide(raw, 1.0)
    assert list(counts.told()["refused"]) == counted


def test_without_the_compiled_reader_the_twin_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing was compiled, protobuf reads everything."""
    monkeypatch.setattr(requests, "COMPILED", False)
    reader = reader_for(strategy(), plainly().vocabulary, plainly().limits)
    assert reader == plainly()
    assert reader.read(raw_of()) == Request("c-1", "web", ("hero",), {})


def test_numbers_are_those_of_the_wire() -> None:
    """The tests' own writer writes what protobuf writes, so that what they claim is about protobuf's requests."""
    value = Value(double_value=2.5)
    wanted = ask(placements=["hero"], context={"present.cart_value": value}, idempotency_key="k").SerializeToString()
    assert raw_of(said("present.cart_value", b"\x19" + struct.pack("<d", 2.5)), part(6, "k")) == wanted
