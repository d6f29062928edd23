"""What is known of a customer to an answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from models import folds, states
from models.clock import Clock
from models.contact import ContactBefore
from models.context import ContextSchema, Field, FoldKind, Purpose, Scalar, Source, Tense
from models.folds import State
from service.core.decision import Known
from service.core.strategy import Strategy
from service.rpc import checks
from service.rpc.checks import MAX_CUSTOMER_BYTES, Findings
from service.rpc.convert_consent import level_of
from service.rpc.edge import Edge
from service.rpc.values import value_of
from tact.v1 import context_pb2 as pb

SOURCES = {
    Source.EVENTS: pb.FIELD_SOURCE_EVENTS,
    Source.REQUEST: pb.FIELD_SOURCE_REQUEST,
    Source.CLOCK: pb.FIELD_SOURCE_CLOCK,
    Source.SUPPLY: pb.FIELD_SOURCE_SUPPLY,
    Source.MODEL: pb.FIELD_SOURCE_MODEL,
    Source.MEMORY: pb.FIELD_SOURCE_MEMORY,
}
TENSES = {
    Tense.PAST: pb.FIELD_TENSE_PAST,
    Tense.PRESENT: pb.FIELD_TENSE_PRESENT,
    Tense.PREDICTED: pb.FIELD_TENSE_PREDICTED,
}
_WINDOWS = frozenset({FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE})


def context_question(request: pb.GetContextRequest, edge: Edge) -> int | None:
    """Check a request for context and return the moment to look as of, if it names one."""
    found = Findings()
    checks.check_id(found, "customer_id", request.customer_id, MAX_CUSTOMER_BYTES)
    as_of = checks.check_as_of(found, request.as_of, edge.limits.allow_as_of) if request.HasField("as_of") else None
    found.end()
    return as_of


def context_answer(
    known: Known, strategy: Strategy, as_of_ms: int | None, told: Collection[str] | None = None
) -> pb.GetContextResponse:
    """Return every field but those of requests, with its value or why there is none.

    Fields that are not `told` to whoever asks (unset: all are) are hidden like those that the consent keeps back.
    """
    now_ms = known.now_ms if as_of_ms is None else as_of_ms
    level = level_of(known.level, strategy)
    held = Held.of(strategy.schema, known.groups)
    values = _values(strategy.schema, held, level.purposes, now_ms)
    if (last := known.memory.last) is not None and (before := ContactBefore.of(strategy.schema)) is not None:
        before.fill(values, last.channel, last.at_ms, now_ms)
    pairs = zip(strategy.schema.fields, values, strict=True)
    return pb.GetContextResponse(
        fields=[
            _shown(field, value, held, level.purposes if told is None or field.id in told else (), now_ms)
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
    def of(cls, schema: ContextSchema, groups: Mapping[str, bytes]) -> Held:
        """Unpack the groups; what cannot be read counts as never seen, and so can permit nothing.

        What stands under a field's key for another purpose than the field's is not the field's.
        """
        found: dict[int, State] = {}
        arrived: dict[int, int] = {}
        for letter, packed in groups.items():
            own = {field.key for field in schema.fields if field.fold is not None and field.purpose.group == letter}
            with suppress(ValueError):
                found |= {key: state for key, state in states.unpacked(packed).items() if key in own}
                arrived |= {key: at_ms for key, at_ms in states.arrivals(packed).items() if key in own}
        return cls(found, arrived)


def _values(schema: ContextSchema, held: Held, purposes: Collection[Purpose], now_ms: int) -> list[Scalar | None]:
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
    shown = pb.ContextField(
        field_id=field.id,
        purpose=field.purpose,
        source=SOURCES[field.source],
        tense=TENSES[field.tense],
        says=field.says,
    )
    if field.fold is not None and field.source is Source.EVENTS:
        shown.source_events.extend(filter(None, (field.fold.event, field.fold.closed_by)))
    if field.purpose not in purposes:
        shown.state = pb.FIELD_KNOWLEDGE_HIDDEN
        return shown
    state = held.states.get(field.key) if field.fold is not None else None
    if state is not None:
        _fill_origin(shown, field, state, held, now_ms)
    if value is None:
        shown.state = _why_unknown(field, state, now_ms)
    else:
        shown.state = pb.FIELD_KNOWLEDGE_KNOWN
        shown.value.CopyFrom(value_of(value, field.type))
    return shown


def _why_unknown(field: Field, state: State | None, now_ms: int) -> pb.FieldKnowledge.ValueType:
    if field.fold is None:
        return pb.FIELD_KNOWLEDGE_NOT_STORED
    if state is None:
        return pb.FIELD_KNOWLEDGE_NEVER_SEEN
    if field.max_age_ms is not None and folds.age_ms(state, now_ms) > field.max_age_ms:
        return pb.FIELD_KNOWLEDGE_STALE
    is_full = field.fold.kind in _WINDOWS and _items_of_a_window(state) >= field.fold.keep
    return pb.FIELD_KNOWLEDGE_TOO_MANY if is_full else pb.FIELD_KNOWLEDGE_UNREADABLE


def _items_of_a_window(state: State) -> int:
    """Return how many items a window's state holds; none where it is another fold's."""
    items = state[1] if len(state) == 2 and isinstance(state[1], list) else []
    return sum(not isinstance(amount, str) for _, amount in items)


def _fill_origin(shown: pb.ContextField, field: Field, state: State, held: Held, now_ms: int) -> None:
    age_ms = folds.age_ms(state, now_ms)
    shown.age_seconds = age_ms / 1000
    shown.occurred_at.CopyFrom(checks.timestamp(now_ms - age_ms))
    if (arrived_ms := held.arrivals.get(field.key)) is not None:
        shown.arrived_at.CopyFrom(checks.timestamp(arrived_ms))
    if field.source is Source.MODEL and len(state) == 3 and isinstance(state[2], str):
        shown.model_version = state[2]
