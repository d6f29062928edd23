"""A good message of every method, to spoil; the strategy that it is good for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tact.v1 import (
    audit_pb2,
    context_pb2,
    control_pb2,
    decision_pb2,
    identity_pb2,
    insight_pb2,
    journey_pb2,
    log_pb2,
    outcome_pb2,
    prediction_pb2,
    rights_pb2,
    supply_pb2,
    trigger_pb2,
)
from tact.v1.values_pb2 import Value
from tests.rpc.world import MORE_EVENTS, MORE_FIELDS
from tests.strategies import SECTIONS, write_strategy

MODEL_FIELD = """\
  - id: predicted.churn
    says: How likely they leave.
    type: double
    low: 0
    high: 1
    purpose: profiling
    source: model
    max_age: 40d
"""
DECISION = "0ab" + "2" * 23
HEAD = "0" * 40 + "1-0"


def write(folder: Path) -> Path:
    """Write a strategy with a request field of every type, an event of loose attributes and a predicted field."""
    fields, events = SECTIONS["fields"] + MORE_FIELDS + MODEL_FIELD, SECTIONS["events"] + MORE_EVENTS
    return write_strategy(folder, fields=fields, events=events)


def moment(after_s: float = 0.0) -> Timestamp:
    """Return now, or some seconds later."""
    return Timestamp(seconds=int(time.time() + after_s))


def _ask() -> decision_pb2.DecideRequest:
    context = {"present.sentiment": Value(double_value=0.5), "present.calls": Value(int_value=2)}
    return decision_pb2.DecideRequest(
        customer_id="c-1", channel="web", placements=["greeting"], context=context, idempotency_key="k", request_id="r"
    )


def _event() -> context_pb2.Event:
    attributes = {"text": Value(string_value="bill"), "number": Value(int_value=3)}
    return context_pb2.Event(
        event_id="e-1", customer_id="c-1", type="noted", occurred_at=moment(), attributes=attributes
    )


def _consent() -> context_pb2.SetConsentRequest:
    agreed = context_pb2.Consent(level="personal", contact_channels=["email"], given_at=moment(), source="web form")
    return context_pb2.SetConsentRequest(customer_id="c-1", consent=agreed)


def _outcome() -> outcome_pb2.Outcome:
    return outcome_pb2.Outcome(
        decision_id=DECISION, action_id="greet", kind=outcome_pb2.OUTCOME_KIND_SHOWN, occurred_at=moment(), amount=1.5
    )


def _prediction() -> prediction_pb2.Prediction:
    return prediction_pb2.Prediction(
        customer_id="c-1",
        model_version="churn@1",
        computed_at=moment(),
        values={"predicted.churn": Value(double_value=0.1)},
    )


def _report() -> supply_pb2.SupplyReport:
    return supply_pb2.SupplyReport(
        item="truck", place="berlin", available=3, observed_at=moment(-5), expires_at=moment(3_600)
    )


def _switch() -> control_pb2.SetSwitchRequest:
    return control_pb2.SetSwitchRequest(
        action_id="greet", state=control_pb2.SWITCH_STATE_OFF, because="A typing error.", by="olga"
    )


def _explain() -> decision_pb2.ExplainDecisionRequest:
    return decision_pb2.ExplainDecisionRequest(
        decision_id=DECISION, what_if=decision_pb2.WhatIf(action_id="greet"), action_ids=["greet"]
    )


def _moment() -> trigger_pb2.MomentName:
    return trigger_pb2.MomentName(customer_id="c-1", trigger_id="cart-left", key="cart-1")


def named(method: MethodDescriptor) -> str:
    """Return a method's name; with that of its service where another one has the same."""
    return "DecisionService.Watch" if method.full_name == "tact.v1.DecisionService.Watch" else str(method.name)


def _live_messages() -> Mapping[str, Message]:
    """Return those of what is told as it happens, and of what pages show."""
    return {
        "DecisionService.Watch": decision_pb2.WatchRequest(question=_ask(), heartbeat_ms=1_000, every_cause=True),
        "Subscribe": trigger_pb2.SubscribeRequest(channel="web", most=10, lease_seconds=10, until_none=True),
        "Acknowledge": trigger_pb2.AcknowledgeRequest(
            channel="web",
            acknowledgements=[
                trigger_pb2.Acknowledgement(
                    name=_moment(), loan="1800000000000.001", result=trigger_pb2.MOMENT_RESULT_SAID
                )
            ],
        ),
        "ListDeadMoments": trigger_pb2.ListDeadMomentsRequest(channel="web", most=10, customer_id="c-1"),
        "ReleaseDeadMoments": trigger_pb2.ReleaseDeadMomentsRequest(channel="web", moments=[_moment()]),
        "SearchCustomers": journey_pb2.SearchCustomersRequest(query="c-1", limit=5),
        "GetJourney": journey_pb2.GetJourneyRequest(customer_id="c-1", limit=5, page_token="1800000000000"),
        "GetStrategy": insight_pb2.GetStrategyRequest(),
        "GetInsight": insight_pb2.GetInsightRequest(since=moment(-60), step_minutes=60),
    }


def messages() -> Mapping[str, Message]:
    """Return a good message of each method, as `named` names it."""
    return {
        "Decide": _ask(),
        "DecideStream": _ask(),
        "DecideBatches": decision_pb2.DecideBatchesRequest(requests=[_ask()]),
        "ValidateDecision": decision_pb2.ValidateDecisionRequest(decision_id=DECISION),
        "ExplainDecision": _explain(),
        "RecordEvents": context_pb2.RecordEventsRequest(events=[_event()]),
        "RecordEventsStream": context_pb2.RecordEventsRequest(events=[_event()]),
        "GetContext": context_pb2.GetContextRequest(customer_id="c-1"),
        "SetConsent": _consent(),
        "GetConsent": context_pb2.GetConsentRequest(customer_id="c-1", history=True),
        "RecordOutcomes": outcome_pb2.RecordOutcomesRequest(outcomes=[_outcome()]),
        "LinkIdentity": identity_pb2.LinkIdentityRequest(alias_id="a-1", customer_id="c-1"),
        "UnlinkIdentity": identity_pb2.UnlinkIdentityRequest(alias_id="a-1", customer_id="c-1"),
        "GetIdentities": identity_pb2.GetIdentitiesRequest(customer_id="c-1"),
        "RecordPredictions": prediction_pb2.RecordPredictionsRequest(predictions=[_prediction()]),
        "WatchChanges": prediction_pb2.WatchChangesRequest(most=10, lease_seconds=10, until_none=True),
        "FinishChanges": prediction_pb2.FinishChangesRequest(
            changes=[prediction_pb2.Change(customer_id="c-1", loan="1800000000000.001")]
        ),
        "ExportCustomer": rights_pb2.ExportCustomerRequest(customer_id="c-1"),
        "EraseCustomer": rights_pb2.EraseCustomerRequest(customer_id="c-2"),
        "ReportSupply": supply_pb2.ReportSupplyRequest(reports=[_report()]),
        "WatchDemand": supply_pb2.WatchDemandRequest(items=["truck"], until_none=True),
        "GetStatus": control_pb2.GetStatusRequest(),
        "SetSwitch": _switch(),
        "ListSwitches": control_pb2.ListSwitchesRequest(),
        "ReadLog": log_pb2.ReadLogRequest(positions=[log_pb2.LogPosition(bucket=3)]),
        "VerifyLog": log_pb2.VerifyLogRequest(
            anchors=[log_pb2.LogAnchor(bucket=3, chain=log_pb2.LOG_CHAIN_DECISIONS, head=HEAD)], unlinked_until=moment()
        ),
        "ListErased": log_pb2.ListErasedRequest(customer_ids=["c-1"]),
        **_live_messages(),
        "ReadAudit": audit_pb2.ReadAuditRequest(kinds=[audit_pb2.AUDIT_KIND_SWITCH], until=moment()),
        "Check": health_pb2.HealthCheckRequest(),
        "Watch": health_pb2.HealthCheckRequest(),
        "ServerReflectionInfo": reflection_pb2.ServerReflectionRequest(list_services=""),
    }
