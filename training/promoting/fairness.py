"""The fairness table: what two models forecast, what came of it, and how often something would be said, by group.

Whether a difference is fair nobody can compute. The gate asks that a person has looked at this very table: its `code`
changes with any figure in it. Where nobody can look, a largest gap between forecast and rate may be set instead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from ..offpolicy.groups import FEWEST, members

Floats = npt.NDArray[np.float64]

ENOUGH = 100
"""So many known outcomes a group must have for its gap to count against a largest gap."""


@dataclass(frozen=True, slots=True)
class Group:
    """People alike in one feature: their decisions, those with a known outcome, the rate of outcomes among these and
    the mean forecasts for them, and the share of their decisions in which each model lets something be said.
    """

    field: str
    group: str
    decisions: int
    known: int
    rate: float | None
    challenger: float | None
    champion: float | None
    challenger_says: float
    champion_says: float

    @property
    def gap(self) -> float:
        """How far the challenger's mean forecast is from the rate; 0 where that is not known."""
        return abs(self.challenger - self.rate) if self.challenger is not None and self.rate is not None else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """For each decision (n,): both forecasts and the outcome, NaN if unknown, and how probably each says anything."""

    challenger: Floats
    champion: Floats
    outcome: Floats
    challenger_says: Floats
    champion_says: Floats


def fairness_table(decisions: Decisions, sides: Sides, fields: Sequence[str]) -> tuple[Group, ...]:
    """Return the groups by each field; those of fewer than 30 decisions are left out, as they tell of persons."""
    found = []
    for field in fields:
        for name, mask in members(decisions, field):
            if mask.sum() >= FEWEST:
                found.append(_group(field, name, mask, sides))
    return tuple(found)


def _group(field: str, name: str, mask: npt.NDArray[np.bool_], sides: Sides) -> Group:
    known = mask & ~np.isnan(sides.outcome) & ~np.isnan(sides.challenger) & ~np.isnan(sides.champion)
    rates = (sides.outcome, sides.challenger, sides.champion)
    rate, own, other = (float(values[known].mean()) if known.any() else None for values in rates)
    says = (float(values[mask].mean()) for values in (sides.challenger_says, sides.champion_says))
    return Group(field, name, int(mask.sum()), int(known.sum()), rate, own, other, *says)


def code_of(groups: Sequence[Group]) -> str:
    """Return 8 digits that stand for this very table."""
    plain: list[Mapping[str, object]] = [
        {name: round(fact, 4) if isinstance(fact, float) else fact for name, fact in asdict(group).items()}
        for group in groups
    ]
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


def widest(groups: Sequence[Group]) -> Group | None:
    """Return the group whose forecast is farthest from its rate, of those with enough known outcomes."""
    enough = [group for group in groups if group.known >= ENOUGH]
    return max(enough, key=lambda group: group.gap, default=None)
