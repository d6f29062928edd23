"""The part of our own client that says what is due."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import grpc

from service.rpc.calling import Answer, CallFailed, answer_to
from service.rpc.plain import plain
from tact.v1 import trigger_pb2 as pb
from tact.v1 import trigger_pb2_grpc


class TriggerClient:
    """Receives moments of triggers and acknowledges them; looks after those that nobody could finish."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._triggers = trigger_pb2_grpc.TriggerServiceStub(channel)
        self._timeout_s = timeout_s

    async def due(
        self, channel: str, most: int = 0, lease_s: int = 0, *, until_none: bool = False
    ) -> AsyncIterator[dict[str, Any]]:
        """Yield moments of a channel as they become due, `most` (0: 100) at a time for `lease_s` seconds (0: 60)."""
        asked = pb.SubscribeRequest(channel=channel, most=most, lease_seconds=lease_s, until_none=until_none)
        call = self._triggers.Subscribe(asked)
        try:
            async for answer in call:
                yield plain(answer)["moment"]
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()

    async def acknowledge(self, channel: str, moments: Iterable[Mapping[str, Any]], result: str = "said") -> Answer:
        """Say of 1 to 1,000 moments, as they were received, that they were said, or that it failed or was refused."""
        kind = pb.MomentResult.Value(f"MOMENT_RESULT_{result.upper()}")
        told = [pb.Acknowledgement(name=name_of(one), loan=one["loan"], result=kind) for one in moments]
        asked = pb.AcknowledgeRequest(channel=channel, acknowledgements=told)
        return await answer_to(self._triggers.Acknowledge(asked, timeout=self._timeout_s))

    async def dead(self, channel: str, most: int = 0, *, customer: str = "") -> Answer:
        """Return moments that were given out again and again and that nobody acknowledged; of one id where named."""
        asked = pb.ListDeadMomentsRequest(channel=channel, most=most, customer_id=customer)
        return await answer_to(self._triggers.ListDeadMoments(asked, timeout=self._timeout_s))

    async def release(self, channel: str, moments: Iterable[Mapping[str, Any]], *, give_up: bool = False) -> Answer:
        """Let dead moments be due again, or give them up; return how many there were."""
        named = [name_of(one) for one in moments]
        asked = pb.ReleaseDeadMomentsRequest(channel=channel, moments=named, give_up=give_up)
        return await answer_to(self._triggers.ReleaseDeadMoments(asked, timeout=self._timeout_s))


def name_of(moment: Mapping[str, Any]) -> pb.MomentName:
    """Return the name of a moment as it was received."""
    name = moment["name"]
    return pb.MomentName(customer_id=name["customer_id"], trigger_id=name["trigger_id"], key=name["key"])
