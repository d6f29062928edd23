"""The caller of the call at hand, known before its message is read; at hand wherever the call is answered."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from service.core.explained import Depth


class Role(StrEnum):
    """What a caller is there for. `service/rpc/access/roles.py` says what each may do."""

    DESKTOP = "desktop"
    WEB = "web"
    EMAIL = "email"
    INGEST = "ingest"
    STRATEGIST = "strategist"
    PRIVACY_OFFICER = "privacy_officer"
    OPERATOR = "operator"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever calls, as a certificate or a token says.

    `name` tells the audit record who it was. `identity` is whose quota it is: two callers never have the same one.
    `channels` are those that it may decide for, `depth` is how deep it may see. `customer` is the only customer that it
    may ask about; unset for all of them. `calls_per_s` and `customers_per_hour` bound what it may ask for; unset for
    no bound. What it brought counts until `until_s`, in seconds since 1970; unset for as long as its entry stands.
    """

    name: str
    role: Role
    channels: frozenset[str]
    depth: Depth
    customer: str | None = None
    identity: str = ""
    calls_per_s: float | None = None
    customers_per_hour: int | None = None
    until_s: float | None = None


WHO: ContextVar[Caller | None] = ContextVar("who", default=None)
"""The caller of the call at hand; unset where everybody may do everything."""
