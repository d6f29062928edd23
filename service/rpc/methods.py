"""Every method of the contract with its implementation, found from the descriptors so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from service.rpc.access.roles import check_table
from service.rpc.audit import Audits
from service.rpc.contexts import Contexts
from service.rpc.control import Controls
from service.rpc.decisions import Decisions
from service.rpc.edge import Current, Limits
from service.rpc.event_batches import MAX_BATCH_BYTES, read_batch
from service.rpc.flooding import check_entries
from service.rpc.identities import Identities
from service.rpc.insights import Insights
from service.rpc.journeys import Journeys
from service.rpc.log import Log
from service.rpc.origins import AUDITED, note
from service.rpc.outcomes import Outcomes
from service.rpc.predictions import Predictions
from service.rpc.rights import Rights
from service.rpc.supply import Supplies
from service.rpc.tracing import traced
from service.rpc.triggers import Triggers
from service.rpc.wrapper import (
    MAX_REQUEST_BYTES,
    Gate,
    Handler,
    Seen,
    Times,
    check_size,
    collecting,
    conversing,
    parsed,
    telling,
    unary,
)
from service.telemetry.sampling import CALLER
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
    trigger_pb2.DESCRIPTOR,
    journey_pb2.DESCRIPTOR,
    insight_pb2.DESCRIPTOR,
)
ENTRIES: Mapping[str, str] = {
    "RecordEvents": "events",
    "RecordEventsStream": "events",
    "RecordOutcomes": "outcomes",
    "RecordPredictions": "predictions",
    "FinishChanges": "changes",
    "ReportSupply": "reports",
    "ListErased": "customer_ids",
    "Acknowledge": "acknowledgements",
    "ReleaseDeadMoments": "moments",
}
"""The batches: the methods whose messages may be long, with the field of their entries."""

_LONG = frozenset(
    {*ENTRIES, "EraseCustomer", "SetSwitch", "ListDeadMoments", "SearchCustomers", "GetJourney", "GetInsight"}
)
"""The methods that may take longer where the caller names no deadline."""

TRACED = ("DecideStream", "DecideBatches")
"""The streams that are traced; `Decide` is besides, and told as it begins, for a wrapper costs every call."""

_TAKEN_S: Mapping[str, float] = {"Watch": 5.0}
"""Within how many seconds a message has to be taken; elsewhere a caller who does not read only waits."""

_READERS: Mapping[str, Callable[[bytes], Any]] = {"RecordEvents": read_batch, "Decide": bytes}
Handlers: TypeAlias = dict[str, dict[str, Handler]]
NOBODY: Mapping[str, Seen] = {}
GateOf: TypeAlias = Callable[[str], Gate | None]
"""Returns what asks each call of a method, by its full name, whether it may."""


def no_gate(_: str) -> None:
    """Ask no call of any method."""


def implementations_of(current: Current) -> dict[str, object]:
    """Return what answers the methods of each service, by its full name."""
    return {
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
        "tact.v1.TriggerService": Triggers(current),
        "tact.v1.JourneyService": Journeys(current),
        "tact.v1.InsightService": Insights(current),
    }


def handlers_of(
    current: Current,
    limits: Limits,
    implementations: Mapping[str, object] | None = None,
    gates: GateOf | None = None,
) -> Handlers:
    """Return a handler for each method of each service; raise RuntimeError for a method without implementation.

    `implementations` answer, new ones where none are given. `gates` are asked in place of those of the access, where
    these were asked before.
    """
    check_table(methods_in(CONTRACT))
    seen: dict[str, Seen] = dict.fromkeys(AUDITED, note)
    if current.watch.traces:
        seen["Decide"] = CALLER.set
    gates = gates or (no_gate if current.access is None else current.access.gate)
    still = None if current.access is None else current.access.check_still
    implementations = implementations or implementations_of(current)
    handlers = wrapped(CONTRACT, implementations, limits, seen, gates, still)
    if current.watch.traces:
        decisions = handlers["tact.v1.DecisionService"]
        decisions.update((name, traced(decisions[name])) for name in TRACED)
    return handlers


def wrapped(
    contract: tuple[FileDescriptor, ...],
    implementations: Mapping[str, object],
    limits: Limits,
    seen: Mapping[str, Seen] = NOBODY,
    gates: GateOf = no_gate,
    still: Callable[[], None] | None = None,
) -> Handlers:
    """Wrap the implementation of every method, a service's full name to its methods' names to handlers.

    `seen` is told of each call of a method with one answer, by the method's name; `still` is asked before each answer
    to a caller who asked once and is told many.
    """

    def handler(method: MethodDescriptor) -> Handler:
        answers, gate = _implementation(method, implementations), gates(full_name(method))
        return _handler(method, answers, limits, seen.get(method.name), gate, still)

    return {
        service.full_name: {method.name: handler(method) for method in service.methods}
        for file in contract
        for service in file.services_by_name.values()
    }


def methods_in(contract: tuple[FileDescriptor, ...]) -> Iterator[str]:
    """Yield the full names of all methods, such as tact.v1.DecisionService/Decide."""
    for file in contract:
        for service in file.services_by_name.values():
            yield from map(full_name, service.methods)


def full_name(method: MethodDescriptor) -> str:
    """Return the name of a method with that of its service, as it stands in the path of a call."""
    return f"{method.containing_service.full_name}/{method.name}"


def _implementation(method: MethodDescriptor, implementations: Mapping[str, object]) -> Callable[..., Any]:
    service = method.containing_service.full_name
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", method.name).lower()
    implementation = getattr(implementations.get(service), name, None)
    if not callable(implementation):
        raise RuntimeError(f"{service}.{method.name} has no implementation: write `{name}`")
    found: Callable[..., Any] = implementation
    return found


def _reader(method: MethodDescriptor) -> Callable[[bytes], Message]:
    message_type = GetMessageClass(method.input_type)
    entries = ENTRIES.get(method.name)
    if entries is None:
        return lambda raw: parsed(message_type, raw, MAX_REQUEST_BYTES)

    def read(raw: bytes) -> Message:
        check_size(raw, MAX_BATCH_BYTES)
        check_entries(entries, raw)
        return parsed(message_type, raw, MAX_BATCH_BYTES)

    return read


def _reads(method: MethodDescriptor) -> Callable[[bytes], Any]:
    return _READERS.get(method.name) or _reader(method)


def _handler(
    method: MethodDescriptor,
    implementation: Callable[..., Any],
    limits: Limits,
    seen: Seen | None,
    gate: Gate | None,
    still: Callable[[], None] | None,
) -> Handler:
    times = Times(limits.batch_s if method.name in _LONG else limits.deadline_s, limits.longest_s)
    match method.client_streaming, method.server_streaming:
        case False, False:
            return unary(implementation, _reads(method), times, seen, gate)
        case True, False:
            return collecting(implementation, times, gate)
        case False, True:
            kind = GetMessageClass(method.input_type)
            taken_s = _TAKEN_S.get(method.name)
            return telling(implementation, kind, MAX_REQUEST_BYTES, gate, still, taken_s)
        case _:
            return conversing(implementation, times, gate)
