"""Decisions to answers, message by message; answer_bytes.py makes the same bytes for the hot path."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from models.context import ContextSchema
from service.core.decision import Answer, Decision
from service.core.rules import Kind
from service.core.rungs import rung_of
from service.rpc.convert_explanation import fill_explanation
from service.rpc.reasons import add_reasons, set_moment
from tact.v1 import decision_pb2 as pb


def answer_of(decision: Decision, request_id: str, schema: ContextSchema) -> pb.DecideResponse:
    """Return a decision as the contract writes it.

    Messages are filled where they stand: made on their own and copied in, the same answer takes twice as long.
    """
    answer = pb.DecideResponse(request_id=request_id, decision_id=decision.decision_id)
    versions, decided_at = answer.versions, answer.decided_at
    versions.strategy, versions.model = decision.strategy, decision.model
    set_moment(decided_at, decision.at_ms)
    fill_answers(answer.answers, decision.answers)
    if decision.degraded:
        answer.degraded = True
        add_reasons(answer.degraded_reasons, decision.degraded)
    answer.rung = pb.Rung.ValueType(rung_of(decision.degraded))
    if decision.explanation is not None:
        fill_explanation(answer.explanation, decision.explanation, schema)
    return answer


def fill_answers(messages: RepeatedCompositeFieldContainer[pb.PlacementAnswer], answers: Iterable[Answer]) -> None:
    """Add the answers of placements to a list of them."""
    for answer in answers:
        _fill_placement(messages.add(placement=answer.placement), answer)


def _fill_placement(message: pb.PlacementAnswer, answer: Answer) -> None:
    add_reasons(message.reasons, answer.reasons)
    if not answer.action:
        message.suppression.held_back_action_id = answer.held_back
        if answer.until_ms is not None:
            set_moment(message.suppression.until, answer.until_ms)
    elif answer.kind == Kind.GREETING:
        _fill_words(message.greeting, answer)
    else:
        offer = message.offer
        _fill_words(offer, answer)
        offer.propensity, offer.net_value, offer.sells = answer.propensity, answer.net_value, answer.kind == Kind.OFFER


def _fill_words(message: pb.Greeting | pb.Offer, answer: Answer) -> None:
    message.action_id, message.text = answer.action, answer.text
    message.intents.extend(answer.intents)
