"""How many batches are at work, who waits, and who is told to come again."""

from __future__ import annotations

import asyncio

import pytest

from service.errors import DeadlineExpired, Overloaded
from service.rpc.admission.bulkhead import Bulkhead
from service.rpc.batches import AT_A_STRETCH, a_turn
from service.rpc.contexts import Contexts
from service.rpc.edge import Current
from service.rpc.event_batches import EventBatch
from service.rpc.insights import Insights
from service.rpc.outcomes import Outcomes
from service.rpc.predictions import Predictions
from tact.v1 import context_pb2, insight_pb2, outcome_pb2, prediction_pb2
from tests.rpc.world import edge_of


class Work:
    """Batches that are at work until they are let go, in the order in which they began."""

    def __init__(self, bulkhead: Bulkhead) -> None:
        self._bulkhead = bulkhead
        self.began: list[int] = []
        self.go_on = [asyncio.Event() for _ in range(9)]

    def begin(self, number: int, *, streamed: bool = False, deadline_s: float = 60.0) -> asyncio.Task[None]:
        """Begin one."""

        async def work() -> None:
            async with self._bulkhead.place(deadline_s, streamed=streamed):
                self.began.append(number)
                await self.go_on[number].wait()

        return asyncio.create_task(work())


async def settled() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_more_are_at_work_where_nothing_is_decided() -> None:
    """Without decisions more work at once; when decisions begin, no other one begins before there are few."""
    deciding = [False]
    work = Work(Bulkhead(at_once=1, deciding=lambda: deciding[0], alone=3))
    tasks = [work.begin(number) for number in range(5)]
    await settled()
    assert work.began == [0, 1, 2]
    deciding[0] = True
    for number, begun in ((0, 3), (1, 3), (2, 4)):
        work.go_on[number].set()
        await settled()
        assert len(work.began) == begun
    deciding[0] = False
    for event in work.go_on:
        event.set()
    await asyncio.gather(*tasks)


async def test_first_come_first_served() -> None:
    """So many are at work and no more; those that wait come in order, and what waits in a stream is not bounded."""
    work = Work(Bulkhead(at_once=2, most_waiting=2))
    tasks = [work.begin(number) for number in range(4)] + [work.begin(4, streamed=True)]
    await settled()
    assert work.began == [0, 1]
    with pytest.raises(Overloaded) as refused:
        await work.begin(5)
    assert refused.value.wait_s > 0
    for number in (1, 0, 2, 3, 4):
        work.go_on[number].set()
        await settled()
    assert work.began == [0, 1, 2, 3, 4]
    await asyncio.gather(*tasks)


async def test_who_leaves_or_is_late_holds_no_place() -> None:
    """The deadline ends the waiting, and a place that was given to whoever left goes to the next."""
    bulkhead = Bulkhead(at_once=1, most_waiting=9)
    work, first = Work(bulkhead), bulkhead.place(60.0)
    await first.__aenter__()
    with pytest.raises(DeadlineExpired):
        await work.begin(1, deadline_s=0.01)
    leaves, stays = work.begin(2), work.begin(3)
    await settled()
    await first.__aexit__(None, None, None)
    leaves.cancel()  # in the same turn in which it gets the place
    await settled()
    assert work.began == [3]
    work.go_on[3].set()
    await asyncio.gather(leaves, stays, return_exceptions=True)
    again = work.begin(4)
    await settled()
    assert 4 in work.began
    work.go_on[4].set()
    await again


async def test_every_batch_asks_for_a_place() -> None:
    """Events, outcomes and predictions are refused before anything is stored while too many are at work."""
    current = Current(edge_of(), batches=Bulkhead(at_once=1, most_waiting=0))
    event, outcome, prediction = context_pb2.Event(), outcome_pb2.Outcome(), prediction_pb2.Prediction()
    async with current.batches.place(1.0):
        with pytest.raises(Overloaded):
            await Contexts(current).record_events(EventBatch([event]), 1.0)
        with pytest.raises(Overloaded):
            await Outcomes(current).record_outcomes(outcome_pb2.RecordOutcomesRequest(outcomes=[outcome]), 1.0)
        asked = prediction_pb2.RecordPredictionsRequest(predictions=[prediction])
        with pytest.raises(Overloaded):
            await Predictions(current).record_predictions(asked, 1.0)
    assert (await Contexts(current).record_events(EventBatch([event]), 1.0)).results[0].violations


async def test_others_have_their_turn() -> None:
    """Whoever sorts out a batch lets the event loop turn after each stretch of it."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    for position in range(10 * AT_A_STRETCH):
        await a_turn(position)
    other.cancel()
    assert turns == 10


async def test_insight_has_places_of_its_own() -> None:
    """Whoever searches a customer does not wait for who counts, nor the other way round; and who counts is bounded."""
    current = Current(edge_of(), batches=Bulkhead(at_once=1, most_waiting=0))
    asked = insight_pb2.GetInsightRequest()
    async with current.batches.place(1.0):
        await Insights(current).get_insight(asked, 1.0)
    async with current.insights.place(1.0), current.insights.place(1.0):
        async with current.batches.place(0.1):
            pass
        with pytest.raises(DeadlineExpired):
            await Insights(current).get_insight(asked, 0.05)
