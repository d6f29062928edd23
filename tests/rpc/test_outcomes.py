"""Outcomes through gRPC: each is answered for itself, in order."""

from __future__ import annotations

from collections import Counter

from google.protobuf.timestamp_pb2 import Timestamp

from service.core.records import OutcomeRecord, OutcomeStatus
from tact.v1 import outcome_pb2 as pb
from tact.v1.outcome_pb2_grpc import OutcomeServiceStub
from tests.rpc.messages import outcome
from tests.rpc.world import NOW_MS, Alone, Untouched, calling, edge_of, store_at


class Book(Untouched):
    """A store that answers each outcome of a decision with another status."""

    def __init__(self) -> None:
        self.records: list[OutcomeRecord] = []
        self._seen: Counter[str] = Counter()

    async def record_outcome(  # type: ignore[override]  # this one answers
        self, outcome: OutcomeRecord, deadline_s: float
    ) -> OutcomeStatus:
        """Remember it."""
        self.records.append(outcome)
        self._seen[outcome.decision_id] += 1
        return list(OutcomeStatus)[self._seen[outcome.decision_id] - 1]


async def test_each_outcome_is_answered_in_its_place() -> None:
    """Statuses come in the order of the batch, and the outcomes of one decision are recorded in their order."""
    book, first, second = Book(), "0ab" + "2" * 23, "1cd" + "3" * 23
    sent = [
        outcome(decision_id=first),
        outcome(decision_id=second, amount=4.5, occurred_at=Timestamp(seconds=NOW_MS // 1000)),
        outcome(decision_id=first, action_id=""),
        outcome(decision_id=first, kind=pb.OUTCOME_KIND_NEVER),
        outcome(decision_id=first),
        outcome(decision_id=first),
    ]
    async with calling(edge_of(stores=Alone(book))) as channel:
        answer = await OutcomeServiceStub(channel).RecordOutcomes(pb.RecordOutcomesRequest(outcomes=sent))
    assert [result.status for result in answer.results] == [
        pb.OUTCOME_STATUS_STORED,
        pb.OUTCOME_STATUS_STORED,
        pb.OUTCOME_STATUS_REFUSED,
        pb.OUTCOME_STATUS_REPEATED,
        pb.OUTCOME_STATUS_UNKNOWN_DECISION,
        pb.OUTCOME_STATUS_CONFLICT,
    ]
    accepted, never = pb.OUTCOME_KIND_ACCEPTED, pb.OUTCOME_KIND_NEVER
    assert [record for record in book.records if record.decision_id == first][:2] == [
        OutcomeRecord(first, "fibre-upgrade", accepted, None, 0.0),
        OutcomeRecord(first, "fibre-upgrade", never, None, 0.0),
    ]
    assert OutcomeRecord(second, "fibre-upgrade", accepted, NOW_MS, 4.5) in book.records


async def test_an_outcome_of_nothing(clean_store_url: str) -> None:
    """An outcome of a decision that was never made is answered as such."""
    async with store_at(clean_store_url) as store, calling(edge_of(stores=store)) as channel:
        sent = pb.RecordOutcomesRequest(outcomes=[outcome()])
        (result,) = (await OutcomeServiceStub(channel).RecordOutcomes(sent)).results
    assert result.status == pb.OUTCOME_STATUS_UNKNOWN_DECISION
