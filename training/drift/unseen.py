"""What a model missed on rows that it had not seen: learned with it, kept in its manifest, the measure of its drift.

Of the rows that taught it a model knows too much: boosted trees are surer of them than of any others. Compared with
those, unseen rows would look like a world that moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from models.artifacts import Manifest

from ..errors import TrainingRefused
from ..learning.learn import Learning, Model
from .calibration import Habit
from .seen import Floats

UNSEEN = "unseen"
"""Under this name `learning` in a manifest tells the gaps of every model on rows that it had not seen."""

Habits = tuple[Mapping[str, Habit], Mapping[str, Habit]]
"""By action: of models of what comes of it when said, and when nothing is said."""


class _Gaps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A habit as JSON: bins of the forecast between edges, by how much rates were above it, variances of that."""

    edges: tuple[float, ...]
    gaps: tuple[float, ...]
    variances: tuple[float, ...]

    @property
    def usable(self) -> bool:
        """Tell whether the numbers belong together."""
        bins = len(self.edges) + 1
        return (
            len(self.gaps) == len(self.variances) == bins
            and all(one < other for one, other in pairwise((0.0, *self.edges, 1.0)))
            and all(-1.0 <= gap <= 1.0 for gap in self.gaps)
            and all(0.0 <= variance <= 1.0 for variance in self.variances)
        )


def unseen_of(learning: Learning) -> dict[str, dict[str, Any]]:
    """Return, for a manifest, the gaps of every model whose rows were also forecast by one that had not seen them."""
    return {"said": _side(learning.said), "silent": _side(learning.silent)}


def gaps_of(forecast: Floats, happened: Floats) -> dict[str, Any]:
    """Return, for a manifest, the gaps of forecasts (rows,) of rows that the model had not seen."""
    habit = Habit.from_forecasts(forecast, happened)
    return {name: _short(getattr(habit, name)) for name in _Gaps.__struct_fields__}


def habits_of(manifest: Manifest) -> Habits | None:
    """Return what a manifest tells, None of a version that tells nothing; raise `TrainingRefused` for nonsense."""
    if UNSEEN not in manifest.learning:
        return None
    try:
        return habits_told(manifest.learning[UNSEEN])
    except ValueError:  # of which that of msgspec is one
        raise TrainingRefused(f"{manifest.version} tells no usable gaps of unseen forecasts; train it again") from None


def habits_told(told: object) -> Habits:
    """Return the habits that JSON tells; raise `ValueError` for what is none."""
    sides = msgspec.convert(told, dict[str, dict[str, _Gaps]])
    every = [gaps for side in sides.values() for gaps in side.values()]
    if sides.keys() != {"said", "silent"} or not all(gaps.usable for gaps in every):
        raise ValueError("gaps of unseen forecasts need both sides, edges that ascend, and a number for each bin")
    said, silent = ({action: _habit(gaps) for action, gaps in sides[side].items()} for side in ("said", "silent"))
    return said, silent


def _side(models: Mapping[str, Model]) -> dict[str, Any]:
    kept = {action: model.unseen for action, model in models.items() if len(model.unseen.outcome)}
    return {action: gaps_of(unseen.probability, unseen.outcome) for action, unseen in kept.items()}


def _habit(gaps: _Gaps) -> Habit:
    return Habit(np.array(gaps.edges), np.array(gaps.gaps), np.array(gaps.variances))


def _short(values: Floats) -> list[float]:
    """Return numbers of 9 digits: the last ones of a float are noise, and a manifest is read by people."""
    return [float(f"{value:.9g}") for value in values.tolist()]
