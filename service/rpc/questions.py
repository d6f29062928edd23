"""What our own client sends, as plain values, and how that becomes messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from models.context import ContextSchema, ValueType
from service.rpc.plain import Moment, Plain, moment_message, value_messages
from tact.v1 import context_pb2, decision_pb2, outcome_pb2, prediction_pb2


@dataclass(frozen=True, slots=True)
class Ask:
    """One question: what to say to a customer on a channel at these placements; `depth` is how deep to explain."""

    customer_id: str
    channel: str
    placements: Sequence[str]
    context: Mapping[str, Plain] = field(default_factory=dict)
    explain: bool = False
    idempotency_key: str = ""
    request_id: str = ""
    as_of: Moment | None = None
    depth: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Which change of an answer is looked for: `goal` is win, lose, or empty for the other way round."""

    action_id: str
    goal: str = ""
    placement: str = ""
    most_changes: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one customer."""

    event_id: str
    customer_id: str
    type: str
    occurred_at: Moment
    attributes: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one action of one decision; `kind` is shown, clicked, accepted, refused, not_now or never."""

    decision_id: str
    action_id: str
    kind: str
    amount: float = 0.0
    occurred_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one version of a model says of one customer, as of a moment."""

    customer_id: str
    model_version: str
    computed_at: Moment
    values: Mapping[str, Plain]


@dataclass(frozen=True, slots=True)
class Types:
    """The types of values as a schema declares them; empty without one."""

    context: Mapping[str, ValueType]
    events: Mapping[str, Mapping[str, ValueType]]

    @classmethod
    def of(cls, schema: ContextSchema | None) -> Types:
        """Collect the types of a schema."""
        if schema is None:
            return cls({}, {})
        events = {event.id: {a.name: a.type for a in event.attributes} for event in schema.events.values()}
        return cls({f.id: f.type for f in schema.fields}, events)

    def ask(self, ask: Ask) -> decision_pb2.DecideRequest:
        """Return a question as the contract writes it."""
        return decision_pb2.DecideRequest(
            customer_id=ask.customer_id,
            channel=ask.channel,
            placements=ask.placements,
            context=value_messages(ask.context, self.context),
            explain=ask.explain,
            idempotency_key=ask.idempotency_key,
            request_id=ask.request_id,
            as_of=None if ask.as_of is None else moment_message(ask.as_of),
            explain_depth=depth_number(ask.depth),
        )

    def predictions(self, predictions: Iterable[Prediction]) -> prediction_pb2.RecordPredictionsRequest:
        """Return a batch of predictions as the contract writes it."""
        return prediction_pb2.RecordPredictionsRequest(predictions=[self._prediction(one) for one in predictions])

    def _prediction(self, prediction: Prediction) -> prediction_pb2.Prediction:
        return prediction_pb2.Prediction(
            customer_id=prediction.customer_id,
            model_version=prediction.model_version,
            computed_at=moment_message(prediction.computed_at),
            values=value_messages(prediction.values, self.context),
        )

    def batch(self, events: Iterable[Event]) -> context_pb2.RecordEventsRequest:
        """Return a batch of events as the contract writes it."""
        return context_pb2.RecordEventsRequest(events=[self._event(event) for event in events])

    def _event(self, event: Event) -> context_pb2.Event:
        return context_pb2.Event(
            event_id=event.event_id,
            customer_id=event.customer_id,
            type=event.type,
            occurred_at=moment_message(event.occurred_at),
            attributes=value_messages(event.attributes, self.events.get(event.type, {})),
        )


def depth_number(depth: str) -> decision_pb2.ExplainDepth.ValueType:
    """Return a depth by its name: customer, agent or auditor; empty for as deep as the caller may see."""
    return decision_pb2.ExplainDepth.Value(f"EXPLAIN_DEPTH_{(depth or 'unspecified').upper()}")


def explain_message(
    decision_id: str, depth: str, what_if: WhatIf | None, actions: Sequence[str]
) -> decision_pb2.ExplainDecisionRequest:
    """Return a question about a decision as the contract writes it."""
    message = decision_pb2.ExplainDecisionRequest(
        decision_id=decision_id, depth=depth_number(depth), action_ids=actions
    )
    if what_if is not None:
        goal = f"WHAT_IF_GOAL_{(what_if.goal or 'unspecified').upper()}"
        message.what_if.CopyFrom(
            decision_pb2.WhatIf(
                action_id=what_if.action_id,
                goal=decision_pb2.WhatIfGoal.Value(goal),
                placement=what_if.placement,
                most_changes=what_if.most_changes,
            )
        )
    return message


def outcome_message(outcome: Outcome) -> outcome_pb2.Outcome:
    """Return an outcome as the contract writes it."""
    kinds = outcome_pb2.OutcomeKind
    name = f"OUTCOME_KIND_{outcome.kind.upper()}"
    if name not in kinds.keys():  # noqa: SIM118 - an enum wrapper is no mapping
        raise ValueError(f"{outcome.kind!r} is no outcome; use shown, clicked, accepted, refused, not_now or never")
    return outcome_pb2.Outcome(
        decision_id=outcome.decision_id,
        action_id=outcome.action_id,
        kind=kinds.Value(name),
        amount=outcome.amount,
        occurred_at=None if outcome.occurred_at is None else moment_message(outcome.occurred_at),
    )
