"""A whole service in this process, and watches of it that a test reads message by message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from service.app import Running, start
from service.config import Settings, StorePlace
from tact.v1 import decision_pb2 as pb
from tact.v1 import decision_pb2_grpc

KEY = b"a key of thirty-two bytes or more, for tests"
SOON_S = 10.0


@dataclass
class Told:
    """What one watch is told, read as it comes."""

    call: Any
    messages: list[pb.WatchResponse] = field(default_factory=list)

    async def next(self, *kinds: pb.WatchKind.ValueType) -> pb.WatchResponse:
        """Return the next message of one of these kinds, heartbeats left out where none is named."""
        async with asyncio.timeout(SOON_S):
            while True:
                message: pb.WatchResponse = await anext(aiter(self.call))
                self.messages.append(message)
                if message.kind in kinds or (not kinds and message.kind != pb.WATCH_KIND_HEARTBEAT):
                    return message

    async def end(self) -> grpc.StatusCode:
        """Leave, or see how the service ended it."""
        self.call.cancel()
        code: grpc.StatusCode = await self.call.code()
        return code


@asynccontextmanager
async def service(folder: Path, strategy: Path, **settings: Any) -> AsyncIterator[Running]:  # noqa: ANN401
    """Run a service of a strategy on a store of its own."""
    place = StorePlace.parse(f"embedded:{folder / 'store'}")
    running = await start(
        Settings(place, strategy, port=0, reload=False, store_wait_s=5.0, erasure_key=KEY, **settings)
    )
    try:
        yield running
    finally:
        await running.stop(0.0)


@asynccontextmanager
async def channel_to(running: Running, options: Sequence[tuple[str, int]] = ()) -> AsyncIterator[Any]:
    """Yield a channel to it."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.port}", options=options) as channel:
        yield channel


def watch(
    channel: Any,  # noqa: ANN401 - tests send what they like
    customer: str,
    where: str = "web",
    *placements: str,
    context: dict[str, Any] | None = None,
    explain: bool = False,
    **how: Any,  # noqa: ANN401 - the fields of the request
) -> Told:
    """Begin to watch a customer."""
    asked = pb.DecideRequest(
        customer_id=customer, channel=where, placements=placements or ("hero",), context=context, explain=explain
    )
    return Told(decision_pb2_grpc.DecisionServiceStub(channel).Watch(pb.WatchRequest(question=asked, **how)))


def said(message: pb.WatchResponse) -> list[str]:
    """Return what an answer says at each placement, empty for nothing."""
    return [placed.greeting.action_id or placed.offer.action_id for placed in message.answer.answers]


def codes(message: pb.WatchResponse) -> list[int]:
    """Return the codes of the reasons for what is withdrawn."""
    return [why.code for gone in message.withdrawn for why in gone.reasons]
