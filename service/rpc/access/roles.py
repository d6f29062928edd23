"""What each role may do: every method of the service by name, with the roles that may call it.

A method that stands nowhere here keeps the service from starting, so a new one cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.core.explained import Depth
from service.rpc.access.who import Role

HEALTH, REFLECTION = "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"
OPEN = frozenset({f"{HEALTH}/Check"})
"""What needs no identity: balancers ask it, and it tells nobody anything but whether the service serves."""

_DESKTOP, _WEB, _EMAIL, _INGEST = Role.DESKTOP, Role.WEB, Role.EMAIL, Role.INGEST
_STRATEGIST, _PRIVACY, _OPERATOR, _PROBE = Role.STRATEGIST, Role.PRIVACY_OFFICER, Role.OPERATOR, Role.PROBE

_BY_SERVICE: Mapping[str, Mapping[str, frozenset[Role]]] = {
    "tact.v1.DecisionService": {
        "Decide": frozenset({_DESKTOP, _WEB, _EMAIL}),
        "DecideStream": frozenset({_DESKTOP, _WEB, _EMAIL}),
        "DecideBatches": frozenset({_DESKTOP, _EMAIL}),
        "ValidateDecision": frozenset({_DESKTOP, _WEB, _EMAIL}),
        "ExplainDecision": frozenset({_DESKTOP, _WEB, _STRATEGIST, _PRIVACY}),
        "Watch": frozenset({_DESKTOP, _WEB}),
    },
    "tact.v1.ContextService": {
        "RecordEvents": frozenset({_INGEST}),
        "RecordEventsStream": frozenset({_INGEST}),
        "GetContext": frozenset({_DESKTOP, _PRIVACY}),
        "SetConsent": frozenset({_DESKTOP, _WEB, _INGEST, _PRIVACY}),
        "GetConsent": frozenset({_DESKTOP, _WEB, _EMAIL, _INGEST, _PRIVACY}),
    },
    "tact.v1.OutcomeService": {"RecordOutcomes": frozenset({_DESKTOP, _WEB, _EMAIL, _INGEST})},
    "tact.v1.IdentityService": {
        "LinkIdentity": frozenset({_INGEST, _PRIVACY}),
        "UnlinkIdentity": frozenset({_INGEST, _PRIVACY}),
        "GetIdentities": frozenset({_DESKTOP, _INGEST, _PRIVACY}),
    },
    "tact.v1.PredictionService": {
        "RecordPredictions": frozenset({_INGEST}),
        "WatchChanges": frozenset({_INGEST}),
        "FinishChanges": frozenset({_INGEST}),
    },
    "tact.v1.RightsService": {
        "ExportCustomer": frozenset({_PRIVACY}),
        "EraseCustomer": frozenset({_PRIVACY}),
    },
    "tact.v1.SupplyService": {
        "ReportSupply": frozenset({_INGEST}),
        "WatchDemand": frozenset({_INGEST, _OPERATOR}),
    },
    "tact.v1.ControlService": {
        "GetStatus": frozenset({_STRATEGIST, _OPERATOR, _PROBE}),
        "SetSwitch": frozenset({_STRATEGIST, _OPERATOR}),
        "ListSwitches": frozenset({_STRATEGIST, _OPERATOR}),
    },
    "tact.v1.LogService": {
        "ReadLog": frozenset({_STRATEGIST}),
        "ListErased": frozenset({_STRATEGIST, _PRIVACY}),
        "VerifyLog": frozenset({_STRATEGIST, _PRIVACY, _OPERATOR}),
    },
    "tact.v1.TriggerService": {
        "Subscribe": frozenset({_DESKTOP, _EMAIL}),
        "Acknowledge": frozenset({_DESKTOP, _EMAIL}),
        "ListDeadMoments": frozenset({_STRATEGIST, _OPERATOR}),
        "ReleaseDeadMoments": frozenset({_STRATEGIST, _OPERATOR}),
    },
    "tact.v1.AuditService": {"ReadAudit": frozenset({_PRIVACY, _OPERATOR})},
    "tact.v1.JourneyService": {
        "SearchCustomers": frozenset({_DESKTOP, _PRIVACY}),
        "GetJourney": frozenset({_DESKTOP, _PRIVACY}),
    },
    "tact.v1.InsightService": {
        "GetStrategy": frozenset({_DESKTOP, _STRATEGIST}),
        "GetInsight": frozenset({_STRATEGIST}),
    },
    HEALTH: {"Check": frozenset(Role), "Watch": frozenset({_OPERATOR, _PROBE})},
    REFLECTION: {"ServerReflectionInfo": frozenset({_OPERATOR})},
}
METHODS: Mapping[str, frozenset[Role]] = {
    f"{service}/{method}": roles for service, methods in _BY_SERVICE.items() for method, roles in methods.items()
}
"""The roles that may call a method, by its full name."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a role has where its caller's entry says nothing else, and at most.

    `depth` is how deep it may see at most; `channels` are those that it decides for; an `own` caller has one customer
    and is asked about no other. `calls_per_s` and `customers_per_hour` bound it; unset for no bound.
    """

    depth: Depth
    channels: frozenset[str] = frozenset()
    own: bool = False
    calls_per_s: float | None = None
    customers_per_hour: int | None = None


MEANS: Mapping[Role, Means] = {
    Role.DESKTOP: Means(Depth.AGENT, frozenset({"desk", "desktop"}), calls_per_s=500.0, customers_per_hour=20_000),
    Role.WEB: Means(Depth.CUSTOMER, frozenset({"web"}), own=True, calls_per_s=20.0),
    Role.EMAIL: Means(Depth.CUSTOMER, frozenset({"email"})),
    Role.INGEST: Means(Depth.CUSTOMER),
    Role.STRATEGIST: Means(Depth.AUDITOR, calls_per_s=50.0),
    Role.PRIVACY_OFFICER: Means(Depth.AUDITOR, calls_per_s=50.0, customers_per_hour=2_000),
    Role.OPERATOR: Means(Depth.CUSTOMER, calls_per_s=50.0),
    Role.PROBE: Means(Depth.CUSTOMER, calls_per_s=10.0),
}

OWN_ONLY = frozenset(
    {
        "tact.v1.DecisionService/Decide",
        "tact.v1.DecisionService/DecideStream",
        "tact.v1.DecisionService/ValidateDecision",
        "tact.v1.DecisionService/ExplainDecision",
        "tact.v1.DecisionService/Watch",
        "tact.v1.ContextService/SetConsent",
        "tact.v1.ContextService/GetConsent",
        "tact.v1.OutcomeService/RecordOutcomes",
    }
)
"""The methods that look whose customer it is. A role with one customer may call no other, which is checked below."""


def check_table(methods: Iterable[str]) -> None:
    """Raise RuntimeError unless the table names exactly these methods, and lets nobody past their own customer."""
    served = {*methods, *(name for name in METHODS if name.startswith(("grpc.",)))}
    if missing := sorted(served - METHODS.keys()):
        raise RuntimeError(f"no role may call {', '.join(missing)}: say who may in service/rpc/access/roles.py")
    if gone := sorted(METHODS.keys() - served):
        raise RuntimeError(f"there is no {', '.join(gone)} any more: take it out of service/rpc/access/roles.py")
    for name, roles in METHODS.items():
        if name not in OWN_ONLY | OPEN and any(MEANS[role].own for role in roles):
            raise RuntimeError(f"{name} does not look whose customer it is, and a role with one customer may call it")
