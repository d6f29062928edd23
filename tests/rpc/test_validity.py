"""Whether what was decided may still be said, through gRPC."""

from __future__ import annotations

from dataclasses import dataclass, field

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from service.core.decision import Reason, ReasonCode
from service.core.validity import Standing, Validity
from service.errors import StoreError
from service.rpc.client import CallFailed, TactClient
from service.rpc.edge import Limits
from service.rpc.plain import plain
from tact.v1.decision_pb2 import ValidateDecisionRequest
from tact.v1.decision_pb2_grpc import DecisionServiceStub
from tests.rpc.world import NOW_MS, calling, edge_of, serving

DECISION = "0ab" + "2" * 23
WITHDRAWN = Reason(ReasonCode.NO_CONTACT_PERMISSION, "Not on this channel.")
RULE = Reason(ReasonCode.GUARDRAIL, "Helped, not sold to.", "ticket", ("past.open_tickets",))


@dataclass(slots=True)
class Judging:
    """A validator that remembers what it was asked and answers as it is told."""

    placements: tuple[Standing, ...] = ()
    error: Exception | None = None
    asked: list[tuple[str, int | None]] = field(default_factory=list)

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> Validity:
        """Answer as told."""
        self.asked.append((decision_id, as_of_ms))
        assert 0 < deadline_s <= 10.1, "gRPC rounds a deadline up on its way"
        if self.error is not None:
            raise self.error
        return Validity(self.placements, NOW_MS - 60_000, NOW_MS, "small@1", "m@1")


async def test_each_placement_is_answered_with_everything_that_forbids_it() -> None:
    """Valid is only what all placements allow; the answer says what it was judged by, and when it was decided."""
    judging = Judging(
        (Standing("body", "offer", (WITHDRAWN, RULE)), Standing("footer", "hello", ()), Standing("x", "", ()))
    )
    async with serving(edge_of(validator=judging)) as target, TactClient(target) as tact:
        answer = await tact.validate_decision(DECISION)
    assert judging.asked == [(DECISION, None)]
    assert answer == {
        "valid": False,
        "placements": [
            {
                "placement": "body",
                "action_id": "offer",
                "valid": False,
                "reasons": [
                    {"code": "no_contact_permission", "sentence": "Not on this channel.", "rule_id": "", "fields": []},
                    {
                        "code": "guardrail", "sentence": "Helped, not sold to.", "rule_id": "ticket",
                        "fields": ["past.open_tickets"],
                    },
                ],
            },
            {"placement": "footer", "action_id": "hello", "valid": True, "reasons": []},
            {"placement": "x", "action_id": "", "valid": True, "reasons": []},
        ],
        "versions": {"strategy": "small@1", "model": "m@1"},
        "decided_at": "2027-01-15T07:59:00Z",
        "judged_at": "2027-01-15T08:00:00Z",
    }  # fmt: skip


async def test_what_nothing_forbids_is_valid() -> None:
    """A decision of which every part may be said is valid, also at a moment that the caller chooses where allowed."""
    judging = Judging((Standing("body", "offer", ()),))
    async with calling(edge_of(validator=judging, limits=Limits(allow_as_of=True))) as channel:
        asked = ValidateDecisionRequest(decision_id=DECISION, as_of=Timestamp(seconds=NOW_MS // 1000))
        answer = await DecisionServiceStub(channel).ValidateDecision(asked)
    assert plain(answer)["valid"] is True
    assert judging.asked == [(DECISION, NOW_MS)]


async def test_an_unknown_decision_is_told_by_name() -> None:
    """A decision that nobody made, or that is gone, ends with NOT_FOUND, and the words say which field is meant."""
    async with calling(edge_of()) as channel:
        with pytest.raises(grpc.aio.AioRpcError, match="no decision of this decision_id") as caught:
            await DecisionServiceStub(channel).ValidateDecision(ValidateDecisionRequest(decision_id=DECISION))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_store_that_fails_is_told() -> None:
    """When the store cannot be read the call is UNAVAILABLE, after our client has repeated it: nothing may be said."""
    judging = Judging(error=StoreError("mary.jones@example.com"))
    async with serving(edge_of(validator=judging)) as target, TactClient(target) as tact:
        with pytest.raises(CallFailed) as caught:
            await tact.validate_decision(DECISION)
    assert caught.value.code == "UNAVAILABLE"
    assert "mary" not in str(caught.value)
    assert len(judging.asked) == 4
