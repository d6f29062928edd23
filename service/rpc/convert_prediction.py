"""Predictions and changes to core values and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from models.context import Field, FoldKind, Scalar
from models.folds import Operation
from service.core.predictions import Change, PredictionFate, PredictionToStore
from service.errors import Violation
from service.rpc import checks
from service.rpc.checks import MAX_BATCH, MAX_CUSTOMER_BYTES, Findings, Refused
from service.rpc.edge import Edge
from service.rpc.values import scalar_of
from tact.v1 import prediction_pb2 as pb

MAX_VERSION_BYTES = 96
MAX_VALUES = 64
MAX_LOAN_BYTES = 32
_LOAN = re.compile(r"[0-9]{1,16}\.[0-9]{3}")
DEFAULT_MOST, DEFAULT_LEASE_S = 100, 60
SHORTEST_LEASE_S, LONGEST_LEASE_S = 5, 3_600
_VIOLATIONS_A_PREDICTION = 4  # a batch of 1,000 bad ones must still fit into an answer
_FATES = {
    PredictionFate.STORED: pb.PREDICTION_STATUS_STORED,
    PredictionFate.SUPERSEDED: pb.PREDICTION_STATUS_SUPERSEDED,
    PredictionFate.ERASED: pb.PREDICTION_STATUS_REFUSED,
    PredictionFate.NOT_CONSENTED: pb.PREDICTION_STATUS_NOT_CONSENTED,
}
_WHY = {
    PredictionFate.ERASED: Violation("customer_id", "was erased after this was computed; nothing may be kept."),
    PredictionFate.NOT_CONSENTED: Violation("values", "has a field to whose purpose the customer has not agreed."),
}


def prediction_of(prediction: pb.Prediction, edge: Edge, now_ms: int) -> PredictionToStore:
    """Check a prediction against the strategy and return it as what it writes; raise `InvalidArgument`."""
    found = Findings(_VIOLATIONS_A_PREDICTION)
    checks.check_id(found, "customer_id", prediction.customer_id, MAX_CUSTOMER_BYTES)
    checks.check_id(found, "model_version", prediction.model_version, MAX_VERSION_BYTES)
    computed_ms = _computed(found, prediction, now_ms)
    values = _values(found, prediction, edge.vocabulary.predicted)
    found.end()
    operations = tuple(_operation(field, value, prediction.model_version) for field, value in values)
    return PredictionToStore(prediction.customer_id, computed_ms, operations, values[0][0].id if values else "")


def _computed(found: Findings, prediction: pb.Prediction, now_ms: int) -> int:
    if not prediction.HasField("computed_at"):
        found.add("computed_at", "is required.")
        return 0
    # A clock that runs ahead must not keep out what is computed next.
    return min(now_ms, checks.check_past(found, "computed_at", prediction.computed_at, now_ms))


def _values(
    found: Findings, prediction: pb.Prediction, predicted: Mapping[str, Field]
) -> tuple[tuple[Field, Scalar], ...]:
    given = prediction.values
    if not 1 <= len(given) <= MAX_VALUES:
        found.add("values", f"has {len(given)} entries; send 1 to {MAX_VALUES}.")
        return ()
    values: list[tuple[Field, Scalar]] = []
    for name in given:
        field = predicted.get(name)
        try:
            if field is None:
                raise Refused(f"is no field that models write; the strategy has: {checks.listed(predicted)}.")
            values.append((field, scalar_of(given[name], field.bounds)))
        except Refused as refused:
            found.add(checks.entry("values", name), str(refused))
    return tuple(values)


def _operation(field: Field, value: Scalar, version: str) -> Operation:
    plain = value + 0.0 if type(value) is float else value  # no negative zero
    return Operation(field.key, field.purpose.group, FoldKind.MODEL, plain, version=version)


def result_of(customer: str, fate: PredictionFate) -> pb.PredictionResult:
    """Return what became of a prediction that was good."""
    why = (_WHY[fate],) if fate in _WHY else ()
    return pb.PredictionResult(customer_id=customer, status=_FATES[fate], violations=checks.violation_messages(why))


def refused_result(customer: str, violations: tuple[Violation, ...]) -> pb.PredictionResult:
    """Return the answer to a prediction that was bad."""
    return pb.PredictionResult(
        customer_id=customer,
        status=pb.PREDICTION_STATUS_REFUSED,
        violations=checks.violation_messages(violations),
    )


def lending_of(request: pb.WatchChangesRequest) -> tuple[int, float]:
    """Return how many changes an answer may have and for how many seconds each is lent; raise `InvalidArgument`."""
    found = Findings()
    most = request.most or DEFAULT_MOST
    if not 1 <= most <= MAX_BATCH:
        found.add("most", f"is {most}; send 1 to {MAX_BATCH:,}, or 0 for {DEFAULT_MOST}.")
    lease_s = request.lease_seconds or DEFAULT_LEASE_S
    if not SHORTEST_LEASE_S <= lease_s <= LONGEST_LEASE_S:
        bounds = f"{SHORTEST_LEASE_S} to {LONGEST_LEASE_S:,}"
        found.add("lease_seconds", f"is {lease_s}; send {bounds}, or 0 for {DEFAULT_LEASE_S}.")
    found.end()
    return most, float(lease_s)


def changes_message(changes: Iterable[Change]) -> pb.WatchChangesResponse:
    """Return changes as the contract writes them."""
    return pb.WatchChangesResponse(changes=[pb.Change(customer_id=one.customer, loan=one.loan) for one in changes])


def changes_of(request: pb.FinishChangesRequest) -> tuple[Change, ...]:
    """Return the changes that are finished; raise `InvalidArgument` with every bad field."""
    checks.check_batch("changes", len(request.changes))
    found = Findings()
    changes = tuple(_change(found, position, change) for position, change in enumerate(request.changes))
    found.end()
    return changes


def _change(found: Findings, position: int, change: pb.Change) -> Change:
    path = f"changes[{position}]"
    checks.check_id(found, f"{path}.customer_id", change.customer_id, MAX_CUSTOMER_BYTES)
    checks.check_id(found, f"{path}.loan", change.loan, MAX_LOAN_BYTES)
    if not _LOAN.fullmatch(change.loan):
        found.add(f"{path}.loan", "is none that `WatchChanges` gave; give it back as it was.")
    return Change(change.customer_id, change.loan)
