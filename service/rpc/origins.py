"""Who calls and from where, for the audit record: at hand wherever the call is answered."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

from service.rpc.access.who import WHO

ORIGIN: ContextVar[str] = ContextVar("origin", default="")
"""The host that calls, and before it the name of who calls from there, where that is known: no caller can choose what
stands here. Empty where nobody notes it.
"""

AUDITED = ("SetSwitch", "SetConsent", "EraseCustomer")
"""The methods whose callers are noted."""


def note(call: Any) -> None:  # noqa: ANN401 - a call as gRPC has it, which runs in a context of its own
    """Note who calls and from where."""
    who, host = WHO.get(), host_of(call.peer())
    ORIGIN.set(host if who is None else f"{who.name} at {host}")


def host_of(peer: str) -> str:
    """Return the host of a caller as gRPC names it; without the port, which says nothing.

    >>> host_of("ipv4:10.0.0.7:41234"), host_of("ipv6:%5B::1%5D:41234"), host_of("unix:")
    ('10.0.0.7', '::1', 'unix')
    """
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return kind[:64]
    return unquote(rest.rpartition(":")[0]).strip("[]")[:64]
