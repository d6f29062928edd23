"""What is to be said to one customer, and each change of it: a stream that goes on where it broke."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any

import grpc

from tact.client._errors import CallFailed
from tact.client._messages import new_id
from tact.v1 import decision_pb2 as pb

RESUMED = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"})
"""How a stream ends that broke; a refusal is final. Who is not known any more has another token then."""
BROKEN, PAUSE_S = 8, 0.05
"""How often a stream may break with no message between, and how long to pause first; pauses double."""
BEATS_MISSED = 3.0
"""After how many heartbeats without a message a stream counts as broken."""
DEAD = "No heartbeat came in time."


@dataclass(slots=True)
class Watched:
    """Where a watch has got to."""

    asked: pb.WatchRequest
    broken: int = 0

    @classmethod
    def of(cls, question: pb.DecideRequest, cursor: str, heartbeat_s: float, *, every_cause: bool) -> Watched:
        """Begin a watch, or go on with one; it is named, so that what it begins with is decided once."""
        asked = pb.WatchRequest(
            question=question, cursor=cursor, heartbeat_ms=round(1000 * heartbeat_s), every_cause=every_cause
        )
        if not asked.question.idempotency_key:
            asked.question.idempotency_key = new_id()
        return cls(asked)

    @property
    def dead_s(self) -> float:
        """After how many seconds without a message the stream counts as broken."""
        return BEATS_MISSED * self.asked.heartbeat_ms / 1000

    def takes(self, message: pb.WatchResponse) -> bool:
        """Go on after a message from now on; tell whether it is for the caller: heartbeats are not."""
        self.asked.cursor, self.broken = message.cursor, 0
        return bool(message.kind != pb.WATCH_KIND_HEARTBEAT)

    def pause_after(self, error: CallFailed) -> float:
        """Return how many seconds to wait before the next stream; raise what is final."""
        self.broken += 1
        if error.code.name not in RESUMED or self.broken >= BROKEN:
            raise error
        return max(PAUSE_S * 2.0 ** (self.broken - 1), error.pushback_s or 0.0)


def told(dial: Callable[[pb.WatchRequest], Any], watched: Watched) -> Generator[pb.WatchResponse, None, None]:
    """Yield what is told until the service ends the watch for good; raise `CallFailed`."""
    while True:
        call = dial(watched.asked)
        try:
            yield from filter(watched.takes, call)
        except CallFailed as error:
            time.sleep(watched.pause_after(error))
        else:
            return
        finally:
            call.cancel()


async def async_told(
    dial: Callable[[pb.WatchRequest], Any], watched: Watched
) -> AsyncGenerator[pb.WatchResponse, None]:
    """Do the same on a loop. There a stream that falls silent counts as broken."""
    while True:
        call = dial(watched.asked)
        try:
            while (message := await _next(call, watched.dead_s)) is not None:
                if watched.takes(message):
                    yield message
        except CallFailed as error:
            await asyncio.sleep(watched.pause_after(error))
        else:
            return
        finally:
            call.cancel()


async def _next(call: Any, dead_s: float) -> pb.WatchResponse | None:  # noqa: ANN401 - gRPC's calls share no type
    try:
        async with asyncio.timeout(dead_s):
            message: pb.WatchResponse | None = await anext(call, None)
            return message
    except TimeoutError:
        raise CallFailed(grpc.StatusCode.UNAVAILABLE, DEAD) from None
