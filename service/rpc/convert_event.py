"""Events to core values, and what became of them to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from models.bounds import EVENT_ID_BYTES, EventForm
from models.context import Scalar
from service.core.records import SAID_BYTES, EventFate, EventToFold
from service.errors import Violation
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings, Refused
from service.rpc.edge import Edge
from service.rpc.values import check_summed, scalar_of
from tact.v1 import context_pb2 as pb

_VIOLATIONS_AN_EVENT = 4  # a batch of 1,000 bad events must still fit into an answer
_ERASED = (
    Violation(
        "customer_id",
        "was erased; what happened until then is not stored, nor is anything before the customer consents again.",
    ),
)
_CONFLICT = (
    Violation("event_id", "was sent before with another type, moment or attributes; that one holds. Send a new id."),
)
REFUSED = (pb.EVENT_STATUS_REFUSED, pb.EVENT_STATUS_CONFLICT)
_STATUS = {EventFate.STORED: pb.EVENT_STATUS_STORED, EventFate.REPEATED: pb.EVENT_STATUS_REPEATED}


def event_of(event: pb.Event, edge: Edge, now_ms: int) -> EventToFold:
    """Check an event against the strategy and return it as what it does; raise `InvalidArgument` with what is bad."""
    found = Findings(_VIOLATIONS_AN_EVENT)
    checks.check_id(found, "event_id", event.event_id, EVENT_ID_BYTES)
    checks.check_id(found, "customer_id", event.customer_id, MAX_CUSTOMER_BYTES)
    occurred_ms = _occurred(found, event, now_ms)
    form = edge.vocabulary.events.get(event.type)
    if form is None:
        what = f"is unknown: {checks.shown(event.type)}" if event.type else "is required"
        found.add("type", f"{what}; the strategy has: {checks.listed(edge.vocabulary.events)}.")
    attributes = {} if form is None else _attributes(found, event, form)
    found.end()
    operations = edge.vocabulary.folding.operations(event.type, attributes)
    changes = edge.vocabulary.arming.changes(event.type, attributes, occurred_ms)
    return EventToFold(event.event_id, occurred_ms, operations, _said(event), event.type, changes)


def _said(event: pb.Event) -> bytes:
    """Return a digest of all that an event says; nought stands for one that is not told."""
    digest = blake2b(event.SerializeToString(deterministic=True), digest_size=SAID_BYTES).digest()
    return digest if any(digest) else b"\0\1"


def _occurred(found: Findings, event: pb.Event, now_ms: int) -> int:
    if not event.HasField("occurred_at"):
        found.add("occurred_at", "is required.")
        return 0
    return checks.check_past(found, "occurred_at", event.occurred_at, now_ms)


def _attributes(found: Findings, event: pb.Event, form: EventForm) -> dict[str, Scalar]:
    given = event.attributes
    attributes: dict[str, Scalar] = {}
    for name in given:
        declared = form.attributes.get(name)
        try:
            if declared is None:
                known = checks.listed(form.attributes)
                raise Refused(f"is no attribute of {checks.shown(event.type)}; it has: {known}.")
            attributes[name] = scalar_of(given[name], declared)
            if name in form.summed:
                check_summed(attributes[name])
        except Refused as refused:
            found.add(checks.entry("attributes", name), str(refused))
    for name in form.required:
        if name not in given:
            found.add(checks.entry("attributes", name), f"is required by {checks.shown(event.type)}.")
    return attributes


def refused_event(event_id: str, violations: tuple[Violation, ...]) -> pb.EventResult:
    """Return the answer to an event that was bad."""
    return pb.EventResult(
        event_id=event_id, status=pb.EVENT_STATUS_REFUSED, violations=checks.violation_messages(violations)
    )


def totals_answer(totals: Mapping[int, int], first_refused: list[pb.EventResult]) -> pb.RecordEventsStreamResponse:
    """Return the totals of a stream by what became of its events."""
    return pb.RecordEventsStreamResponse(
        stored=totals[pb.EVENT_STATUS_STORED],
        repeated=totals[pb.EVENT_STATUS_REPEATED],
        refused=totals[pb.EVENT_STATUS_REFUSED] + totals[pb.EVENT_STATUS_CONFLICT],
        first_refused=first_refused,
    )


def tell_fate(result: pb.EventResult, fate: EventFate) -> None:
    """Fill in what became of an event in the store."""
    if fate is EventFate.ERASED:
        result.status = pb.EVENT_STATUS_REFUSED
        result.violations.extend(checks.violation_messages(_ERASED))
    elif fate is EventFate.CONFLICT:
        result.status = pb.EVENT_STATUS_CONFLICT
        result.violations.extend(checks.violation_messages(_CONFLICT))
    else:
        result.status = _STATUS[fate]
