"""InsightService: the strategy in force in its own words, and how it works."""

from __future__ import annotations

import time

from service.core.explained import Depth
from service.rpc import convert_insight as convert
from service.rpc.access.gate import at_hand
from service.rpc.convert_strategy import strategy_answer, without_conditions
from service.rpc.edge import Current
from tact.v1 import insight_pb2 as pb


class Insights:
    """Answers the calls of InsightService."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._told: pb.GetStrategyResponse | None = None

    async def get_strategy(self, request: pb.GetStrategyRequest, deadline_s: float) -> pb.GetStrategyResponse:
        """Tell the strategy in force in its own words."""
        edge = self._current.edge
        _, model, challenger = edge.insights.stamp
        told = self._told
        if told is None or (told.version, told.model, told.challenger) != (edge.strategy.version, model, challenger):
            told = self._told = strategy_answer(edge.strategy, model, challenger)
        deep = self._current.access is None or at_hand().depth is Depth.AUDITOR
        return told if deep else without_conditions(told)

    async def get_insight(self, request: pb.GetInsightRequest, deadline_s: float) -> pb.GetInsightResponse:
        """Tell how the strategy worked in a window of time."""
        edge = self._current.edge
        since_ms, step_ms = convert.question(request, edge.clock())
        ends_s = time.monotonic() + deadline_s
        async with self._current.insights.place(deadline_s):
            left_s = max(0.0, ends_s - time.monotonic())
            insight = await edge.insights.insight(since_ms, step_ms, left_s)
        return convert.Answer(edge.strategy, edge.insights.stamp, insight).message()
