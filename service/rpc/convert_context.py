"""What is known of a customer to an answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from models import folds, states
from models.clock import Clock
from models.context import ContextSchema, Field, Purpose, Scalar, Source
from models.folds import State
from service.core.decision import Known
from service.core.strategy import Strategy
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings
from service.rpc.convert_consent import level_of
from service.rpc.edge import Edge
from service.rpc.values import value_of
from tact.v1 import context_pb2 as pb

_SOURCES = {
    Source.EVENTS: pb.FIELD_SOURCE_EVENTS,
    Source.REQUEST: pb.FIELD_SOURCE_REQUEST,
    Source.CLOCK: pb.FIELD_SOURCE_CLOCK,
    Source.SUPPLY: pb.FIELD_SOURCE_SUPPLY,
    Source.MODEL: pb.FIELD_SOURCE_MODEL,
}


def context_question(request: pb.GetContextRequest, edge: Edge) -> int | None:
    """Check a request for context and return the moment to look as of, if it names one."""
    found = Findings()
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    as_of = checks.check_as_of(found, request.as_of, edge.limits.allow_as_of) if request.HasField("as_of") else None
    found.end()
    return as_of


def context_answer(known: Known, strategy: Strategy, as_of_ms: int | None) -> pb.GetContextResponse:
    """Return every field but those of requests: known, never seen, stale, hidden by the consent, or not stored."""
    now_ms = known.now_ms if as_of_ms is None else as_of_ms
    level = level_of(known.level, strategy)
    held = Held.of(known.groups.values())
    values = _values(strategy.schema, held, level.purposes, now_ms)
    pairs = zip(strategy.schema.fields, values, strict=True)
    return pb.GetContextResponse(
        fields=[
            _shown(field, value, held, level.purposes, now_ms)
            for field, value in pairs
            if field.source is not Source.REQUEST
        ],
        consent_level=level.id,
        as_of=checks.timestamp(now_ms),
    )


@dataclass(frozen=True, slots=True)
class Held:
    """What is stored of a customer: states by field key, and when (ms) the event that dates each of them arrived."""

    states: Mapping[int, State]
    arrivals: Mapping[int, int]

    @classmethod
    def of(cls, groups: Iterable[bytes]) -> Held:
        """Unpack the groups; what cannot be read counts as never seen, and so can permit nothing."""
        found: dict[int, State] = {}
        arrived: dict[int, int] = {}
        for packed in groups:
            with suppress(ValueError):
                found |= states.unpacked(packed)
                arrived |= states.arrivals(packed)
        return cls(found, arrived)


def _values(schema: ContextSchema, held: Held, purposes: Collection[Purpose], now_ms: int) -> Sequence[Scalar | None]:
    """Return the values that a decision would see, but for those of its request and of the supply."""
    values = [
        folds.known(field, held.states.get(field.key), now_ms) if field.fold and field.purpose in purposes else None
        for field in schema.fields
    ]
    if (clock := Clock.of(schema)) is not None:
        clock.fill(values, now_ms)
    return values


def _shown(
    field: Field, value: Scalar | None, held: Held, purposes: Collection[Purpose], now_ms: int
) -> pb.ContextField:
    shown = pb.ContextField(field_id=field.id, purpose=field.purpose, source=_SOURCES[field.source])
    if field.fold is not None and field.source is Source.EVENTS:
        shown.source_events.extend(filter(None, (field.fold.event, field.fold.closed_by)))
    if field.purpose not in purposes:
        shown.state = pb.FIELD_KNOWLEDGE_HIDDEN
        return shown
    state = held.states.get(field.key) if field.fold is not None else None
    is_held = state is not None and folds.value(field, state, now_ms) is not None
    if state is not None and is_held:
        _fill_origin(shown, field, state, held, now_ms)
    if value is not None:
        shown.state = pb.FIELD_KNOWLEDGE_KNOWN
        shown.value.CopyFrom(value_of(value, field.type))
    elif is_held:
        shown.state = pb.FIELD_KNOWLEDGE_STALE
    else:
        shown.state = pb.FIELD_KNOWLEDGE_NEVER_SEEN if field.fold else pb.FIELD_KNOWLEDGE_NOT_STORED
    return shown


def _fill_origin(shown: pb.ContextField, field: Field, state: State, held: Held, now_ms: int) -> None:
    age_ms = folds.age_ms(state, now_ms)
    shown.age_seconds = age_ms / 1000
    shown.occurred_at.CopyFrom(checks.timestamp(now_ms - age_ms))
    if (arrived_ms := held.arrivals.get(field.key)) is not None:
        shown.arrived_at.CopyFrom(checks.timestamp(arrived_ms))
    if field.source is Source.MODEL:
        shown.model_version = str(state[2])
