"""The public Starbucks month as logged decisions: what was known at each wave, and what came of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.features import FeatureSpace
from training.dataset import blinds
from training.decisions import Decisions
from training.fitting import Blind
from training.log.build import Order, build
from training.progress import progress
from training.strategy import Declared, read_strategy
from training.worlds import starbucks
from training.worlds.starbucks_files import read

STRATEGY = Path(__file__).parent.parent / "strategies" / "starbucks"
LEARNED_FROM, TESTED_ON, VALUED_ON = (0, 168), (408, 504), (336, 408, 504)
"""The hours of the waves that models are learned from, that propensities are tested on, and policies are valued on."""
WAVES = tuple(sorted({*LEARNED_FROM, *TESTED_ON, *VALUED_ON}))
PROFILE = ("past.member_days", "past.gender", "past.age", "past.income")


@dataclass(frozen=True, slots=True, eq=False)
class Month:
    """The decisions of these waves as the strategy declares features, outcomes and worth."""

    declared: Declared
    decisions: Decisions

    @property
    def groups(self) -> dict[str, str]:
        """Return the group of each action."""
        return {action.id: action.group for action in self.declared.outcomes.actions}

    def waves(self, hours: Collection[int]) -> Decisions:
        """Return the decisions of some waves."""
        hour = (self.decisions.at_ms - starbucks.HOUR_ZERO_MS) // starbucks.HOUR_MS
        return self.decisions.part(np.isin(hour, list(hours)))

    def blinds(self) -> tuple[Blind, ...]:
        """Return what a model cannot see of a member who has not agreed to one of the purposes."""
        return blinds(self.declared.schema, self.declared.space)

    def profile(self) -> Month:
        """Return the month as it is known from what the members told about themselves alone."""
        space = FeatureSpace.of(self.declared.schema, PROFILE)
        kept = [self.decisions.columns.index(name) for name in space.columns]
        seen = replace(self.decisions, columns=space.columns, x=np.ascontiguousarray(self.decisions.x[:, kept]))
        return Month(replace(self.declared, space=space), seen)


def read_month(data: Path, folder: Path) -> Month:
    """Prepare the public files in a folder, and read them as `tact train` reads a log.

    The ten-day offers of hour 504 run past the end of the month: they count as if nothing more came of them.
    """
    starbucks.prepare(read(data), folder, WAVES, None)
    declared = read_strategy(STRATEGY)
    order = Order(declared, decisions=folder / "decisions.jsonl.gz", events=folder / "events.jsonl.gz", unfinished=True)
    with progress() as bars:
        built = build(order, bars).decisions
    _, customer = np.unique(built.customer, return_inverse=True)
    return Month(declared, replace(built, customer=np.asarray(customer, dtype=np.int64)))


def without(decisions: Decisions, withdrawn: Collection[str]) -> npt.NDArray[np.bool_]:
    """Return what may be said, (n, actions), when some actions are withdrawn."""
    return decisions.allowed & ~np.isin(decisions.actions, list(withdrawn))
