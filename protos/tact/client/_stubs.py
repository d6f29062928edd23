"""Every service of the contract by a short name, for what has no method of its own."""

from __future__ import annotations

import grpc
import grpc.aio

from tact.v1 import (
    audit_pb2_grpc,
    context_pb2_grpc,
    control_pb2_grpc,
    decision_pb2_grpc,
    identity_pb2_grpc,
    insight_pb2_grpc,
    journey_pb2_grpc,
    log_pb2_grpc,
    outcome_pb2_grpc,
    prediction_pb2_grpc,
    rights_pb2_grpc,
    supply_pb2_grpc,
    trigger_pb2_grpc,
)

ENDLESS = frozenset(
    {
        "/tact.v1.DecisionService/Watch",
        "/tact.v1.PredictionService/WatchChanges",
        "/tact.v1.SupplyService/WatchDemand",
        "/tact.v1.TriggerService/Subscribe",
    }
)
"""What goes on for as long as somebody listens, and so has no deadline unless one is given."""


class Stubs:
    """The services. Their calls have the client's deadlines, tokens and ids, and raise `CallFailed`."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.context = context_pb2_grpc.ContextServiceStub(channel)
        self.control = control_pb2_grpc.ControlServiceStub(channel)
        self.decision = decision_pb2_grpc.DecisionServiceStub(channel)
        self.identity = identity_pb2_grpc.IdentityServiceStub(channel)
        self.insight = insight_pb2_grpc.InsightServiceStub(channel)
        self.journey = journey_pb2_grpc.JourneyServiceStub(channel)
        self.log = log_pb2_grpc.LogServiceStub(channel)
        self.outcome = outcome_pb2_grpc.OutcomeServiceStub(channel)
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(channel)
        self.rights = rights_pb2_grpc.RightsServiceStub(channel)
        self.supply = supply_pb2_grpc.SupplyServiceStub(channel)
        self.trigger = trigger_pb2_grpc.TriggerServiceStub(channel)


class AsyncStubs:
    """The same on a loop: calls are awaited, streams iterated with `async for`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.context = context_pb2_grpc.ContextServiceStub(channel)
        self.control = control_pb2_grpc.ControlServiceStub(channel)
        self.decision = decision_pb2_grpc.DecisionServiceStub(channel)
        self.identity = identity_pb2_grpc.IdentityServiceStub(channel)
        self.insight = insight_pb2_grpc.InsightServiceStub(channel)
        self.journey = journey_pb2_grpc.JourneyServiceStub(channel)
        self.log = log_pb2_grpc.LogServiceStub(channel)
        self.outcome = outcome_pb2_grpc.OutcomeServiceStub(channel)
        self.prediction = prediction_pb2_grpc.PredictionServiceStub(channel)
        self.rights = rights_pb2_grpc.RightsServiceStub(channel)
        self.supply = supply_pb2_grpc.SupplyServiceStub(channel)
        self.trigger = trigger_pb2_grpc.TriggerServiceStub(channel)
