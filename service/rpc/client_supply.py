"""The part of the client that reports supply and listens to demand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from service.rpc.plain import Moment, moment_message, plain
from tact.v1 import supply_pb2, supply_pb2_grpc


@dataclass(frozen=True, slots=True)
class Report:
    """So many units of an item were available at a place at `observed_at`, and are until `expires_at`."""

    item: str
    place: str
    available: int
    observed_at: Moment
    expires_at: Moment


class SupplyCalls:
    """Calls SupplyService over a channel; errors are gRPC's."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._supply = supply_pb2_grpc.SupplyServiceStub(channel)

    def report(self, reports: Iterable[Report], timeout_s: float) -> Any:  # noqa: ANN401 - a call of gRPC
        """Send 1 to 1,000 reports."""
        messages = [
            supply_pb2.SupplyReport(
                item=report.item,
                place=report.place,
                available=report.available,
                observed_at=moment_message(report.observed_at),
                expires_at=moment_message(report.expires_at),
            )
            for report in reports
        ]
        return self._supply.ReportSupply(supply_pb2.ReportSupplyRequest(reports=messages), timeout=timeout_s)

    async def watch(self, cursor: str, items: Sequence[str], until_none: bool) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what is wanted after a cursor, until there is no more or for as long as somebody listens."""
        asked = supply_pb2.WatchDemandRequest(cursor=cursor, items=items, until_none=until_none)
        call = self._supply.WatchDemand(asked)
        try:
            async for message in call:
                yield plain(message)
        finally:
            call.cancel()
