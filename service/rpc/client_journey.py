"""The parts of our own client that find customers, tell their journeys, and show how a strategy works."""

from __future__ import annotations

import grpc

from service.rpc.calling import Answer, answer_to
from service.rpc.plain import Moment, moment_message
from tact.v1 import insight_pb2, insight_pb2_grpc, journey_pb2, journey_pb2_grpc


class JourneyClient:
    """Finds customers and tells their journeys: `client.journeys`."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._journeys = journey_pb2_grpc.JourneyServiceStub(channel)
        self._timeout_s = timeout_s

    async def search(self, query: str, limit: int = 0) -> Answer:
        """Find customers by an id, or by how one begins."""
        asked = journey_pb2.SearchCustomersRequest(query=query, limit=limit)
        return await answer_to(self._journeys.SearchCustomers(asked, timeout=self._timeout_s))

    async def of(self, customer_id: str, limit: int = 0, page_token: str = "") -> Answer:
        """Tell a page of the journey of one person, the newest first."""
        asked = journey_pb2.GetJourneyRequest(customer_id=customer_id, limit=limit, page_token=page_token)
        return await answer_to(self._journeys.GetJourney(asked, timeout=self._timeout_s))


class InsightClient:
    """Shows the strategy in force and how it works: `client.insight`."""

    def __init__(self, channel: grpc.aio.Channel, timeout_s: float) -> None:
        self._insight = insight_pb2_grpc.InsightServiceStub(channel)
        self._timeout_s = timeout_s

    async def strategy(self) -> Answer:
        """Tell the strategy in force in its own words."""
        return await answer_to(self._insight.GetStrategy(insight_pb2.GetStrategyRequest(), timeout=self._timeout_s))

    async def now(self, since: Moment | None = None, step_minutes: int = 0) -> Answer:
        """Tell how it worked since a moment, unset for a day ago, in steps of so many minutes."""
        asked = insight_pb2.GetInsightRequest(step_minutes=step_minutes)
        if since is not None:
            asked.since.CopyFrom(moment_message(since))
        return await answer_to(self._insight.GetInsight(asked, timeout=self._timeout_s))
