"""PredictionService: what models say, and whom they are to be asked about again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

from service.core.predictions import Change, PredictionToStore
from service.errors import InvalidArgument
from service.rpc import convert_prediction as convert
from service.rpc.batches import FEW_IN_FLIGHT, a_turn, side_by_side
from service.rpc.checks import check_batch
from service.rpc.edge import Current, Edge
from service.rpc.wrapper import TimeToEnd
from tact.v1 import prediction_pb2 as pb

LOOK_EVERY_S = 1.0
"""How long it is looked for changes again after none were found, so about how old a change is when it is given out."""

LOOK_AT_LOANS_EVERY_S = 0.05
"""How often it is looked whether a job has finished enough to be lent more."""

Good: TypeAlias = tuple[int, PredictionToStore]


class Predictions:
    """Answers the calls of PredictionService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def record_predictions(
        self, request: pb.RecordPredictionsRequest, deadline_s: float
    ) -> pb.RecordPredictionsResponse:
        """Store a batch of predictions, each answered for itself."""
        check_batch("predictions", len(request.predictions))
        self._current.count(len(request.predictions))
        edge, ends_s = self._current.edge, time.monotonic() + deadline_s
        async with self._current.batches.place(deadline_s):
            results, good = await _sorted_out(request, edge)

            async def store(one: Good) -> None:
                position, prediction = one
                fate = await edge.stores.predictions.record(prediction, max(0.0, ends_s - time.monotonic()))
                results[position].CopyFrom(convert.result_of(prediction.customer, fate))

            await side_by_side(store, good, FEW_IN_FLIGHT)
        return pb.RecordPredictionsResponse(results=results)

    async def watch_changes(
        self, request: pb.WatchChangesRequest, left: TimeToEnd
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Lend out customers of whom something changed, as they change, and as what was lent comes back."""
        most, lease_s = convert.lending_of(request)
        lent = _Lent(self._current, most, lease_s)
        while self._goes_on(left):
            found, edge = False, self._current.edge  # the one in force by now, so that no stream keeps an earlier one
            async for changes in edge.stores.changes.lend(most, lease_s, edge.limits.batch_s):
                found = True
                lent.add(changes)
                yield convert.changes_message(changes)
                while await lent.enough():
                    await asyncio.sleep(LOOK_AT_LOANS_EVERY_S)
                    if not self._goes_on(left):
                        return
            if not found:
                if request.until_none:
                    return
                await asyncio.sleep(LOOK_EVERY_S)

    def _goes_on(self, left: TimeToEnd) -> bool:
        return not self._current.draining and ((seconds := left()) is None or seconds > 0)

    async def finish_changes(self, request: pb.FinishChangesRequest, deadline_s: float) -> pb.FinishChangesResponse:
        """Take changes back that have been worked on."""
        changes = convert.changes_of(request)
        finished = await self._current.edge.stores.changes.finish(changes, deadline_s)
        return pb.FinishChangesResponse(finished=finished)


class _Lent:
    """What one stream has lent out, so that no more waits for the job than it can work on in time.

    gRPC takes answers long before a job reads them: lent ahead, they would be lent again before anybody saw them.
    """

    def __init__(self, current: Current, most: int, lease_s: float) -> None:
        self._current = current
        self._most = most
        self._lease_s = lease_s
        self._ends: dict[Change, float] = {}

    def add(self, changes: Sequence[Change]) -> None:
        """Count what was lent just now."""
        self._ends.update(dict.fromkeys(changes, time.monotonic() + self._lease_s))

    async def enough(self) -> bool:
        """Tell whether more than one whole answer is lent, neither finished nor over its time."""
        now = time.monotonic()
        held: Sequence[Change] = [change for change, ends in self._ends.items() if ends > now]
        if len(held) > self._most:
            edge = self._current.edge
            held = await edge.stores.changes.held(held, edge.limits.batch_s)
        self._ends = {change: self._ends[change] for change in held}
        return len(held) > self._most


async def _sorted_out(request: pb.RecordPredictionsRequest, edge: Edge) -> tuple[list[pb.PredictionResult], list[Good]]:
    """Return a result for each prediction, refused or still open, and the good ones with their positions."""
    now_ms = edge.clock()
    results: list[pb.PredictionResult] = []
    good: list[Good] = []
    for position, prediction in enumerate(request.predictions):
        await a_turn(position)
        try:
            good.append((position, convert.prediction_of(prediction, edge, now_ms)))
            results.append(pb.PredictionResult(customer_id=prediction.customer_id))
        except InvalidArgument as refused:
            results.append(convert.refused_result(prediction.customer_id, refused.violations))
    return results, good
