"""DecisionService: what is the right next thing to say to one customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from service.core.counterfactual import NoSuchGoal
from service.core.decision import Decision, Request
from service.core.explained import Depth
from service.errors import Undecodable
from service.rpc import explanations
from service.rpc.access.gate import at_hand
from service.rpc.access.owning import check_own
from service.rpc.checks import violation_messages
from service.rpc.conversation import Conversation
from service.rpc.convert_decision import MAX_KEY_BYTES
from service.rpc.convert_validity import validity_answer, validity_question
from service.rpc.decision_batches import batches_of, requests_in
from service.rpc.edge import Current, Edge
from service.rpc.refusals import Refusal, code_of
from service.rpc.undecodable import text_in
from service.rpc.watches import Watches
from service.rpc.wrapper import MAX_REQUEST_BYTES, Raws, TimeLeft, TimeToEnd, refusal_unless_cancelled
from service.telemetry.timeline import now_ns
from tact.v1 import decision_pb2 as pb

MAX_IN_WORK = 64
READ_ON_BELOW = 128
"""Requests of batches that are not answered: of two, so that the store works for the one and we for the other."""


class Decisions:
    """Answers the calls of DecisionService."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._watches = Watches(current)

    async def decide(self, raw: bytes, deadline_s: float, *, in_stream: TimeLeft | None = None) -> bytes:
        """Decide for one customer, from a DecideRequest to a DecideResponse, both as bytes.

        An item of a stream waits for its turn, and has the time that the stream then leaves it.
        """
        edge, watch, admission = self._current.edge, self._current.watch, self._current.admission
        line = watch.begin()
        try:
            wanted = edge.requests.read(raw)
            if (access := self._current.access) is not None:
                access.check(wanted.customer, wanted.channel)
            kind = admission.classes.of(wanted.channel, streamed=in_stream is not None)
            if waits := not admission.take(kind):
                if in_stream is None:
                    deadline_s = await admission.wait(kind, deadline_s, wanted.channel)
                else:
                    await admission.wait_in_turn(kind, wanted.channel)
            began_s = admission.clock()
            try:
                if waits and in_stream is not None:
                    deadline_s = in_stream()
                line.channel, line.admitted = wanted.channel, now_ns()
                decision = await edge.decider.decide(wanted, deadline_s, line)
            finally:
                admission.give_back(kind, began_s)
            line.answered = now_ns()
            told = self._told(edge, decision, wanted) if wanted.explain or access is not None else decision
            answer = edge.answers.of(told, wanted.request_id)
        except Undecodable:  # by a stranger at the port, perhaps: no request for a decision, and not counted as one
            raise
        except BaseException as error:
            watch.refused(line, code_of(error))
            raise
        watch.answered(line, decision)
        return answer

    async def validate_decision(
        self, request: pb.ValidateDecisionRequest, deadline_s: float
    ) -> pb.ValidateDecisionResponse:
        """Say whether what was decided may still be said."""
        edge = self._current.edge
        as_of_ms = validity_question(request, edge)
        await check_own(self._current, edge, request.decision_id, deadline_s)
        validity = await edge.validator.validate(request.decision_id, as_of_ms, deadline_s)
        if self._current.access is not None:
            validity = edge.depths.validity(validity, at_hand().depth)
        return validity_answer(validity)

    async def explain_decision(
        self, request: pb.ExplainDecisionRequest, deadline_s: float
    ) -> pb.ExplainDecisionResponse:
        """Explain a decision that was made, as deep as the caller may see."""
        edge, may = self._current.edge, self._may_see()
        wanted, depth = explanations.question(request, may)
        await check_own(self._current, edge, request.decision_id, deadline_s)
        try:
            told = await edge.explaining.explain(wanted, deadline_s)
        except NoSuchGoal as wrong:
            raise explanations.bad_goal(wrong) from None
        return explanations.answer(told, depth)

    def _told(self, edge: Edge, decision: Decision, wanted: Request) -> Decision:
        """Return a decision as whoever calls may be told it."""
        return edge.depths.decision(decision, self._may_see(), Depth(wanted.depth) if wanted.depth else None)

    def _may_see(self) -> Depth:
        return Depth.AUDITOR if self._current.access is None else at_hand().depth

    def watch(self, request: pb.WatchRequest, left: TimeToEnd) -> AsyncGenerator[pb.WatchResponse, None]:
        """Tell what is to be said to one customer, and again each time that it changes."""
        return self._watches.watch(request, left)

    async def decide_stream(self, raws: Raws, left: TimeLeft) -> AsyncGenerator[bytes, None]:
        """Decide for many customers, at most 64 at once; answers come in the order of the requests."""
        ending = self._current.ending
        conversation = Conversation(raws, lambda raw: (self.answer_item(raw, left),), MAX_IN_WORK, ending)
        async with aclosing(conversation.answers()) as answered:
            async for (answer,) in answered:
                yield answer

    async def decide_batches(self, raws: Raws, left: TimeLeft) -> AsyncGenerator[bytes, None]:
        """Decide for batches of customers, read on below 128 requests; answers come in the order of the requests."""
        ending = self._current.ending
        conversation = Conversation(
            raws, lambda raw: [self.answer_item(item, left) for item in requests_in(raw)], READ_ON_BELOW, ending
        )
        async with aclosing(conversation.answers()) as answered:
            async for answers in answered:
                for message in batches_of(answers):
                    yield message

    async def answer_item(self, raw: bytes, left: TimeLeft) -> bytes:
        """Answer one request of a stream, whatever happens."""
        try:
            if self._current.access is not None:
                self._current.access.check_item()
            return await self.decide(raw, left(), in_stream=left)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - one bad item must not end the others
            return _error_answer(raw, refusal_unless_cancelled(error)).SerializeToString()


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
