"""Bytes that are no message end with the path of what is broken in them, and never with an exception."""

from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import given
from hypothesis import strategies as st

from service.rpc.undecodable import text_in, violation_in
from tact.v1 import context_pb2, decision_pb2

GOOD = decision_pb2.DecideRequest(customer_id="@@1", channel="web", placements=["one", "@@2"], request_id="r7")
GOOD.context["present.reason"].string_value = "@@3"
GOOD.context["@@4"].int_value = 1
BATCH = context_pb2.RecordEventsRequest(
    events=[context_pb2.Event(event_id="e1"), context_pb2.Event(event_id="@@5", customer_id="c")]
)


def spoilt(message: Message, mark: str) -> bytes:
    """Return a message in which one text is not UTF-8."""
    raw = message.SerializeToString(deterministic=True)
    assert mark.encode() in raw
    return raw.replace(mark.encode(), b"\xff\xfe" + mark[-1:].encode())


@pytest.mark.parametrize(
    ("message", "mark", "path"),
    [
        (GOOD, "@@1", "customer_id"),
        (GOOD, "@@2", "placements[1]"),
        (GOOD, "@@3", 'context["present.reason"].value.string_value'),
        (GOOD, "@@4", 'context[""].key'),
        (BATCH, "@@5", "events[1].event_id"),
    ],
)
def test_a_text_that_is_not_utf_8_is_named_by_its_path(message: Message, mark: str, path: str) -> None:
    """Protobuf only says that a message is broken; the caller hears which field is."""
    raw = spoilt(message, mark)
    with pytest.raises(DecodeError):
        type(message).FromString(raw)
    found = violation_in(type(message), raw)
    assert found.field == path
    assert "UTF-8" in found.description


def test_bytes_that_are_cut_off_are_named_by_the_message_they_are_in() -> None:
    """What is cut off inside an event is that event; what is no message at all has the empty path."""
    inner = b"\x0a\x05abc"  # an event whose first text is shorter than it says
    cut = b"\x0a" + bytes([len(inner)]) + inner
    assert violation_in(context_pb2.RecordEventsRequest, cut).field == "events[0]"
    assert violation_in(context_pb2.RecordEventsRequest, b"\xff").field == ""


def test_the_request_id_of_a_broken_request_is_still_told() -> None:
    """So that the error on a stream can be matched."""
    assert text_in(decision_pb2.DecideRequest, spoilt(GOOD, "@@1"), "request_id") == "r7"
    assert text_in(decision_pb2.DecideRequest, b"\xff\xff", "request_id") == ""


@given(st.binary(max_size=200))
def test_no_bytes_break_the_search(raw: bytes) -> None:
    """Whatever comes in, the search ends with a violation."""
    for kind in (decision_pb2.DecideRequest, context_pb2.RecordEventsRequest):
        assert violation_in(kind, raw).description
        assert isinstance(text_in(decision_pb2.DecideRequest, raw, "request_id"), str)


def test_what_is_nested_too_deep_ends_the_search() -> None:
    """The search goes down no further than a bound, and says so."""
    raw = b""
    for _ in range(60):
        raw = b"\x0a" + _size(len(raw)) + raw
    assert violation_in(context_pb2.RecordEventsRequest, raw).description


def _size(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])
