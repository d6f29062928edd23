"""The rows of a log while it is being read: decisions, what came of them, and events, as they lie in the spool."""

from __future__ import annotations

import msgspec

from models.context import Scalar
from training.decisions import NOTHING

__all__ = ["NOTHING", "Came", "Decided", "Happened"]


class Came(msgspec.Struct, frozen=True, array_like=True):
    """What was reported of a decision: of which action, of what kind, when (ms, or None), and an amount or None."""

    action: str
    kind: str
    at_ms: int | None
    amount: float | None


class Decided(msgspec.Struct, frozen=True, array_like=True):
    """One placement of one decision.

    `told` holds what the row says was known, by the index of the field; None is unknown, and a field that is not there
    may be computed from events. `allowed` is None where the log does not say. `labels` say, an action, whether its
    outcome happened, in logs that say so themselves; None where outcomes are reported one by one.
    """

    id: str
    placement: str
    customer: str
    at_ms: int
    action: str
    probability: float
    told: dict[int, Scalar | None]
    allowed: tuple[str, ...] | None = None
    came: tuple[Came, ...] = ()
    labels: dict[str, int] | None = None


class Happened(msgspec.Struct, frozen=True, array_like=True):
    """One event of one customer."""

    id: str
    customer: str
    type: str
    at_ms: int
    attributes: dict[str, Scalar]
