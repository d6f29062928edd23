"""What an entry of the file of callers says of how far its callers may go; where it is silent, the role says it."""

from __future__ import annotations

from dataclasses import dataclass

from models.context import Audience
from models.records import Record
from models.shapes import NAME, Choice
from service.core.explained import Depth
from service.rpc.access.quotas import MOST_CUSTOMERS
from service.rpc.access.roles import MEANS
from service.rpc.access.who import Role

DEPTHS = {Audience.CUSTOMER: Depth.CUSTOMER, Audience.AGENT: Depth.AGENT, Audience.AUDITOR: Depth.AUDITOR}
COUNTED = (Role.DESKTOP, Role.EMAIL, Role.INGEST, Role.PRIVACY_OFFICER)
"""The roles whose customers may be counted: others have one, or are told of none by name."""
FASTEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far callers may go at most; unset where their role says it."""

    channels: frozenset[str] | None = None
    depth: Depth | None = None
    calls_per_s: float | None = None
    customers_per_hour: int | None = None


def read_bounds(record: Record, roles: tuple[Role, ...]) -> Bounds:
    """Read how far callers of these roles may go, and refuse what does not belong to such roles."""
    channels = frozenset(record.texts("channels", NAME, required=record.has("channels")))
    if record.has("channels") and (len(roles) > 1 or any(not MEANS[role].channels for role in roles)):
        record.refuse("`channels` belong to one of the roles that decide: desktop, web or email", "channels")
    counted = record.has("customers_per_hour")
    if counted and any(role not in COUNTED for role in roles):
        record.refuse(f"`customers_per_hour` belongs to the roles {', '.join(COUNTED)}", "customers_per_hour")
    return Bounds(
        channels or None,
        _depth(record, roles),
        record.number("calls_per_s", low=0.01, high=FASTEST) if record.has("calls_per_s") else None,
        record.whole("customers_per_hour", low=1, high=MOST_CUSTOMERS) if counted else None,
    )


def _depth(record: Record, roles: tuple[Role, ...]) -> Depth | None:
    if not record.has("depth"):
        return None
    said = record.value("depth", Choice(Audience), None, None)
    deepest = max((MEANS[role].depth for role in roles), default=Depth.AUDITOR)
    if said is not None and DEPTHS[said] > deepest:
        most = next(word for word, depth in DEPTHS.items() if depth is deepest)
        record.refuse(f"`depth` is {said}, and {' or '.join(roles)} may see as deep as {most} at most", "depth")
    return None if said is None else DEPTHS[said]
