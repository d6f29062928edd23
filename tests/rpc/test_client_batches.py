"""A run over streams that end as they like: what is not answered is sent again, and each answer is to its question."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import grpc
import pytest
from grpc.aio import Metadata

from service.rpc.calling import CallFailed
from service.rpc.client_batches import BATCH_BYTES, IN_A_BATCH, Patience, Run, batches
from tact.v1 import decision_pb2 as pb

WANTED = 5 * IN_A_BATCH
THRICE = Patience(attempts=3, first_pause_s=0.001)


@dataclass(slots=True)
class Stream:
    """A stream that answers so many batches and then ends: with a status that is no good, or well."""

    answers: int
    code: grpc.StatusCode | None = None
    backwards: bool = False
    _sent: asyncio.Queue[pb.DecideBatchesRequest | None] = field(default_factory=asyncio.Queue)

    async def write(self, batch: pb.DecideBatchesRequest) -> None:
        """Take a batch."""
        await self._sent.put(batch)

    async def done_writing(self) -> None:
        """Take no more."""
        await self._sent.put(None)

    def cancel(self) -> None:
        """Leave."""

    async def __aiter__(self) -> AsyncIterator[pb.DecideBatchesResponse]:
        for _ in range(self.answers):
            batch = await self._sent.get()
            if batch is None:
                return
            requests = list(batch.requests)[:: -1 if self.backwards else 1]
            yield pb.DecideBatchesResponse(answers=[pb.DecideResponse(request_id=one.request_id) for one in requests])
        if self.code is not None:
            raise grpc.aio.AioRpcError(self.code, Metadata(), Metadata())


def request(number: int, size: int = 0) -> pb.DecideRequest:
    """Return a request with its number as id."""
    return pb.DecideRequest(request_id=str(number), customer_id="c" * size)


async def run_over(streams: Sequence[Stream]) -> list[str]:
    """Return the ids of the answers over one stream after another."""

    async def requests() -> AsyncIterator[pb.DecideRequest]:
        for number in range(WANTED):
            yield request(number)

    left = deque(streams)
    return [answer.request_id async for answer in Run(left.popleft, THRICE).answers(requests())]


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
async def test_only_streams_without_any_answer_are_counted(code: grpc.StatusCode | None) -> None:
    """Of three attempts: streams that break, or end too early, after some answers do not use them up, however many."""
    ids = await run_over([*(Stream(1, code) for _ in range(4)), Stream(0, code), Stream(WANTED)])
    assert ids == [str(number) for number in range(WANTED)]
    with pytest.raises(CallFailed, match="UNAVAILABLE" if code is None else code.name):
        await run_over([Stream(1, code), Stream(0, code), Stream(0, code), Stream(WANTED)])


async def test_a_refusal_is_final() -> None:
    """What would be refused again is not sent again."""
    with pytest.raises(CallFailed, match="RESOURCE_EXHAUSTED"):
        await run_over([Stream(1, grpc.StatusCode.RESOURCE_EXHAUSTED)])  # another stream there is not


async def test_an_answer_to_another_question_ends_the_run() -> None:
    """Nobody is told what was decided for somebody else."""
    with pytest.raises(CallFailed, match="DATA_LOSS"):
        await run_over([Stream(WANTED, backwards=True)])


def test_batches_are_bounded_in_number_and_bytes() -> None:
    """All requests in order; no batch has too many or too large ones, unless it is a single one, and none is empty."""
    sizes = [0] * 120 + [60_000] * 40 + [BATCH_BYTES + 1, 0, 0, BATCH_BYTES - 20]
    sent = [request(number, size) for number, size in enumerate(sizes)]
    cut = list(batches(sent))
    assert [one for batch in cut for one in batch.requests] == sent
    assert all(1 <= len(batch.requests) <= IN_A_BATCH for batch in cut)
    assert all(len(batch.requests) == 1 or batch.ByteSize() <= BATCH_BYTES + 4 * IN_A_BATCH for batch in cut)
