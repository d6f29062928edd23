"""Bad events beside good ones, on real stores: each bad one is refused by name, each good one is stored."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tact.v1 import context_pb2 as pb
from tests.rpc import bad_requests
from tests.rpc.messages import METHODS, call_raw, event
from tests.rpc.world import calling, edge_of, store_at

STORED, REPEATED, REFUSED = pb.EVENT_STATUS_STORED, pb.EVENT_STATUS_REPEATED, pb.EVENT_STATUS_REFUSED
BY_NAME = {method.name: method for method in METHODS}
KINDS = 40

Unreadable = tuple[str, bytes, str]
UNREADABLE: tuple[Unreadable, ...] = (
    ("a text that is not UTF-8", event(event_id="bad?").SerializeToString().replace(b"bad?", b"bad\xff"), "event_id"),
    ("a type that is not UTF-8", event(type="purch?").SerializeToString().replace(b"purch?", b"purch\xc3"), "type"),
    (
        "an attribute that is not UTF-8",
        event().SerializeToString().replace(b"phone x", b"phone\xe2x"),
        'attributes["product"].value.string_value',
    ),
    ("bytes that are no event", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", ""),
    ("an event that was cut off", event().SerializeToString()[:-3], ""),
)


def raw_batch(events: Sequence[bytes]) -> bytes:
    """Return a batch of events that need not be readable."""
    return b"".join(b"\x0a" + _varint(len(one)) + one for one in events)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def beside_good_ones(bad: Sequence[bytes]) -> list[bytes]:
    """Return bad events with a good one before, between and after them."""
    mixed = [good(0)]
    for place, one in enumerate(bad):
        mixed += [one, good(place + 1)]
    return mixed


def good(number: int) -> bytes:
    """Return a good event."""
    return event(event_id=f"good-{number}", customer_id=f"c-{number % 7}").SerializeToString()


async def answers(url: str, events: Sequence[bytes]) -> list[pb.EventResult]:
    """Record a batch in a real store and return what became of each event."""
    async with store_at(url) as store, calling(edge_of(stores=store)) as channel:
        (answer,) = await call_raw(channel, BY_NAME["RecordEvents"], [raw_batch(events)])
    assert isinstance(answer, pb.RecordEventsResponse)
    return list(answer.results)


def test_the_kinds_are_many() -> None:
    """At least forty kinds of bad events are tried, and no two rows are the same."""
    rows = [message.SerializeToString() for _, message, _ in bad_requests.EVENTS] + [raw for _, raw, _ in UNREADABLE]
    assert len(set(rows)) == len(rows) >= KINDS


async def test_every_kind_beside_good_ones(clean_store_url: str) -> None:
    """A batch of every kind of bad event refuses each with its path, and stores every good one among them."""
    bad = [message.SerializeToString() for _, message, _ in bad_requests.EVENTS]
    results = await answers(clean_store_url, beside_good_ones(bad))
    assert {result.status for result in results[::2]} == {STORED}
    assert {result.status for result in results[1::2]} == {REFUSED}
    paths = [[violation.field for violation in result.violations] for result in results[1::2]]
    assert paths == [[path] for _, _, path in bad_requests.EVENTS]
    again = await answers(clean_store_url, [good(number) for number in range(len(bad) + 1)])
    assert {result.status for result in again} == {REPEATED}


@pytest.mark.parametrize(("raw", "path"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
async def test_an_unreadable_event_beside_good_ones(raw: bytes, path: str, clean_store_url: str) -> None:
    """An event that cannot even be decoded is refused where it stood, and spoils none of the others."""
    first, bad, last = await answers(clean_store_url, beside_good_ones([raw]))
    assert (first.status, bad.status, last.status) == (STORED, REFUSED, STORED)
    assert (first.event_id, last.event_id) == ("good-0", "good-1")
    (violation,) = bad.violations
    assert violation.field == path


async def test_half_a_megabyte_beside_good_ones(clean_store_url: str) -> None:
    """A text of half a megabyte is refused by its name, and the batch around it is stored."""
    text = event(type="noted", attributes={"text": bad_requests.text("x" * 500_000)}).SerializeToString()
    first, bad, last = await answers(clean_store_url, beside_good_ones([text]))
    assert (first.status, bad.status, last.status) == (STORED, REFUSED, STORED)
    assert [violation.field for violation in bad.violations] == ['attributes["text"]']
    assert len(bad.SerializeToString()) < 1_000


async def test_an_unreadable_event_in_a_stream(clean_store_url: str) -> None:
    """On a stream of batches too, what cannot be decoded is counted as refused and the rest is stored."""
    raws = [raw_batch([good(n), UNREADABLE[0][1]]) for n in range(3)]
    async with store_at(clean_store_url) as store, calling(edge_of(stores=store)) as channel:
        (answer,) = await call_raw(channel, BY_NAME["RecordEventsStream"], raws)
    assert isinstance(answer, pb.RecordEventsStreamResponse)
    assert (answer.stored, answer.refused) == (3, 3)
    assert {v.field for result in answer.first_refused for v in result.violations} == {"event_id"}
