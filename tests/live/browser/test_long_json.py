"""JSON that takes long to read, or would: whoever calls beside it is answered in time."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.errors import InvalidArgument, Overloaded
from service.rpc.event_batches import MAX_BATCH_BYTES
from service.rpc.web.connections import Patience
from service.rpc.web.json_bounds import FEW, check_values
from service.rpc.web.room import Room
from service.rpc.wrapper import MAX_REQUEST_BYTES
from tests.live.browser.world import Port, Wire, opened, request

DECIDE = "tact.v1.DecisionService/Decide"
BODY = b'{"customerId": "c-1", "channel": "web", "placements": ["greeting"]}'
AT_ONCE = 4
BESIDE = 3 * AT_ONCE
"""How many calls beside must be answered meanwhile: between long ones that held up the loop there were one or two."""


@dataclass(frozen=True)
class Long:
    """A long call: a JSON object that is mostly one list or object, whose members are written by their number."""

    method: str
    begins: str
    member: Callable[[int], str]
    ends: str
    members: int

    @property
    def body(self) -> bytes:
        """The message, packed."""
        members = ",".join(self.member(number) for number in range(self.members))
        return gzip.compress(f"{self.begins}{members}{self.ends}".encode(), 6)


def _event(_: int) -> str:
    return '{"attributes": {' + ",".join(f'"a{number}":{{"intValue":1}}' for number in range(23)) + "}}"


EVENTS, OUTCOMES = "tact.v1.ContextService/RecordEvents", "tact.v1.OutcomeService/RecordOutcomes"
BATCH, CONTEXT = '{"events": [', '{"customerId": "c-1", "channel": "web", "placements": ["greeting"], "context": {'
LONG = {
    "events with attributes": Long(EVENTS, BATCH, _event, "]}", 1_000),
    "an event with attributes": Long(
        EVENTS, '{"events": [{"attributes": {', lambda number: f'"{number:x}":{{}}', "}}]}", 45_000
    ),
    "context": Long(DECIDE, CONTEXT, lambda number: f'"{number:x}":{{}}', "}}", 13_000),
}
FAR_TOO_MUCH = {
    "events": Long(EVENTS, BATCH, lambda _: "{}", "]}", 170_000),
    "outcomes": Long(OUTCOMES, '{"outcomes": [', lambda _: "{}", "]}", 170_000),
    "texts": Long(DECIDE, '{"placements": [', lambda _: '""', "]}", 43_000),
}


async def _beside(port: Port, long: Long) -> tuple[float, int, str]:
    """Send a long call some times at once; return the seconds of all, how many calls were answered beside, one after
    the other, and how the long ones ended.
    """
    body = long.body

    async def sent() -> str:
        return (await port.call(long.method, body, content_encoding="gzip")).ended[0]

    async with port.wire() as wire:
        await _answered(wire)
        began_s, answered = time.perf_counter(), 0
        every = asyncio.gather(*(sent() for _ in range(AT_ONCE)))
        while not every.done():
            await _answered(wire)
            answered += 1
        return time.perf_counter() - began_s, answered, (await every)[0]


async def _answered(wire: Wire) -> None:
    await wire.send(request(DECIDE, BODY))
    assert (await wire.answer()).status == 200


@pytest.mark.parametrize("long", LONG.values(), ids=LONG)
async def test_long_json_lets_others_be_answered(tmp_path: Path, long: Long) -> None:
    """As much as a message may hold is read beside the loop: many are answered before the long ones are."""
    async with opened(tmp_path, guarded=False) as port:
        took_s, answered, _ = await _beside(port, long)
    print(f"\n{AT_ONCE} of them took {1000 * took_s:.0f} ms, {answered} calls were answered beside")
    assert answered >= BESIDE


@pytest.mark.parametrize("long", FAR_TOO_MUCH.values(), ids=FAR_TOO_MUCH)
async def test_more_than_fits_is_refused_before_it_is_read(tmp_path: Path, long: Long) -> None:
    """A few hundred bytes that unpack into as many values as fit take no second of anybody."""
    async with opened(tmp_path, guarded=False) as port:
        took_s, answered, ended = await _beside(port, long)
    print(f"\n{AT_ONCE} of them took {1000 * took_s:.0f} ms, {answered} calls were answered beside")
    assert ended == "invalid_argument"
    assert took_s < 1.0


def test_values_are_counted_at_any_depth() -> None:
    """As many as protobuf could hold pass, one more does not; commas in texts are none; entries count by both names."""
    most = MAX_REQUEST_BYTES // 2
    for inside in ("[%s]", '{"a": {"b": [%s]}}', "[[[%s]]]"):
        deep = inside.count("[") + inside.count("{") - 1
        check_values((inside % ",".join(["1"] * (most - deep))).encode(), MAX_REQUEST_BYTES)
        with pytest.raises(InvalidArgument, match="more than"):
            check_values((inside % ",".join(["1"] * (most - deep + 1))).encode(), MAX_REQUEST_BYTES)
    check_values(b'["' + b"," * 500_000 + b'"]', MAX_REQUEST_BYTES)
    for name in ("customer_ids", "customerIds"):
        body = f'{{"{name}": [{",".join(["1"] * (FEW + 100))}]}}'.encode()
        with pytest.raises(InvalidArgument, match="entries"):
            check_values(body, MAX_BATCH_BYTES, ("customer_ids", "customerIds"))


async def test_bodies_have_room_for_so_many_bytes(tmp_path: Path) -> None:
    """Where bodies under way fill the room the next is told to come again; what has ended gives its room back."""
    async with opened(tmp_path, guarded=False, patience=Patience(most_bytes=100_000)) as port, port.wire() as wire:
        await wire.send(request(DECIDE, b" " * 99_000).replace(b"99000", b"99999", 1))
        await asyncio.sleep(0.2)
        said = await port.call(DECIDE, BODY + b" " * 2_000)
        assert (said.status, said.ended[0]) == (429, "resource_exhausted")
        assert "grpc-retry-pushback-ms" in " ".join(said.headers)
        assert (await port.call(DECIDE, BODY)).status == 200
        wire.close()
        await asyncio.sleep(0.2)
        assert (await port.call(DECIDE, BODY + b" " * 2_000)).status == 200


def test_room_is_given_back() -> None:
    """Also where what it was taken for fails."""
    room = Room(10)
    for _ in range(3):
        with pytest.raises(Overloaded), room.taken(8), room.taken(3):
            pytest.fail("there was room for 11 of 10")
    with room.taken(10):
        pass
