"""Who does not read what is told is dropped and told so, and burdens nobody else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.app import Running
from service.rpc import methods
from service.rpc.client import Event, TactClient
from tact.v1 import decision_pb2 as pb
from tests.live.watch.at_hand import Told, channel_to, service, watch
from tests.strategies import write_strategy

TAKEN_S = 0.5
NARROW = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536))
MOST_CHANGES = 200
"""Changes that are told and not read: far more than connections hold back of one stream."""


async def test_a_slow_reader_is_told_and_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One watch does not read while many things happen. It ends as RESOURCE_EXHAUSTED with what to do, which it hears
    when it reads at last; another watch of the same customer hears each change all the while. By its cursor the slow
    one goes on.
    """
    monkeypatch.setattr(methods, "_TAKEN_S", {"Watch": TAKEN_S})
    async with (
        service(tmp_path, write_strategy(tmp_path / "s")) as running,
        channel_to(running) as channel,
        channel_to(running, NARROW) as apart,
        TactClient(running.address, schema=running.strategy.schema) as tact,
    ):
        await tact.set_consent("anna", "full")
        slow = watch(apart, "anna", "desk", "greeting", "offer", explain=True, every_cause=True)
        await slow.next()
        quick = watch(channel, "anna", "desk", "greeting", "offer", explain=True, every_cause=True)
        await quick.next()
        reading = asyncio.create_task(_read(quick))
        for number in range(MOST_CHANGES):
            await _ticket(tact, f"t{number // 2}", "closed" if number % 2 else "opened")
            await asyncio.sleep(0.05)
            if running_watches(running) == 1:
                break
        code, heard = await _read_at_last(slow)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "resume with the last cursor" in str(await slow.call.details())
        assert number < MOST_CHANGES - 1
        await _ticket(tact, "last", "opened")
        await asyncio.sleep(1.0)
        reading.cancel()
        assert "last-opened" in {cause.id for message in quick.messages for cause in message.causes}
        again = watch(apart, "anna", "desk", "greeting", "offer", explain=True, every_cause=True, cursor=heard.cursor)
        gone_on = await again.next()
        assert "last-opened" in {cause.id for cause in gone_on.causes}


def running_watches(running: Running) -> int:
    """Return how many watches the service has."""
    decisions: Any = running._server._implementations["tact.v1.DecisionService"]
    return int(decisions._watches._room.taken)


async def _read(told: Told) -> None:
    async for message in told.call:
        told.messages.append(message)


async def _read_at_last(told: Told) -> tuple[grpc.StatusCode, pb.WatchResponse]:
    async with asyncio.timeout(10.0):
        try:
            await _read(told)
        except grpc.aio.AioRpcError as error:
            return error.code(), told.messages[-1]
    raise AssertionError("the watch ended well")


async def _ticket(tact: TactClient, ticket: str, kind: str) -> None:
    told = Event(f"{ticket}-{kind}", "anna", f"ticket.{kind}", time.time_ns() // 1_000_000, {"ticket": ticket})
    assert (await tact.record_events([told]))["results"][0]["status"] == "stored"
