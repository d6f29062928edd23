"""DecisionService: what is the right next thing to say to one customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from service.rpc.checks import violation_messages
from service.rpc.convert_decision import MAX_KEY_BYTES, answer_of, request_of
from service.rpc.convert_validity import validity_answer, validity_question
from service.rpc.edge import Current
from service.rpc.refusals import Refusal
from service.rpc.undecodable import text_in
from service.rpc.wrapper import Raws, TimeLeft, parsed, refusal_unless_cancelled
from tact.v1 import decision_pb2 as pb

MAX_REQUEST_BYTES = 65_536
MAX_IN_WORK = 64


class Decisions:
    """Answers the calls of DecisionService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def decide(self, request: pb.DecideRequest, deadline_s: float) -> pb.DecideResponse:
        """Decide for one customer."""
        edge = self._current.edge
        wanted = request_of(request, edge)
        decision = await edge.decider.decide(wanted, deadline_s)
        return answer_of(decision, wanted.request_id, edge.strategy.schema)

    async def validate_decision(
        self, request: pb.ValidateDecisionRequest, deadline_s: float
    ) -> pb.ValidateDecisionResponse:
        """Say whether what was decided may still be said."""
        edge = self._current.edge
        as_of_ms = validity_question(request, edge)
        return validity_answer(await edge.validator.validate(request.decision_id, as_of_ms, deadline_s))

    async def decide_stream(self, raws: Raws, left: TimeLeft) -> AsyncGenerator[pb.DecideResponse, None]:
        """Decide for many customers, at most 64 at once; answers come as they are ready."""
        conversation = Conversation(self, raws, left)
        try:
            while (answer := await conversation.next_answer()) is not None:
                yield answer
                conversation.answered()
        finally:
            await conversation.leave()

    async def answer_item(self, raw: bytes, left: TimeLeft) -> pb.DecideResponse:
        """Answer one request of a stream, whatever happens."""
        try:
            return await self.decide(parsed(pb.DecideRequest, raw, MAX_REQUEST_BYTES), left())
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - one bad item must not end the others
            return _error_answer(raw, refusal_unless_cancelled(error))


class Conversation:
    """One stream: a reader that starts a task for each request, and the queue of answers that are ready.

    A request takes one of 64 places until its answer is written, so a caller who does not read is not read either.
    """

    def __init__(self, decisions: Decisions, raws: Raws, left: TimeLeft) -> None:
        self._decisions = decisions
        self._left = left
        self._places = asyncio.Semaphore(MAX_IN_WORK)
        self._ready: asyncio.Queue[pb.DecideResponse | None] = asyncio.Queue()
        self._in_work: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read(raws))

    async def next_answer(self) -> pb.DecideResponse | None:
        """Return the next answer that is ready; None when all requests are answered. Raises what ended the reading."""
        answer = await self._ready.get()
        if answer is None:
            await self._reader
        return answer

    def answered(self) -> None:
        """Give the place of a written answer to the next request."""
        self._places.release()

    async def leave(self) -> None:
        """Stop reading, cancel what is in work, and wait until all of it has ended."""
        tasks = [self._reader, *self._in_work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, raws: Raws) -> None:
        try:
            await self._places.acquire()
            async for raw in raws:
                task = asyncio.create_task(self._answer(raw))
                self._in_work.add(task)
                task.add_done_callback(self._in_work.discard)
                await self._places.acquire()
            await asyncio.gather(*self._in_work)
        finally:
            self._ready.put_nowait(None)

    async def _answer(self, raw: bytes) -> None:
        self._ready.put_nowait(await self._decisions.answer_item(raw, self._left))


def _error_answer(raw: bytes, refusal: Refusal) -> pb.DecideResponse:
    bad = violation_messages(refusal.violations)
    wrong = pb.RequestError(code=refusal.number, message=refusal.message, violations=bad)
    return pb.DecideResponse(request_id=_request_id(raw), error=wrong)


def _request_id(raw: bytes) -> str:
    """Return the request's own id, so that the caller can match the error; empty where it cannot be told."""
    if len(raw) > MAX_REQUEST_BYTES:
        return ""
    request_id = text_in(pb.DecideRequest, raw, "request_id")
    return request_id if len(request_id.encode()) <= MAX_KEY_BYTES else ""
