"""Events and consents to core values, and what is known of a customer to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from models import folds
from models.context import Field, Purpose, Scalar
from service.core.decision import Known
from service.core.records import ConsentRecord, EventToFold
from service.core.strategy import ConsentLevel, Strategy
from service.errors import Violation
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings, Refused
from service.rpc.edge import Edge, EventForm
from service.rpc.values import check_summed, scalar_of, value_of
from tact.v1 import context_pb2 as pb

MAX_EVENT_ID_BYTES = 64
MAX_SOURCE_BYTES = 64
_VIOLATIONS_AN_EVENT = 4  # a batch of 1,000 bad events must still fit into an answer
_unpack = msgspec.msgpack.Decoder(dict[int, list[Any]]).decode


def event_of(event: pb.Event, edge: Edge, now_ms: int) -> EventToFold:
    """Check an event against the strategy and return it as what it does; raise `InvalidArgument` with what is bad."""
    found = Findings(_VIOLATIONS_AN_EVENT)
    checks.check_id(found, "event_id", event.event_id, MAX_EVENT_ID_BYTES)
    checks.check_id(found, "customer_id", event.customer_id, MAX_CUSTOMER_BYTES)
    occurred_ms = _occurred(found, event, now_ms)
    form = edge.vocabulary.events.get(event.type)
    if form is None:
        what = f"is unknown: {checks.shown(event.type)}" if event.type else "is required"
        found.add("type", f"{what}; the strategy has: {checks.listed(edge.vocabulary.events)}.")
    attributes = {} if form is None else _attributes(found, event, form)
    found.end()
    return EventToFold(event.event_id, occurred_ms, folds.operations(edge.strategy.schema, event.type, attributes))


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
        refused=totals[pb.EVENT_STATUS_REFUSED],
        first_refused=first_refused,
    )


def consent_of(request: pb.SetConsentRequest, edge: Edge, now_ms: int) -> ConsentRecord:
    """Check a consent against the strategy and return it; raise `InvalidArgument` with every bad field."""
    found, consent, words = Findings(), request.consent, edge.vocabulary
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    if not request.HasField("consent"):
        found.add("consent", "is required.")
    elif consent.level not in words.levels:
        what = f"is unknown: {checks.shown(consent.level)}" if consent.level else "is required"
        found.add("consent.level", f"{what}; the strategy has: {checks.listed(words.levels)}.")
    channels = _contact_channels(found, tuple(consent.contact_channels), words.placements)
    checks.check_length(found, "consent.source", consent.source, MAX_SOURCE_BYTES)
    if checks.has_control_characters(consent.source):
        found.add("consent.source", "holds control characters; leave them out.")
    given_ms = now_ms
    if consent.HasField("given_at"):
        # A clock that runs ahead must not hold back the withdrawal that comes next.
        given_ms = min(now_ms, checks.check_past(found, "consent.given_at", consent.given_at, now_ms))
    found.end()
    return ConsentRecord(consent.level, channels, given_ms, consent.source)


def _contact_channels(found: Findings, channels: tuple[str, ...], known: Mapping[str, object]) -> tuple[str, ...]:
    if len(channels) > len(known):
        found.add("consent.contact_channels", f"has {len(channels)} entries; the strategy has {len(known)} channels.")
        return ()
    for position, channel in enumerate(channels):
        path = f"consent.contact_channels[{position}]"
        if channel not in known:
            found.add(path, f"is unknown: {checks.shown(channel)}; the strategy has: {checks.listed(known)}.")
        elif channel in channels[:position]:
            found.add(path, f"is named twice: {checks.shown(channel)}; name it once.")
    return channels


def consent_message(record: ConsentRecord) -> pb.Consent:
    """Return a stored consent as the contract writes it."""
    return pb.Consent(
        level=record.level,
        contact_channels=record.channels,
        given_at=checks.timestamp(record.given_ms),
        source=record.source,
    )


def consent_answer(record: ConsentRecord | None, strategy: Strategy) -> pb.GetConsentResponse:
    """Return the consent that holds, with the purposes that it allows under this strategy."""
    level = level_of(record.level if record else None, strategy)
    return pb.GetConsentResponse(
        consent=consent_message(record) if record else pb.Consent(level=level.id),
        purposes=level.purposes,
        recorded=record is not None,
    )


def level_of(level_id: str | None, strategy: Strategy) -> ConsentLevel:
    """Return a level of the strategy; the lowest for none and for one that the strategy no longer has."""
    return next((level for level in strategy.levels if level.id == level_id), strategy.levels[0])


def customer_of(customer: str) -> str:
    """Check a customer id on its own."""
    found = Findings()
    checks.check_id(found, "customer_id", customer, MAX_CUSTOMER_BYTES)
    found.end()
    return customer


def context_question(request: pb.GetContextRequest, edge: Edge) -> int | None:
    """Check a request for context and return the moment to look as of, if it names one."""
    found = Findings()
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    as_of = checks.check_as_of(found, request.as_of, edge.limits.allow_as_of) if request.HasField("as_of") else None
    found.end()
    return as_of


def context_answer(known: Known, strategy: Strategy, as_of_ms: int | None) -> pb.GetContextResponse:
    """Return every field that lives in the store: known, never seen, stale, or hidden by the consent."""
    now_ms = known.now_ms if as_of_ms is None else as_of_ms
    level = level_of(known.level, strategy)
    states = _states(known.groups)
    return pb.GetContextResponse(
        fields=list(_context_fields(strategy, states, level.purposes, now_ms)),
        consent_level=level.id,
        as_of=checks.timestamp(now_ms),
    )


def _states(groups: Mapping[str, bytes]) -> dict[int, list[Any]]:
    """Unpack the groups' states; what cannot be read counts as never seen, and so can permit nothing."""
    states: dict[int, list[Any]] = {}
    for packed in groups.values():
        try:
            states.update(_unpack(packed))
        except msgspec.DecodeError:
            continue
    return states


def _context_fields(
    strategy: Strategy, states: Mapping[int, list[Any]], purposes: tuple[Purpose, ...], now_ms: int
) -> Iterator[pb.ContextField]:
    for field in strategy.schema.fields:
        if field.fold is not None:
            shown = _field(field, states.get(field.key), field.purpose in purposes, now_ms)
            shown.field_id = field.id
            shown.purpose = field.purpose
            shown.source_events.extend(filter(None, (field.fold.event, field.fold.closed_by)))
            yield shown


def _field(field: Field, state: list[Any] | None, allowed: bool, now_ms: int) -> pb.ContextField:
    if not allowed:
        return pb.ContextField(state=pb.FIELD_KNOWLEDGE_HIDDEN)
    if not state:
        return pb.ContextField(state=pb.FIELD_KNOWLEDGE_NEVER_SEEN)
    age_ms = folds.age_ms(state, now_ms)
    if field.max_age_ms is not None and age_ms > field.max_age_ms:
        return pb.ContextField(state=pb.FIELD_KNOWLEDGE_STALE)
    value = folds.known(field, state, now_ms)
    if value is None:
        return pb.ContextField(state=pb.FIELD_KNOWLEDGE_NEVER_SEEN)
    return pb.ContextField(state=pb.FIELD_KNOWLEDGE_KNOWN, value=value_of(value, field.type), age_seconds=age_ms / 1000)
