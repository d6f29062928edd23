"""A caller who sends without end and takes no answer costs a process that serves a few megabytes, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from tact.v1 import decision_pb2 as pb
from tact.v1.decision_pb2_grpc import DecisionServiceStub
from tests.cli.commands import DEMO, Process

MOST_SENT = 3_000_000
MOST_GROWN = 60_000_000
STANDS_STILL_S = 2.0


PADDING = b"\xfa\x01\x80\x40" + b"x" * 8_192  # a field that nobody knows, so that windows are soon full


def explained(number: int) -> pb.DecideRequest:
    """Return a question with a long answer."""
    return pb.DecideRequest(customer_id=f"c-{number}", channel="web", placements=["hero"], explain=True)


def single(number: int) -> bytes:
    """Return one message of `DecideStream`."""
    return explained(number).SerializeToString() + PADDING


def batch(number: int) -> bytes:
    """Return one message of `DecideBatches`."""
    requests = [pb.DecideRequest.FromString(single(60 * number + place)) for place in range(60)]
    return pb.DecideBatchesRequest(requests=requests).SerializeToString()


@pytest.mark.parametrize(("method", "message"), [("DecideStream", single), ("DecideBatches", batch)])
async def test_a_caller_who_does_not_read_takes_little_memory(
    tmp_path: Path, method: str, message: Callable[[int], bytes]
) -> None:
    """Its sending comes to stand still, as often as it tries: after 3 MB each; three at once stay below 60 MB.

    What is held are the windows of gRPC, and requests and long answers of what is in work.
    """
    store = f"embedded:{tmp_path / 'store'}"  # which store it is makes no difference here
    words = ("serve", "--strategy", DEMO, "--store", store, "--port", "0", "--store-wait", "5", "--json")
    with Process(*words) as process:
        target = process.serving().target
        server = psutil.Process(process.pid)
        async with grpc.aio.insecure_channel(target) as channel:
            tact = DecisionServiceStub(channel)
            for number in range(20):
                await tact.Decide(explained(number))
            before = server.memory_info().rss
            raw: Any = channel  # so that bytes can be sent
            streams = [raw.stream_stream(f"/tact.v1.DecisionService/{method}")() for _ in range(3)]
            sent = await asyncio.gather(*(until_it_stands_still(stream, message) for stream in streams))
            grown = server.memory_info().rss - before
            assert (await tact.Decide(explained(1), timeout=5.0)).decision_id
            assert len(await streams[0].read()) > 500
            for stream in streams:
                stream.cancel()
    assert min(sent) > 0
    assert max(sent) * len(message(0)) < MOST_SENT
    assert grown < MOST_GROWN


async def until_it_stands_still(stream: Any, message: Callable[[int], bytes]) -> int:  # noqa: ANN401 - gRPC's own
    """Send until a message has not been taken for two seconds; return how many were."""
    for number in count():
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(stream.write(message(number)))), STANDS_STILL_S)
        except TimeoutError:
            return number
    raise AssertionError
