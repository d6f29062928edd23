"""The questions of a run in batches: what is not answered when a stream breaks is sent again on a new one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from typing import Any

import grpc

from tact.client._errors import CallFailed
from tact.client._messages import new_id, run_key
from tact.v1 import decision_pb2 as pb

IN_A_BATCH = 50
BATCH_BYTES = 1_048_576
ON_THE_WAY = 200
"""Questions that are sent and not answered yet."""
RESUMED = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "UNAUTHENTICATED"})
"""How a stream ends that broke; a deadline or a refusal is final. Who is not known any more has another token then."""
SHED, SHED_TIMES = 8, 5
"""The code of a question that the service has no room for now, and how often it is asked again; then that is final."""
BROKEN, PAUSE_S = 6, 0.1
"""How often a stream may break with no answer between, and how long to pause first; pauses double."""


class NoRoom(CallFailed):
    """A question was refused because the service is busy; its stream goes on."""


@dataclass(slots=True)
class Unanswered:
    """What was sent and is not answered, in order; `run` names the run that the keys come from, if any."""

    run: str
    asked: deque[pb.DecideRequest]
    ended: bool = False
    broken: int = 0
    shed: int = 0

    def keyed(self, question: pb.DecideRequest) -> pb.DecideRequest:
        """Return a question with the key under which it is decided once; raise ValueError where a run needs an id."""
        if question.idempotency_key:
            return question
        if self.run and not question.request_id:
            raise ValueError("a question of a run needs a request_id: by it the run is resumed")
        keyed = pb.DecideRequest()
        keyed.CopyFrom(question)
        keyed.idempotency_key = run_key(self.run, question.request_id) if self.run else new_id()
        return keyed

    def sends(self, questions: Iterable[pb.DecideRequest]) -> Iterator[pb.DecideBatchesRequest]:
        """Take questions as sent and return them as messages."""
        keyed = [self.keyed(question) for question in questions]
        self.asked += keyed
        return batches(keyed)

    @property
    def room(self) -> bool:
        """Whether there may be more on the way."""
        return not self.ended and len(self.asked) + IN_A_BATCH <= ON_THE_WAY

    def takes_off(self, answer: pb.DecideResponse) -> pb.DecideResponse:
        """Return an answer, which is to the first question; raise `CallFailed` where it is not.

        Where the service had no room for the question raise `NoRoom`: it and what comes after it, in their order and
        under their keys, are asked again.
        """
        self.broken = 0
        if answer.error.code == SHED and self.asked and self.shed < SHED_TIMES:
            self.shed += 1
            raise NoRoom(grpc.StatusCode.RESOURCE_EXHAUSTED, answer.error.message)
        self.shed = 0
        asked = self.asked.popleft().request_id if self.asked else None
        if asked is not None and not answer.request_id and answer.HasField("error"):
            answer.request_id = asked  # of what is too long to be read the service does not know it
        if asked != answer.request_id:
            raise CallFailed(grpc.StatusCode.DATA_LOSS, "An answer is not to the question whose turn it is.")
        return answer

    def pause_after(self, error: CallFailed) -> float:
        """Return how many seconds to wait before the next stream; raise what is final."""
        if isinstance(error, NoRoom):
            return PAUSE_S * 2.0 ** (self.shed - 1)
        self.broken += 1
        if error.code.name not in RESUMED or self.broken >= BROKEN:
            raise error
        return max(PAUSE_S * 2.0 ** (self.broken - 1), error.pushback_s or 0.0)


ENDED_EARLY = "The stream ended before all was answered."


def answers(
    dial: Callable[[Iterator[pb.DecideBatchesRequest]], Any], questions: Iterable[pb.DecideRequest], run: str
) -> Iterator[pb.DecideResponse]:
    """Yield the answer to each question, in order; raise `CallFailed`, or what the questions raise."""
    left, source = Unanswered(run, deque()), iter(questions)
    while True:
        try:
            yield from _over_one_stream(dial, left, source)
        except CallFailed as error:
            time.sleep(left.pause_after(error))
        else:
            return


def _over_one_stream(
    dial: Callable[[Iterator[pb.DecideBatchesRequest]], Any], left: Unanswered, source: Iterator[pb.DecideRequest]
) -> Iterator[pb.DecideResponse]:
    outgoing: SimpleQueue[pb.DecideBatchesRequest | None] = SimpleQueue()
    call = dial(iter(outgoing.get, None))
    try:
        for batch in batches(left.asked):
            outgoing.put(batch)
        while True:
            while left.room:
                taken = list(islice(source, IN_A_BATCH))
                left.ended = len(taken) < IN_A_BATCH
                for batch in left.sends(taken):
                    outgoing.put(batch)
            if not left.asked:
                return
            message = next(call, None)
            if message is None:
                raise CallFailed(grpc.StatusCode.UNAVAILABLE, ENDED_EARLY)
            for answer in message.answers:
                yield left.takes_off(answer)
    finally:
        outgoing.put(None)
        call.cancel()


async def async_answers(
    dial: Callable[[AsyncIterator[pb.DecideBatchesRequest]], Any],
    questions: Iterable[pb.DecideRequest] | AsyncIterable[pb.DecideRequest],
    run: str,
) -> AsyncIterator[pb.DecideResponse]:
    """Do the same on a loop."""
    left, source = Unanswered(run, deque()), each(questions)
    while True:
        try:
            async for answer in _over_one_async_stream(dial, left, source):
                yield answer
        except CallFailed as error:
            await asyncio.sleep(left.pause_after(error))
        else:
            return


async def _over_one_async_stream(
    dial: Callable[[AsyncIterator[pb.DecideBatchesRequest]], Any],
    left: Unanswered,
    source: AsyncIterator[pb.DecideRequest],
) -> AsyncIterator[pb.DecideResponse]:
    outgoing: asyncio.Queue[pb.DecideBatchesRequest | None] = asyncio.Queue()
    call = dial(_until_none(outgoing))
    try:
        for batch in batches(left.asked):
            outgoing.put_nowait(batch)
        while True:
            while left.room:
                taken = await _some(source)
                left.ended = len(taken) < IN_A_BATCH
                for batch in left.sends(taken):
                    outgoing.put_nowait(batch)
            if not left.asked:
                return
            message = await anext(call, None)
            if message is None:
                raise CallFailed(grpc.StatusCode.UNAVAILABLE, ENDED_EARLY)
            for answer in message.answers:
                yield left.takes_off(answer)
    finally:
        outgoing.put_nowait(None)
        call.cancel()


def batches(questions: Iterable[pb.DecideRequest]) -> Iterator[pb.DecideBatchesRequest]:
    """Yield questions as messages of at most `IN_A_BATCH` and about `BATCH_BYTES`."""
    batch, size = pb.DecideBatchesRequest(), 0
    for question in questions:
        if batch.requests and (len(batch.requests) == IN_A_BATCH or size + question.ByteSize() > BATCH_BYTES):
            yield batch
            batch, size = pb.DecideBatchesRequest(), 0
        batch.requests.append(question)
        size += question.ByteSize()
    if batch.requests:
        yield batch


async def each(
    questions: Iterable[pb.DecideRequest] | AsyncIterable[pb.DecideRequest],
) -> AsyncIterator[pb.DecideRequest]:
    """Yield questions, however they come."""
    if isinstance(questions, AsyncIterable):
        async for question in questions:
            yield question
    else:
        for question in questions:
            yield question


async def _some(source: AsyncIterator[pb.DecideRequest]) -> list[pb.DecideRequest]:
    taken: list[pb.DecideRequest] = []
    async for question in source:
        taken.append(question)
        if len(taken) == IN_A_BATCH:
            break
    return taken


async def _until_none(
    outgoing: asyncio.Queue[pb.DecideBatchesRequest | None],
) -> AsyncIterator[pb.DecideBatchesRequest]:
    while (batch := await outgoing.get()) is not None:
        yield batch
