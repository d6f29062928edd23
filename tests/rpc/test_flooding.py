"""A message that is made to be slow to look at is refused before that: everybody else waits meanwhile."""

from __future__ import annotations

import pytest

from service.errors import InvalidArgument
from service.rpc.decision_batches import requests_in
from service.rpc.event_batches import read_batch
from service.rpc.flooding import UNKNOWN_FIELDS, check_entries
from service.rpc.undecodable import MOST_FIELDS, violation_in
from tact.v1 import decision_pb2
from tests.edge.hostile import wire
from tests.rpc.messages import ask, event

EMPTY = wire.field(1, b"")


@pytest.mark.parametrize("before", [b"", wire.groups(50), wire.tag(9, wire.FIXED64) + bytes(8)], ids=["", "group", "8"])
def test_far_too_many_entries(before: bytes) -> None:
    """A batch of a quarter of a million empty entries is refused by counting to a thousand, whatever stands before."""
    for read in (read_batch, requests_in):
        with pytest.raises(InvalidArgument, match="has more than"):
            read(before + EMPTY * 250_000)


def test_what_is_allowed_is_not_refused() -> None:
    """A thousand entries and some fields of a later version are no flood; one beyond these is."""
    most = EMPTY * 1_000 + wire.field(500, b"x") * UNKNOWN_FIELDS
    check_entries("events", most)
    with pytest.raises(InvalidArgument, match="events: has more than 1,000 entries"):
        check_entries("events", most + EMPTY)


@pytest.mark.parametrize("tail", [b"\x0a", b"\x0a\xff", b"\xff" * 12, b"\x0d\x00"])
def test_an_end_that_is_broken_is_no_flood(tail: bytes) -> None:
    """What cannot be decoded is left to who decodes it."""
    check_entries("events", event().SerializeToString() * 100 + tail)


def test_a_broken_field_is_looked_for_among_the_first() -> None:
    """A field that cannot be decoded is named where it is one of the first; else the message as a whole is."""
    bad = wire.field(1, b"\xff")
    near = ask().SerializeToString() + bad
    far = wire.field(3, b"greeting") * MOST_FIELDS + bad
    assert violation_in(decision_pb2.DecideRequest, near).field == "customer_id"
    assert violation_in(decision_pb2.DecideRequest, far).field == ""
