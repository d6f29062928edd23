"""The plan of a decision, which is also its entry in the decision log, and how it is packed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from service.core.decision import Answer, Reason, Take
from service.core.memory import Promised, Refusal


class Candidate(Struct, frozen=True, array_like=True):
    """One ranked action at one placement, with what it was ranked by.

    `probability` is the exact probability that it was ranked first, exploration included. `baseline` is the
    probability of its outcome when nothing is said, unset where no model knows it. `preferred` says that a rule or a
    used up cap asked for it instead of others. `why` is why it stands before others where it is promised, or where such
    a cap and no rule asked for it. `learned` says that the net value was learned from what saying it earned, not made
    by the formula.
    """

    action: str
    propensity: float
    baseline: float | None
    net_value: float
    probability: float
    preferred: bool
    why: Reason | None = None
    learned: bool = False


class Odds(Struct, frozen=True, array_like=True):
    """How likely an action is what a placement says first; saying nothing is called `nothing`.

    `probability` is that of the draw, for the group that the person is in; `everyone` that over people like this one,
    whose group is drawn as well.
    """

    action: str
    probability: float
    everyone: float


class Learnt(Struct, frozen=True, array_like=True):
    """What was learned of an action between trainings, by the moment of the decision.

    The model or the prior `predicted` its propensity. How many times that is the truth is known as a gamma distribution
    of this `shape` and `rate`, whose mean is `shape / rate`.
    """

    action: str
    predicted: float
    shape: float
    rate: float


class PlacementPlan(Struct, frozen=True, array_like=True):
    """What may go into one placement, best first, and the suppression when nothing may.

    `pool` is the number of actions that exploration could have drawn, and `explored` says that the first was drawn.
    `policy` names what drew, and `odds` are those of everything that it could draw, in the order of the draw; they add
    up to 1. Both are empty where the strategy declares neither exploration nor control groups: then it says the best,
    or with the probability `explore` any one of the pool. `exploration.py` knows the names.
    """

    placement: str
    candidates: tuple[Candidate, ...]
    pool: int
    explored: bool
    suppression: Answer | None
    policy: str = ""
    odds: tuple[Odds, ...] = ()


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


class Shadowed(Struct, frozen=True, array_like=True):
    """An action as the challenger scores it; `probability` is that with which it would have ranked it first."""

    action: str
    propensity: float
    baseline: float | None
    net_value: float
    probability: float


class Shadow(Struct, frozen=True, array_like=True):
    """What another model would have said, which had no part in the answer.

    `placements` follow those of the entry: what the challenger would have tried, best first, and then the candidates
    of the entry that are not among them. `failed` names the kind of error where it could not be asked, and then there
    are no placements. `first` is what it would have tried first at each placement; empty for nothing.
    """

    model: str
    placements: tuple[tuple[Shadowed, ...], ...]
    failed: str = ""
    first: tuple[str, ...] = ()


class Seen(Struct, frozen=True, array_like=True):
    """What a decision was made from beside the values: so much that it can be made again.

    `permitted` says whether the customer might be contacted unasked. `used` holds the uses (ms, ascending) of the cap
    counters that were used up, the latest of each that decide. `refusals` and `promised` are remembered, where the
    strategy looks at that; `off` and `all_off` were switched off. `trigger` is what made it due; empty where it was
    asked for.
    """

    permitted: bool = True
    used: Mapping[str, tuple[int, ...]] = {}
    refusals: tuple[Refusal, ...] = ()
    promised: tuple[Promised, ...] = ()
    off: tuple[str, ...] = ()
    all_off: bool = False
    trigger: str = ""


SEEN_NOTHING = Seen()


class Entry(Struct, frozen=True, array_like=True):
    """One decision as it is logged. `values` follows the fields of that strategy version; None is unknown.

    `draws` are the dice, one a placement, each in [0, 1). `asks` is the reason of the guardrail that asked for
    something else instead, if one did. `takes` holds what candidates take of the supply when they are said.
    `kept` are the promises that held, as (key, action). `objections` are those of the independent check, whose
    placements say nothing. `shadow` is what a challenger would have said, where one is asked beside.
    `learned` is what was learned between trainings of what has words here, and `segment` by whose counts. `seen` is
    unset in entries of before it was logged, which cannot be made again.
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
    shadow: Shadow | None = None
    learned: tuple[Learnt, ...] = ()
    segment: str = ""
    seen: Seen | None = None


pack = msgspec.msgpack.Encoder().encode
"""Return an entry's bytes."""


def version(packed: bytes) -> tuple[str, str]:
    """Return the versions of the strategy and the model of an entry; raises msgspec.DecodeError when it is none."""
    entry = unpack(packed)
    return entry.strategy, entry.model


unpack = msgspec.msgpack.Decoder(Entry).decode
"""Return the entry of bytes; raises msgspec.DecodeError when they are not one."""
