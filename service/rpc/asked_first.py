"""Handlers for calls that come by another way than gRPC, whose gate is asked before a byte of the message is read.

guarded = server.guarded()
guarded.ask("tact.v1.DecisionService/Decide", call)                    # raises UnknownCaller, Forbidden, …
guarded.handlers["tact.v1.DecisionService"]["Decide"]                  # refuses whoever was not asked
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from service.errors import UnknownCaller
from service.rpc.methods import GateOf, Handlers
from service.rpc.wrapper import Gate

_PASSED: ContextVar[str | None] = ContextVar("passed", default=None)
"""The gate that the call at hand has passed, by the full name of its method."""


@dataclass(frozen=True, slots=True)
class Guarded:
    """Handlers by service and method, and the gates that are to be asked before them."""

    handlers: Handlers
    gates: GateOf

    def ask(self, method: str, call: Any) -> None:  # noqa: ANN401 - a call as gRPC has it
        """Ask a call of a method whether it may; raise what refuses it. The handler is to run in the same context."""
        if (gate := self.gates(method)) is not None:
            gate(call)
        _PASSED.set(method)


def having_asked(method: str) -> Gate:
    """Return the gate of a handler that stands behind another one: it lets in who passed that one, and nobody else."""

    def gate(_: Any) -> None:  # noqa: ANN401 - as above
        if _PASSED.get() != method:
            raise UnknownCaller("nobody was asked who calls")

    return gate
