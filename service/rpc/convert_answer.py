"""Decisions to answers, message by message; answer_bytes.py makes the same bytes for the hot path."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.timestamp_pb2 import Timestamp

from models.context import ContextSchema
from service.core.decision import Answer, Decision, Explanation, Reason
from service.core.rules import Kind
from service.rpc.values import value_of
from tact.v1 import decision_pb2 as pb
from tact.v1 import values_pb2


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
