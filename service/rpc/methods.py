"""Every method of the contract with its implementation, found from the descriptors so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service.rpc.audit import Audits
from service.rpc.contexts import Contexts
from service.rpc.control import Controls
from service.rpc.decisions import Decisions
from service.rpc.edge import Current, Limits
from service.rpc.event_batches import MAX_BATCH_BYTES, read_batch
from service.rpc.identities import Identities
from service.rpc.log import Log
from service.rpc.origins import AUDITED, note
from service.rpc.outcomes import Outcomes
from service.rpc.predictions import Predictions
from service.rpc.requests import MAX_REQUEST_BYTES
from service.rpc.rights import Rights
from service.rpc.supply import Supplies
from service.rpc.tracing import traced
from service.rpc.wrapper import Handler, Seen, Times, collecting, conversing, parsed, telling, unary
from service.telemetry.sampling import CALLER
from tact.v1 import (
    audit_pb2,
    context_pb2,
    control_pb2,
    decision_pb2,
    identity_pb2,
    log_pb2,
    outcome_pb2,
    prediction_pb2,
    rights_pb2,
    supply_pb2,
)

CONTRACT: tuple[FileDescriptor, ...] = (
    decision_pb2.DESCRIPTOR,
    context_pb2.DESCRIPTOR,
    outcome_pb2.DESCRIPTOR,
    identity_pb2.DESCRIPTOR,
    prediction_pb2.DESCRIPTOR,
    rights_pb2.DESCRIPTOR,
    supply_pb2.DESCRIPTOR,
    control_pb2.DESCRIPTOR,
    log_pb2.DESCRIPTOR,
    audit_pb2.DESCRIPTOR,
)
_BATCHES = frozenset(
    {
        "RecordEvents",
        "RecordEventsStream",
        "RecordOutcomes",
        "RecordPredictions",
        "FinishChanges",
        "ReportSupply",
        "EraseCustomer",
        "SetSwitch",
        "ListErased",
    }
)
TRACED = ("DecideStream", "DecideBatches")
"""The streams that are traced; `Decide` is besides, and told as it begins, for a wrapper costs every call."""

EXPLAINED = ("ValidateDecision", "ExplainDecision")
"""The calls, beside those for decisions, whose answer depends on who calls."""

_READERS: Mapping[str, Callable[[bytes], Any]] = {"RecordEvents": read_batch, "Decide": bytes}
Handlers: TypeAlias = dict[str, dict[str, Handler]]
NOBODY: Mapping[str, Seen] = {}


def handlers_of(current: Current, limits: Limits) -> Handlers:
    """Return a handler for each method of each service; raise RuntimeError for a method without implementation."""
    implementations = {
        "tact.v1.DecisionService": Decisions(current),
        "tact.v1.ContextService": Contexts(current),
        "tact.v1.OutcomeService": Outcomes(current),
        "tact.v1.IdentityService": Identities(current),
        "tact.v1.PredictionService": Predictions(current),
        "tact.v1.RightsService": Rights(current),
        "tact.v1.SupplyService": Supplies(current),
        "tact.v1.ControlService": Controls(current),
        "tact.v1.LogService": Log(current),
        "tact.v1.AuditService": Audits(current),
    }
    asked = current.callers is not None
    seen: dict[str, Seen] = dict.fromkeys(AUDITED, note)
    if current.watch.traces or asked:
        seen["Decide"] = CALLER.set
    if asked:
        seen |= dict.fromkeys(EXPLAINED, CALLER.set)
    handlers = wrapped(CONTRACT, implementations, limits, seen)
    if current.watch.traces or asked:
        decisions = handlers["tact.v1.DecisionService"]
        decisions.update((name, traced(decisions[name])) for name in TRACED)
    return handlers


def wrapped(
    contract: tuple[FileDescriptor, ...],
    implementations: Mapping[str, object],
    limits: Limits,
    seen: Mapping[str, Seen] = NOBODY,
) -> Handlers:
    """Wrap the implementation of every method, a service's full name to its methods' names to handlers.

    `seen` is told of each call of a method with one answer, by the method's name.
    """
    return {
        service.full_name: {
            method.name: _handler(method, _implementation(method, implementations), limits, seen.get(method.name))
            for method in service.methods
        }
        for file in contract
        for service in file.services_by_name.values()
    }


def _implementation(method: MethodDescriptor, implementations: Mapping[str, object]) -> Callable[..., Any]:
    service = method.containing_service.full_name
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower()
    implementation = getattr(implementations.get(service), name, None)
    if not callable(implementation):
        raise RuntimeError(f"{service}.{method.name} has no implementation: write `{name}`")
    found: Callable[..., Any] = implementation
    return found


def _reader(method: MethodDescriptor) -> Callable[[bytes], Message]:
    most_bytes = MAX_BATCH_BYTES if method.name in _BATCHES else MAX_REQUEST_BYTES
    message_type = GetMessageClass(method.input_type)
    return lambda raw: parsed(message_type, raw, most_bytes)


def _handler(
    method: MethodDescriptor,
    implementation: Callable[..., Any],
    limits: Limits,
    seen: Seen | None,
) -> Handler:
    is_batch = method.name in _BATCHES
    times = Times(limits.batch_s if is_batch else limits.deadline_s, limits.longest_s)
    match method.client_streaming, method.server_streaming:
        case False, False:
            return unary(implementation, _READERS.get(method.name) or _reader(method), times, seen)
        case True, False:
            return collecting(implementation, times)
        case False, True:
            return telling(implementation, GetMessageClass(method.input_type), MAX_REQUEST_BYTES)
        case _:
            return conversing(implementation, times)
