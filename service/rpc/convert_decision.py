"""Requests for decisions to core requests, and decisions to answers. This is the hot path: fields are read once."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.timestamp_pb2 import Timestamp

from models.clock import BUILT_IN
from models.contact import OF_CONTACTS
from models.context import ContextSchema, Scalar
from service.core.decision import Answer, Decision, Explanation, Reason, Request
from service.core.rules import Kind
from service.rpc import checks
from service.rpc.edge import Edge, Vocabulary
from service.rpc.values import scalar_of, value_of
from tact.v1 import decision_pb2 as pb
from tact.v1 import values_pb2

MAX_PLACEMENTS = 8
MAX_CONTEXT = 64
MAX_KEY_BYTES = 64


def request_of(message: pb.DecideRequest, edge: Edge) -> Request:
    """Check a request against the strategy and return it; raise `InvalidArgument` with every bad field."""
    found = checks.Findings()
    customer, channel, placements = message.customer_id, message.channel, tuple(message.placements)
    key, request_id = message.idempotency_key, message.request_id
    checks.check_id(found, "customer_id", customer, checks.MAX_CUSTOMER_BYTES)
    _check_place(found, channel, placements, edge.vocabulary)
    context = _context(found, message, edge.vocabulary)
    if key:
        checks.check_length(found, "idempotency_key", key, MAX_KEY_BYTES)
    if request_id:
        checks.check_length(found, "request_id", request_id, MAX_KEY_BYTES)
    as_of = checks.check_as_of(found, message.as_of, edge.limits.allow_as_of) if message.HasField("as_of") else None
    found.end()
    return Request(customer, channel, placements, context, message.explain, key, request_id, as_of)


def _check_place(found: checks.Findings, channel: str, placements: tuple[str, ...], words: Vocabulary) -> None:
    known = words.placements.get(channel)
    if known is None:
        what = f"is unknown: {checks.shown(channel)}" if channel else "is required"
        found.add("channel", f"{what}; the strategy has: {checks.listed(words.placements)}.")
    if not 1 <= len(placements) <= MAX_PLACEMENTS:
        found.add("placements", f"has {len(placements)} entries; ask for 1 to {MAX_PLACEMENTS}.")
    elif known is not None and (len(set(placements)) < len(placements) or not known.issuperset(placements)):
        _find_bad_placements(found, channel, placements, known)


def _find_bad_placements(
    found: checks.Findings, channel: str, placements: tuple[str, ...], known: frozenset[str]
) -> None:
    for position, placement in enumerate(placements):
        if placement not in known:
            has = f"channel {checks.shown(channel)} has: {checks.listed(known)}"
            found.add(f"placements[{position}]", f"is unknown: {checks.shown(placement)}; {has}.")
        elif placement in placements[:position]:
            found.add(f"placements[{position}]", f"is asked for twice: {checks.shown(placement)}; ask once.")


def _context(found: checks.Findings, message: pb.DecideRequest, words: Vocabulary) -> dict[int, Scalar]:
    given = message.context
    if not given:
        return {}
    if len(given) > MAX_CONTEXT:
        found.add("context", f"has {len(given)} entries; at most {MAX_CONTEXT} are allowed.")
        return {}
    context: dict[int, Scalar] = {}
    for field_id in given:
        requested = words.requested.get(field_id)
        if requested is None:
            found.add(checks.entry("context", field_id), _not_requested(field_id, words))
            continue
        try:
            context[requested[0]] = scalar_of(given[field_id], requested[1])
        except checks.Refused as refused:
            found.add(checks.entry("context", field_id), str(refused))
    return context


def _not_requested(field_id: str, words: Vocabulary) -> str:
    if field_id in BUILT_IN:
        return "is told by the customer's clock, not by requests; leave it out."
    if field_id in OF_CONTACTS:
        return "is told by what was said before, not by requests; leave it out."
    if field_id in words.supplied:
        return "is what the supply reports, not what requests say; leave it out, or report it."
    if field_id in words.stored:
        return "is filled from events, not from requests; leave it out, or record the event."
    return f"is no field of the strategy; a request can hold: {checks.listed(words.requested)}."


def answer_of(decision: Decision, request_id: str, schema: ContextSchema) -> pb.DecideResponse:
    """Return a decision as the contract writes it.

    Messages are filled where they stand: made on their own and copied in, the same answer takes twice as long.
    """
    answer = pb.DecideResponse(request_id=request_id, decision_id=decision.decision_id)
    versions, decided_at = answer.versions, answer.decided_at
    versions.strategy, versions.model = decision.strategy, decision.model
    _set_moment(decided_at, decision.at_ms)
    for placement in decision.answers:
        _fill_placement(answer.answers.add(placement=placement.placement), placement)
    if decision.degraded:
        answer.degraded = True
        add_reasons(answer.degraded_reasons, decision.degraded)
    if decision.explanation is not None:
        _fill_explanation(answer.explanation, decision.explanation, schema)
    return answer


def _fill_placement(message: pb.PlacementAnswer, answer: Answer) -> None:
    add_reasons(message.reasons, answer.reasons)
    if not answer.action:
        message.suppression.held_back_action_id = answer.held_back
        if answer.until_ms is not None:
            _set_moment(message.suppression.until, answer.until_ms)
    elif answer.kind == Kind.GREETING:
        _fill_words(message.greeting, answer)
    else:
        offer = message.offer
        _fill_words(offer, answer)
        offer.propensity, offer.net_value, offer.sells = answer.propensity, answer.net_value, answer.kind == Kind.OFFER


def _fill_words(message: pb.Greeting | pb.Offer, answer: Answer) -> None:
    message.action_id, message.text = answer.action, answer.text
    message.intents.extend(answer.intents)


def add_reasons(messages: RepeatedCompositeFieldContainer[values_pb2.Reason], reasons: Iterable[Reason]) -> None:
    """Add reasons to a list of them."""
    for reason in reasons:
        added = messages.add(code=reason.code, sentence=reason.sentence, rule_id=reason.rule, fields=reason.fields)
        if reason.until_ms is not None:
            _set_moment(added.until, reason.until_ms)


def _set_moment(message: Timestamp, ms: int) -> None:
    message.seconds = ms // 1000
    message.nanos = ms % 1000 * 1_000_000


def _fill_explanation(message: pb.Explanation, explanation: Explanation, schema: ContextSchema) -> None:
    message.consent_level = explanation.level
    for fate in explanation.fates:
        action = message.actions.add(
            action_id=fate.action,
            propensity=fate.propensity,
            baseline_propensity=fate.baseline,
            net_value=fate.net_value,
        )
        add_reasons(action.vetoes, fate.vetoes)
    for seen in explanation.fields:
        field = message.fields.add(field_id=seen.field)
        if seen.value is not None:
            field.value.CopyFrom(value_of(seen.value, schema.fields[schema.index[seen.field]].type))
        if seen.age_ms is not None:
            field.age_seconds = seen.age_ms / 1000
        if seen.version:
            field.model_version = seen.version
