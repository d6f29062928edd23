"""Outcomes of the contract to records of the store, and what became of them back."""

from __future__ import annotations

import math

from service.core.records import OutcomeRecord, OutcomeStatus
from service.errors import Violation
from service.rpc import checks
from tact.v1 import outcome_pb2 as pb

MAX_ACTION_BYTES = 128
_VIOLATIONS_AN_OUTCOME = 4
_KINDS = {number: name.removeprefix("OUTCOME_KIND_").lower() for name, number in pb.OutcomeKind.items() if number}


def outcome_of(outcome: pb.Outcome, now_ms: int) -> OutcomeRecord:
    """Check an outcome and return it as the store keeps it; raise `InvalidArgument` with every bad field."""
    found = checks.Findings(_VIOLATIONS_AN_OUTCOME)
    checks.check_decision_id(found, outcome.decision_id)
    checks.check_id(found, "action_id", outcome.action_id, MAX_ACTION_BYTES)
    if outcome.kind not in _KINDS:
        found.add("kind", f"is not set or unknown; it must be one of: {', '.join(_KINDS.values())}.")
    if not math.isfinite(outcome.amount):
        found.add("amount", "is not finite; NaN and infinities are refused.")
    at_ms = None
    if outcome.HasField("occurred_at"):
        at_ms = checks.check_past(found, "occurred_at", outcome.occurred_at, now_ms)
    found.end()
    return OutcomeRecord(outcome.decision_id, outcome.action_id, outcome.kind, at_ms, outcome.amount)


def outcome_result(status: OutcomeStatus) -> pb.OutcomeResult:
    """Return what became of an outcome as the contract writes it."""
    return pb.OutcomeResult(status=pb.OutcomeStatus.ValueType(status))


def refused_outcome(violations: tuple[Violation, ...]) -> pb.OutcomeResult:
    """Return the answer to an outcome that was malformed."""
    return pb.OutcomeResult(status=pb.OUTCOME_STATUS_REFUSED, violations=checks.violation_messages(violations))
