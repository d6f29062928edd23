"""Questions of one run, in batches over a stream; what is not answered when it breaks is sent again on a new one.

Sent again under the same idempotency key it is decided once. The key comes from the name of the run and the request
id: so a process that starts the same run again is answered what had been decided, too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import grpc

from service.rpc.calling import CallFailed
from service.rpc.questions import Ask
from tact.v1 import decision_pb2 as pb

IN_A_BATCH = 50
BATCH_BYTES = 1_048_576
UNANSWERED = 400
"""Questions that are taken from the caller and not answered: what the service takes, and as much on the way."""
RESUMED = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN"})
"""How a stream ends that broke, as gRPC tells it; a deadline or a refusal is final."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a stream may break with no answer between, and how long to wait before the next one, doubling."""

    attempts: int = 6
    first_pause_s: float = 0.1


PATIENT = Patience()


def keyed(ask: Ask, run: str) -> Ask:
    """Return a question with the key that makes it safe to repeat within its run; one that has a key keeps it.

    Raises ValueError for a question without a request id.
    """
    if ask.idempotency_key:
        return ask
    if not ask.request_id:
        raise ValueError("a question of a run needs a request_id: by it the run is resumed")
    digest = blake2b(f"{run}\0{ask.request_id}".encode(), digest_size=16).hexdigest()
    return replace(ask, idempotency_key=digest)


class Run:
    """One run of questions over as many streams as it takes; `dial` opens one."""

    def __init__(self, dial: Callable[[], Any], patience: Patience) -> None:
        self._dial = dial
        self._patience = patience
        self._room = asyncio.Semaphore(UNANSWERED)
        self._fresh: asyncio.Queue[pb.DecideRequest | None] = asyncio.Queue()
        self._unanswered: deque[pb.DecideRequest] = deque()
        self._all_sent = False

    async def answers(self, requests: AsyncIterator[pb.DecideRequest]) -> AsyncGenerator[pb.DecideResponse, None]:
        """Yield the answer to each request, in order; raise `CallFailed`, or what the requests raise."""
        filler, broken = asyncio.create_task(self._fill(requests)), 0
        try:
            while True:
                try:
                    async with aclosing(self._over_one_stream()) as answers:
                        async for answer in answers:
                            broken = 0
                            yield answer
                    break
                except CallFailed as error:
                    broken += 1
                    if error.code not in RESUMED or broken == self._patience.attempts:
                        raise
                    await asyncio.sleep(self._patience.first_pause_s * 2 ** (broken - 1))
            await filler
        finally:
            filler.cancel()
            await asyncio.wait((filler,))

    async def _fill(self, requests: AsyncIterator[pb.DecideRequest]) -> None:
        try:
            async for request in requests:
                await self._room.acquire()
                self._fresh.put_nowait(request)
        finally:
            self._fresh.put_nowait(None)

    async def _over_one_stream(self) -> AsyncGenerator[pb.DecideResponse, None]:
        call = self._dial()
        sender = asyncio.create_task(self._send(call))
        try:
            async for message in call:
                for answer in message.answers:
                    self._take_off(answer)
                    yield answer
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()
            sender.cancel()
            await asyncio.wait((sender,))
        if self._unanswered or not self._all_sent:
            raise CallFailed("UNAVAILABLE", "The stream ended before all was answered.", ())

    def _take_off(self, answer: pb.DecideResponse) -> None:
        asked = self._unanswered.popleft().request_id if self._unanswered else None
        if asked is not None and not answer.request_id and answer.HasField("error"):
            answer.request_id = asked  # of what is too long to be read the service does not know it
        if asked != answer.request_id:
            raise CallFailed("DATA_LOSS", "An answer is not to the question whose turn it is.", ())
        self._room.release()

    async def _send(self, call: Any) -> None:  # noqa: ANN401 - gRPC's calls share no type
        """Send what is not answered yet, then what is new. A stream that breaks is told by its reader."""
        try:
            for batch in batches(self._unanswered.copy()):
                await call.write(batch)
            while not self._all_sent:
                for batch in batches(await self._next()):
                    await call.write(batch)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def _next(self) -> list[pb.DecideRequest]:
        """Wait for a request and return it with those that are there already; they count as sent from now on."""
        taken = [await self._fresh.get()]
        while len(taken) < IN_A_BATCH and not self._fresh.empty():
            taken.append(self._fresh.get_nowait())
        new = [request for request in taken if request is not None]
        self._all_sent = len(new) < len(taken)
        self._unanswered += new
        return new


def batches(requests: Iterable[pb.DecideRequest]) -> Iterable[pb.DecideBatchesRequest]:
    """Yield requests as messages of many, each of at most `IN_A_BATCH` and about `BATCH_BYTES`."""
    batch, size = pb.DecideBatchesRequest(), 0
    for request in requests:
        if batch.requests and (len(batch.requests) == IN_A_BATCH or size + request.ByteSize() > BATCH_BYTES):
            yield batch
            batch, size = pb.DecideBatchesRequest(), 0
        batch.requests.append(request)
        size += request.ByteSize()
    if batch.requests:
        yield batch


async def each(asks: Iterable[Ask] | AsyncIterable[Ask], run: str) -> AsyncIterator[Ask]:
    """Yield questions with their keys."""
    if isinstance(asks, AsyncIterable):
        async for ask in asks:
            yield keyed(ask, run)
    else:
        for ask in asks:
            yield keyed(ask, run)
