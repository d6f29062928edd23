"""Serving and the history agree on what an event is: one takes what the other takes, and both understand the same."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from models import bounds
from models.context import ValueType
from models.operations import Operation
from service.errors import InvalidArgument
from service.rpc.convert_event import event_of
from tact.v1 import context_pb2 as pb
from tact.v1.values_pb2 import StringList, Value
from tests.folding import DETERMINISTIC
from tests.rpc.bad_requests import EVENTS, FUTURE, double, moment, text, texts, whole
from tests.rpc.messages import event
from tests.rpc.world import NOW_MS, edge_of, strategy
from tests.training.test_features import DAY, features, home, write_csv
from tests.training.test_features import EVENTS as BOUGHT
from tests.training.world import write_lines
from training.errors import InputRefused
from training.progress import unseen
from training.rows import read_events

__all__ = ["home"]  # the fixture
EDGE = edge_of()
Taken = tuple[str, int, tuple[Operation, ...]]
"""What was understood of an event: its id, when it happened, and what it does to the fields."""

NO_NOW = {"an event is at most 5 minutes in the future"}
"""Bad rows that a history takes: it has no now, and an event counts only for moments after it."""

NO_NANOS = {"an event has no negative nanos", "an event's nanos are less than a second"}
"""Bad rows that cannot be written as a line of JSON."""


def served(message: pb.Event) -> Taken | None:
    """Return what serving understands, or None where it refuses the event."""
    try:
        found = event_of(message, EDGE, NOW_MS)
    except InvalidArgument:
        return None
    return found.event_id, found.occurred_ms, found.operations


def read(message: pb.Event) -> Taken | None:
    """Return what a history understands, or None where it refuses the event."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_text(f"{json.dumps(line_of(message))}\n")
        try:
            (row,) = read_events(path, strategy().schema, unseen)
        except InputRefused:
            return None
    return row.id, row.at_ms, EDGE.vocabulary.folding.operations(row.type, row.attributes)


def line_of(message: pb.Event) -> dict[str, Any]:
    """Write an event as a line of a history has it; what is not set is left out."""
    line: dict[str, Any] = {"event_id": message.event_id, "customer_id": message.customer_id, "type": message.type}
    if message.HasField("occurred_at"):
        line["occurred_at"] = at_ms(message.occurred_at)
    return line | {"attributes": {name: plain(value) for name, value in message.attributes.items()}}


def plain(value: Value) -> object:
    """Write a value as JSON has it."""
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    told = getattr(value, kind)
    if isinstance(told, StringList):
        return list(told.values)
    return at_ms(told) if isinstance(told, Timestamp) else told


def at_ms(told: Timestamp) -> int:
    """Return a moment in whole milliseconds."""
    return told.seconds * 1000 + told.nanos // 1_000_000


@pytest.mark.parametrize("row", EVENTS, ids=[row[0] for row in EVENTS])
def test_what_serving_refuses_is_no_event_of_the_past(row: tuple[str, pb.Event, str]) -> None:
    """Each bad event of the service's own table is refused in a file, but for what a file cannot tell."""
    claim, message, _ = row
    assert served(message) is None
    if claim not in NO_NANOS:
        assert (read(message) is not None) == (claim in NO_NOW)


def test_the_exceptions_are_in_the_table() -> None:
    """Every exception is a row of the table, and the later event is one that a service takes later."""
    assert {row[0] for row in EVENTS} >= NO_NOW | NO_NANOS
    assert event_of(event(occurred_at=FUTURE), EDGE, NOW_MS + 1_000).occurred_ms == at_ms(FUTURE)


def bought(**more: Value) -> pb.Event:
    """Return a purchase with more attributes."""
    return event(attributes={"amount": double(1), "product": text("tv"), **more})


def at(ms: int) -> Timestamp:
    """Return a moment."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


GOOD = {
    "an id of 64 bytes": event(event_id="ü" * 32),
    "a customer of 128 bytes": event(customer_id="ü" * 64),
    "a customer with blanks and marks": event(customer_id="Zoë {a}*:/ שלום"),
    "the first moment of 2000": event(occurred_at=at(bounds.YEAR_2000_MS)),
    "five minutes ahead to the millisecond": event(occurred_at=at(NOW_MS + 300_000)),
    "both bounds": event(attributes={"amount": double(100_000), "product": text("")}),
    "a birth date before 1970": bought(paid_at=moment(at(-1_220_000_000_001))),
    "the first moment": bought(paid_at=moment(at(bounds.YEAR_1_MS))),
    "the last moment": bought(paid_at=moment(at(bounds.YEAR_10000_MS - 1))),
    "the largest whole number": event(type="noted", attributes={"number": whole(2**53 - 1)}),
    "the largest sum": event(type="noted", attributes={"share": double(9_007_199_254.0)}),
    "1,024 characters": event(type="noted", attributes={"text": text("漢" * 1_024)}),
    "a family emoji": event(type="noted", attributes={"text": text("👨\u200d👩\u200d👧")}),
    "64 texts": event(type="noted", attributes={"texts": texts(*["x"] * 64)}),
    "no attribute": event(type="noted", attributes={}),
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD.keys())
def test_what_serving_takes_is_read_as_the_same(message: pb.Event) -> None:
    """Good events at the very edge do the same to the fields, live or out of a file."""
    assert served(message) is not None
    assert read(message) == served(message)


@pytest.mark.parametrize("ms", [NOW_MS + 300_001, bounds.YEAR_2000_MS - 1])
def test_one_millisecond_too_far_is_refused(ms: int) -> None:
    """Five minutes ahead are allowed and a millisecond more is not, nor is the last one of 1999."""
    assert served(event(occurred_at=at(ms))) is None
    assert (read(event(occurred_at=at(ms))) is None) == (ms < bounds.YEAR_2000_MS)


def test_a_file_of_the_past_ends_before_2100() -> None:
    """What happened in 2099 counts for moments after it; a moment of 2100 is a mistake."""
    assert read(event(occurred_at=at(bounds.YEAR_2100_MS - 1))) is not None
    assert read(event(occurred_at=at(bounds.YEAR_2100_MS))) is None


def test_a_birth_date_before_1970_is_told(home: Path) -> None:
    """A moment that an event tells of may be any of the years 1 to 9999, as text, as a number and in CSV."""
    births = ["1931-05-04T03:02:01.5Z", -1_220_000_000_000, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"]
    born = [{**BOUGHT[3], "event_id": str(n), "customer_id": str(n)} for n in range(4)]
    rows = [{**e, "attributes": {**e["attributes"], "paid_at": b}} for e, b in zip(born, births, strict=True)]
    write_lines(home / "born.jsonl", rows)
    columns = ["event_id", "customer_id", "type", "occurred_at", "attributes.amount", "attributes.product"]
    cells = [[*list(e.values())[:4], 7, "p", b] for e, b in zip(born, births, strict=True)]
    write_csv(home / "born.csv", [*columns, "attributes.paid_at"], cells)
    write_lines(home / "now.jsonl", [{"customer_id": str(n), "at": DAY.format(9)} for n in range(4)])
    for name in ("born.jsonl", "born.csv"):
        done = features(home, "--fields=past.paid_at", events=name, moments="now.jsonl", out="t.jsonl")
        assert done.code == 0, done.err
        told = [json.loads(line)["features"]["past.paid_at"] for line in (home / "t.jsonl").read_text().splitlines()]
        assert told == [
            "1931-05-04T03:02:01.500Z", "1931-05-05T15:06:40.000Z", "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        ]  # fmt: skip


TEXTS = st.sampled_from(
    ["", " ", "tv", "phone", "gold", "a\x00", "a\nb", "\u200b", "x" * 64, "x" * 65, "ü" * 65, "ü" * 64, "x" * 1_025]
)
NUMBERS = st.sampled_from(
    [0, 1, -1, 10, 11, 100_000, 100_001, 2**53 - 1, 2**53, -(2**53), 9_007_199_254, 9_007_199_255]
)
MOMENTS = st.sampled_from(
    [0, -1, NOW_MS, bounds.YEAR_1_MS - 1, bounds.YEAR_1_MS, bounds.YEAR_10000_MS - 1, bounds.YEAR_10000_MS]
)
OF_TYPE = {
    ValueType.BOOL: st.booleans().map(lambda truth: Value(bool_value=truth)),
    ValueType.INT: NUMBERS.map(whole),
    ValueType.DOUBLE: NUMBERS.map(float).map(double),
    ValueType.STRING: TEXTS.map(text),
    ValueType.TIMESTAMP: MOMENTS.map(at).map(moment),
    ValueType.STRINGS: st.lists(TEXTS, max_size=66).map(lambda found: texts(*found)),
}


def of_type(name: str) -> st.SearchStrategy[pb.Event]:
    """Draw events of one type, whose attributes are of the right types and may be anything else."""
    drawn = {a: OF_TYPE[declared.type] for a, declared in EDGE.vocabulary.events[name].attributes.items()}
    needed = {a: value for a, value in drawn.items() if a in EDGE.vocabulary.events[name].required}
    more = {a: value for a, value in drawn.items() if a not in needed}
    return st.builds(
        event,
        event_id=st.one_of(st.just("e"), TEXTS),
        customer_id=st.one_of(st.just("c"), TEXTS),
        type=st.just(name),
        occurred_at=st.sampled_from([NOW_MS, NOW_MS + 300_000, bounds.YEAR_2000_MS, bounds.YEAR_2000_MS - 1]).map(at),
        attributes=st.fixed_dictionaries(needed, optional=more),
    )


@settings(DETERMINISTIC, max_examples=400)
@given(st.sampled_from(sorted(EDGE.vocabulary.events)).flatmap(of_type))
def test_any_event_is_understood_alike_or_refused_alike(message: pb.Event) -> None:
    """Whatever an event says of itself and its attributes, serving and a history make the same of it."""
    assert read(message) == served(message)
