"""Questions about decisions that were made to core values, and what was judged to an answer."""

from __future__ import annotations

from service.core.validity import Validity
from service.rpc import checks
from service.rpc.edge import Edge
from service.rpc.reasons import add_reasons
from tact.v1 import decision_pb2 as pb


def validity_question(request: pb.ValidateDecisionRequest, edge: Edge) -> int | None:
    """Check the question, and return the moment (ms) to judge as of if it names one."""
    found = checks.Findings()
    checks.check_decision_id(found, request.decision_id)
    as_of = checks.check_as_of(found, request.as_of, edge.limits.allow_as_of) if request.HasField("as_of") else None
    found.end()
    return as_of


def validity_answer(validity: Validity) -> pb.ValidateDecisionResponse:
    """Return what was judged as the contract writes it."""
    answer = pb.ValidateDecisionResponse(
        valid=not any(standing.reasons for standing in validity.placements),
        decided_at=checks.timestamp(validity.decided_ms),
        judged_at=checks.timestamp(validity.judged_ms),
    )
    answer.versions.strategy, answer.versions.model = validity.strategy, validity.model
    for standing in validity.placements:
        placement = answer.placements.add(
            placement=standing.placement, action_id=standing.action, valid=not standing.reasons
        )
        add_reasons(placement.reasons, standing.reasons)
    return answer
