"""The plan of a decision, which is also its entry in the decision log, and how it is packed."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from service.core.decision import Answer, Reason, Take


class Candidate(Struct, frozen=True, array_like=True):
    """One ranked action at one placement, with what it was ranked by.

    `probability` is the exact probability that it was ranked first, exploration included. `baseline` is the
    probability of its outcome when nothing is said, unset where no model knows it. `preferred` says that a rule or a
    used up cap asked for it instead of others. `why` is why it stands before others where it is promised, or where such
    a cap and no rule asked for it.
    """

    action: str
    propensity: float
    baseline: float | None
    net_value: float
    probability: float
    preferred: bool
    why: Reason | None = None


class PlacementPlan(Struct, frozen=True, array_like=True):
    """What may go into one placement, best first, and the suppression when nothing may.

    `pool` is the number of actions that exploration could have drawn, and `explored` says that the first was drawn.
    """

    placement: str
    candidates: tuple[Candidate, ...]
    pool: int
    explored: bool
    suppression: Answer | None


class Objection(Struct, frozen=True, array_like=True):
    """A candidate over which the two verdicts differ: the independent check forbids it, the judgement planned it.

    `rule` is by what the check forbids: a guardrail's id, or what is lacking, such as `consent`. Of the judgement it is
    told whether it `allowed` the action, and whether by its reading that rule holds (`truth`, unset for unknown).
    """

    placement: str
    action: str
    rule: str
    allowed: bool
    truth: bool | None


class Entry(Struct, frozen=True, array_like=True):
    """One decision as it is logged. `values` follows the fields of that strategy version; None is unknown.

    `draws` are the dice, one a placement, each in [0, 1). `asks` is the reason of the guardrail that asked for
    something else instead, if one did. `takes` holds what candidates take of the supply when they are said.
    `kept` are the promises that held, as (key, action). `objections` are those of the independent check, whose
    placements say nothing.
    """

    decision_id: str
    customer: str
    channel: str
    at_ms: int
    strategy: str
    model: str
    level: str
    degraded: tuple[Reason, ...]
    asks: Reason | None
    values: tuple[Any, ...]
    draws: tuple[float, ...]
    placements: tuple[PlacementPlan, ...]
    takes: tuple[Take, ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    objections: tuple[Objection, ...] = ()


pack = msgspec.msgpack.Encoder().encode
"""Return an entry's bytes."""


def version(packed: bytes) -> tuple[str, str]:
    """Return the versions of the strategy and the model of an entry; raises msgspec.DecodeError when it is none."""
    entry = unpack(packed)
    return entry.strategy, entry.model


unpack = msgspec.msgpack.Decoder(Entry).decode
"""Return the entry of bytes; raises msgspec.DecodeError when they are not one."""
