"""What is due of itself: a stream of moments that is opened again where it broke.

What was not acknowledged comes again by itself, so there is no place to go on from.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import Any

from tact.client._errors import CallFailed
from tact.client._watching import BROKEN, PAUSE_S, RESUMED
from tact.v1 import trigger_pb2 as pb

OPENED_AGAIN_S = 0.1
"""How long to pause after a stream that the service ended, as it does when it ends itself."""


def subscription(channel: str, most: int, lease_s: int, *, until_none: bool) -> pb.SubscribeRequest:
    """Return what a consumer of a channel asks."""
    return pb.SubscribeRequest(channel=channel, most=most, lease_seconds=lease_s, until_none=until_none)


def acknowledgement(channel: str, moments: Iterable[pb.DueMoment], result: str) -> pb.AcknowledgeRequest:
    """Return what became of moments: said, failed or refused."""
    kind = pb.MomentResult.Value(f"MOMENT_RESULT_{result.upper()}")
    told = [pb.Acknowledgement(name=one.name, loan=one.loan, result=kind) for one in moments]
    return pb.AcknowledgeRequest(channel=channel, acknowledgements=told)


class _Breaks:
    """How often a stream broke with no moment between."""

    def __init__(self) -> None:
        self._broken = 0

    def received(self, answer: pb.SubscribeResponse) -> pb.DueMoment:
        """Return the moment of an answer, with which all is well again."""
        self._broken = 0
        return answer.moment

    def pause_after(self, error: CallFailed) -> float:
        """Return how many seconds to wait before the next stream; raise what is final."""
        self._broken += 1
        if error.code.name not in RESUMED or self._broken >= BROKEN:
            raise error
        return max(PAUSE_S * 2.0 ** (self._broken - 1), error.pushback_s or 0.0)


def due(dial: Callable[[pb.SubscribeRequest], Any], asked: pb.SubscribeRequest) -> Generator[pb.DueMoment, None, None]:
    """Yield moments until nothing more is due where that ends it; raise `CallFailed`."""
    breaks = _Breaks()
    while True:
        call, pause_s = dial(asked), OPENED_AGAIN_S
        try:
            yield from map(breaks.received, call)
        except CallFailed as error:
            pause_s = breaks.pause_after(error)
        else:
            if asked.until_none:
                return
        finally:
            call.cancel()
        time.sleep(pause_s)


async def async_due(
    dial: Callable[[pb.SubscribeRequest], Any], asked: pb.SubscribeRequest
) -> AsyncGenerator[pb.DueMoment, None]:
    """Do the same on a loop."""
    breaks = _Breaks()
    while True:
        call, pause_s = dial(asked), OPENED_AGAIN_S
        try:
            async for answer in call:
                yield breaks.received(answer)
        except CallFailed as error:
            pause_s = breaks.pause_after(error)
        else:
            if asked.until_none:
                return
        finally:
            call.cancel()
        await asyncio.sleep(pause_s)
