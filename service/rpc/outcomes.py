"""OutcomeService: what came of decisions."""

from __future__ import annotations

import time

from service.core.records import OutcomeRecord, OutcomeStatus
from service.errors import InvalidArgument, UnknownDecision
from service.rpc.access.owning import check_own
from service.rpc.batches import FEW_IN_FLIGHT, a_turn, side_by_side
from service.rpc.checks import check_batch
from service.rpc.convert_outcome import outcome_of, outcome_result, refused_outcome
from service.rpc.edge import Current, Edge
from tact.v1 import outcome_pb2 as pb


class Outcomes:
    """Answers the calls of OutcomeService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def record_outcomes(self, request: pb.RecordOutcomesRequest, deadline_s: float) -> pb.RecordOutcomesResponse:
        """Record a batch of outcomes, each answered for itself."""
        check_batch("outcomes", len(request.outcomes))
        self._current.count(len(request.outcomes))
        ends_s = time.monotonic() + deadline_s
        async with self._current.batches.place(deadline_s):
            results = await _recorded(request, self._current, max(0.0, ends_s - time.monotonic()))
        return pb.RecordOutcomesResponse(results=results)


async def _recorded(request: pb.RecordOutcomesRequest, current: Current, deadline_s: float) -> list[pb.OutcomeResult]:
    """Record the good outcomes, those of one decision in order, and tell the fate of each in the order of the batch.

    Another customer's decision is unknown to who calls for one alone.
    """
    edge = current.edge
    results, good = await _sorted_out(request, edge)

    async def record(decision_id: str) -> None:
        try:
            await check_own(current, edge, decision_id, deadline_s)
        except UnknownDecision:
            for position, _ in good[decision_id]:
                results[position] = outcome_result(OutcomeStatus.UNKNOWN_DECISION)
            return
        for position, outcome in good[decision_id]:
            results[position] = outcome_result(await edge.stores.outcomes.record_outcome(outcome, deadline_s))

    await side_by_side(record, good, FEW_IN_FLIGHT)
    return results


async def _sorted_out(
    request: pb.RecordOutcomesRequest, edge: Edge
) -> tuple[list[pb.OutcomeResult], dict[str, list[tuple[int, OutcomeRecord]]]]:
    now_ms = edge.clock()
    results: list[pb.OutcomeResult] = []
    good: dict[str, list[tuple[int, OutcomeRecord]]] = {}
    for position, outcome in enumerate(request.outcomes):
        await a_turn(position)
        results.append(pb.OutcomeResult())
        try:
            record = outcome_of(outcome, now_ms)
            good.setdefault(record.decision_id, []).append((position, record))
        except InvalidArgument as refused:
            results[position] = refused_outcome(refused.violations)
    return results, good
