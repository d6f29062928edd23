"""SupplyService: what there is, and what is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeAlias

from service.core.supplies import SupplyReport
from service.errors import InvalidArgument
from service.rpc import convert_supply as convert
from service.rpc.batches import side_by_side
from service.rpc.checks import check_batch
from service.rpc.edge import Current, Edge
from service.rpc.wrapper import TimeToEnd
from tact.v1 import supply_pb2 as pb

LOOK_EVERY_S = 0.5
"""How long it is waited after nothing new was wanted."""

Good: TypeAlias = dict[tuple[str, str], list[tuple[int, SupplyReport]]]


class Supplies:
    """Answers the calls of SupplyService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def report_supply(self, request: pb.ReportSupplyRequest, deadline_s: float) -> pb.ReportSupplyResponse:
        """Put a batch of reports in force, those of one item and place in order, each answered for itself."""
        check_batch("reports", len(request.reports))
        self._current.count(len(request.reports))
        edge = self._current.edge
        results, good = _sorted_out(request, edge)

        async def store(shelf: tuple[str, str]) -> None:
            for position, report in good[shelf]:
                fate = await edge.stores.supply.report(report, deadline_s)
                results[position].CopyFrom(convert.result_of(fate))

        await side_by_side(store, good)
        return pb.ReportSupplyResponse(results=results)

    async def watch_demand(
        self, request: pb.WatchDemandRequest, left: TimeToEnd
    ) -> AsyncGenerator[pb.WatchDemandResponse, None]:
        """Tell what is wanted from the cursor on, as it is counted."""
        edge, items = self._current.edge, frozenset(request.items)
        convert.check_watch(request, edge.clock())
        cursor, gap = request.cursor, False
        while not self._current.draining and ((seconds := left()) is None or seconds > 0):
            edge = self._current.edge  # the one in force by now, so that no stream keeps an earlier one
            told = await edge.stores.demand.told(cursor, edge.limits.batch_s)
            for one in told:
                cursor, gap = one.cursor, gap or one.gap
                message = convert.demand_message(one, items, gap=gap)
                if message is not None:
                    gap = False
                    yield message
            if not told:
                if request.until_none:
                    return
                await asyncio.sleep(LOOK_EVERY_S)


def _sorted_out(request: pb.ReportSupplyRequest, edge: Edge) -> tuple[list[pb.SupplyResult], Good]:
    """Return a result for each report, refused or still open, and the good ones with their positions."""
    now_ms = edge.clock()
    results: list[pb.SupplyResult] = []
    good: Good = {}
    for position, report in enumerate(request.reports):
        results.append(pb.SupplyResult())
        try:
            one = convert.report_of(report, now_ms)
            good.setdefault((one.item, one.place), []).append((position, one))
        except InvalidArgument as refused:
            results[position] = convert.refused_report(refused.violations)
    return results, good
