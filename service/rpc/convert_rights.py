"""What is kept about a person to the items of an export, and what was erased to an answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from models import folds, states
from models.context import ContextSchema, Field, Purpose, Source, ValueType
from service.core.decision import Take
from service.core.memory import Promised, Refusal
from service.core.plan import Candidate, Entry, Shadowed
from service.core.records import ConsentRecord, Person
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome, KeptReservation
from service.core.words import Words
from service.rpc.checks import timestamp
from service.rpc.convert_answer import answer_of
from service.rpc.convert_consent import consent_message
from service.rpc.edge import Edge
from service.rpc.plain import value_message
from service.rpc.values import value_of
from tact.v1 import context_pb2, outcome_pb2
from tact.v1 import rights_pb2 as pb

_PURPOSES = {purpose.group: purpose for purpose in Purpose}
_json = msgspec.json.Encoder().encode


def identity_item(customer: str, person: Person, kept: Kept) -> pb.ExportItem:
    """Return the item of an id."""
    identity = pb.ExportedIdentity(
        customer_id=customer,
        canonical=customer == person.id,
        remembered_event_ids=kept.event_ids,
        predictions_due=kept.changed,
    )
    linked_ms = dict(person.aliases).get(customer)
    if linked_ms is not None:
        identity.linked_at.CopyFrom(timestamp(linked_ms))
    if kept.erased_ms is not None:
        identity.erased_at.CopyFrom(timestamp(kept.erased_ms))
    return pb.ExportItem(identity=identity)


def consent_items(customer: str, kept: Kept) -> Iterator[pb.ExportItem]:
    """Yield the changes of the consent and the one that holds."""
    for change in kept.changes:
        yield _consent_item(customer, change, holds=False)
    if kept.consent is not None:
        yield _consent_item(customer, kept.consent, holds=True)


def _consent_item(customer: str, record: ConsentRecord, *, holds: bool) -> pb.ExportItem:
    return pb.ExportItem(consent=pb.ExportedConsent(customer_id=customer, consent=consent_message(record), holds=holds))


def field_items(customer: str, kept: Kept, schema: ContextSchema) -> Iterator[pb.ExportItem]:
    """Yield what is known of each field, in the order of the purposes."""
    fields = {field.key: field for field in schema.fields if field.fold is not None}
    for name, group in kept.groups.items():
        arrived = states.arrivals(group)
        for key, state in states.unpacked(group).items():
            item = _field(fields.get(key), state, kept.now_ms)
            item.customer_id, item.field_key, item.purpose = customer, key, _PURPOSES[name[-1]]
            if key in arrived:
                item.arrived_at.CopyFrom(timestamp(arrived[key]))
            yield pb.ExportItem(field=item)


def _field(field: Field | None, state: list[Any], now_ms: int) -> pb.ExportedField:
    item = pb.ExportedField(kept_json=_json(state).decode(), occurred_at=timestamp(state[0]))
    if field is None:
        return item
    item.field_id, item.source = field.id, context_pb2.FieldSource.Value(f"FIELD_SOURCE_{field.source.name}")
    value = folds.value(field, state, now_ms)
    if value is not None:
        item.value.CopyFrom(value_of(value, field.type))
    if field.source is Source.MODEL:
        item.model_version = str(state[2])
    return item


def cap_items(customer: str, kept: Kept) -> Iterator[pb.ExportItem]:
    """Yield when something was said that caps count, under this id and under others."""
    own = ((kept.origin, *use) for use in kept.counters.items())
    for elsewhere, uses in ((False, own), (True, kept.elsewhere)):
        for origin, counter, times in uses:
            used = pb.ExportedCapUses(
                customer_id=customer,
                counter=counter,
                used_at=map(timestamp, times),
                elsewhere=elsewhere,
                origin=origin,
            )
            yield pb.ExportItem(cap_uses=used)


def memory_items(customer: str, kept: Kept) -> Iterator[pb.ExportItem]:
    """Yield what is remembered of what was said and answered."""
    for refusal in kept.refusals:
        yield pb.ExportItem(refusal=_refusal(customer, refusal))
    for promise in kept.promised:
        yield pb.ExportItem(promise=_promise(customer, promise))
    for one in kept.reserved:
        yield pb.ExportItem(reservation=_reservation(customer, one))
    if kept.last is not None:
        at, said = timestamp(kept.last.at_ms), kept.last.actions
        contact = pb.ExportedContact(customer_id=customer, channel=kept.last.channel, at=at, action_ids=said)
        yield pb.ExportItem(contact=contact)


def event_items(customer: str, kept: Kept) -> Iterator[pb.ExportItem]:
    """Yield the events that are kept for the journey."""
    for one in kept.happened:
        occurred, arrived = timestamp(one.at_ms), timestamp(one.arrived_ms)
        event = pb.ExportedEvent(
            customer_id=customer, type=one.type, purpose=one.purpose, occurred_at=occurred, arrived_at=arrived
        )
        yield pb.ExportItem(event=event)


def _refusal(customer: str, refusal: Refusal) -> pb.ExportedRefusal:
    return pb.ExportedRefusal(
        customer_id=customer,
        action_id=refusal.action,
        group=refusal.group,
        intents=refusal.intents,
        kind=outcome_pb2.OutcomeKind.ValueType(refusal.kind),
        refused_at=timestamp(refusal.at_ms),
        mark=refusal.mark.hex(),
    )


def _promise(customer: str, promise: Promised) -> pb.ExportedPromise:
    return pb.ExportedPromise(
        customer_id=customer,
        key=promise.key,
        action_id=promise.action,
        given_at=timestamp(promise.given_ms),
        until=timestamp(promise.until_ms),
        decision_id=promise.decision_id,
        facts=promise.facts.hex(),
    )


def _reservation(customer: str, one: KeptReservation) -> pb.ExportedReservation:
    return pb.ExportedReservation(
        customer_id=customer,
        counter=one.counter,
        at=timestamp(one.at_ms),
        held_until=timestamp(one.ends_ms) if one.ends_ms else None,
        waits_for=outcome_pb2.OutcomeKind.ValueType(one.on),
        mark=one.mark.hex(),
    )


def remnant_items(customer: str, kept: Kept) -> Iterator[pb.ExportItem]:
    """Yield what stands in the context and cannot be read."""
    for name, content in kept.remnants.items():
        yield _remnant(customer, "context", name, content)


def _remnant(customer: str, kind: str, name: str, content: bytes) -> pb.ExportItem:
    return pb.ExportItem(remnant=pb.ExportedRemnant(customer_id=customer, kind=kind, name=name, content=content))


def decision_item(customer: str, kept: KeptDecision, edge: Edge, words: Words | None) -> pb.ExportItem:
    """Return the item of a decision, in the words of the strategy that decided; without them, of the one in force."""
    if kept.entry is None or kept.committed is None:
        return _remnant(customer, "decision", "", kept.raw)
    entry, told = kept.entry, edge.decider.told(kept.committed)
    if words is not None:
        told = replace(told, answers=tuple(words.worded(answer, entry.channel) for answer in told.answers))
    bound = kept.committed.bound
    choices = [_choice(entry, n, [b.rank for b in bound if b.placement == n]) for n in range(len(entry.placements))]
    decision = pb.ExportedDecision(
        customer_id=customer,
        decision=answer_of(told, "", edge.strategy.schema),
        channel=entry.channel,
        consent_level=entry.level,
        facts=_facts(entry, words.fields if words is not None else ()),
        choices=choices,
        logged_at=timestamp(kept.logged_ms),
    )
    return pb.ExportItem(decision=decision)


def _facts(entry: Entry, fields: Sequence[tuple[str, ValueType]]) -> Iterator[pb.ExportedFact]:
    """Yield what was known; with names and types where these are known."""
    for index, value in enumerate(entry.values):
        if value is not None:
            name, kind = fields[index] if index < len(fields) else ("", None)
            told = value_message(value) if kind is None else value_of(value, kind)
            yield pb.ExportedFact(field_id=name, field_index=index, value=told)


def _choice(entry: Entry, place: int, held_back: list[int]) -> pb.ExportedChoice:
    placed, takes = entry.placements[place], {take.action: _take(take) for take in entry.takes}
    shadow = entry.shadow
    return pb.ExportedChoice(
        placement=placed.placement,
        candidates=[_candidate(one, takes.get(one.action)) for one in placed.candidates],
        draw=entry.draws[place],
        held_back=held_back,
        pool=placed.pool,
        explored=placed.explored,
        shadow=[_candidate(one) for one in shadow.placements[place]] if shadow and shadow.placements else (),
        shadow_model=shadow.model if shadow else "",
    )


def _candidate(one: Candidate | Shadowed, take: pb.ExportedTake | None = None) -> pb.ExportedCandidate:
    return pb.ExportedCandidate(
        action_id=one.action,
        propensity=one.propensity,
        baseline_propensity=one.baseline,
        net_value=one.net_value,
        probability=one.probability,
        take=take,
    )


def _take(take: Take) -> pb.ExportedTake:
    return pb.ExportedTake(item=take.item, place=take.place, units=take.units, hold_seconds=take.hold_ms / 1000)


def outcome_item(customer: str, kept: KeptOutcome) -> pb.ExportItem:
    """Return the item of an outcome."""
    outcome = outcome_pb2.Outcome(
        decision_id=kept.decision_id,
        action_id=kept.action,
        kind=outcome_pb2.OutcomeKind.ValueType(kept.kind),
        occurred_at=timestamp(kept.at_ms),
        amount=kept.amount,
    )
    arrived = timestamp(kept.arrived_ms)
    return pb.ExportItem(outcome=pb.ExportedOutcome(customer_id=customer, outcome=outcome, arrived_at=arrived))


def end_item(exported_ms: int, items: int) -> pb.ExportItem:
    """Return the item that says that the export is complete."""
    return pb.ExportItem(end=pb.ExportEnd(exported_at=timestamp(exported_ms), items=items))


def erased_answer(erased: Erased, rewrites: bool) -> pb.EraseCustomerResponse:
    """Return what was erased."""
    return pb.EraseCustomerResponse(
        customer_ids=erased.identities,
        erased_at=timestamp(erased.erased_ms),
        fields=erased.fields,
        consents=erased.consents,
        cap_counters=erased.counters,
        event_ids=erased.event_ids,
        change_marks=erased.change_marks,
        decisions=erased.decisions,
        idempotency_records=erased.repeatable,
        outcomes=erased.outcomes,
        outcome_records=erased.outcome_records,
        links=erased.links,
        supply_holds=erased.holds,
        remembered=erased.remembered,
        events=erased.happened,
        moments=erased.moments,
        rewrite_started=rewrites,
    )
