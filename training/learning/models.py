"""What learning gives: how likely each action's outcome is, for many rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.propensity import Folded

Floats = npt.NDArray[np.float64]


class Learned(Protocol):
    """A model of the outcomes of actions, as evaluation, value learners and drift use it."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of `x`, as in `Decisions`."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the names of the actions by code, `nothing` first, as in `Decisions`."""

    def said(self, x: Floats) -> Floats:
        """Return P(outcome | action said), (rows, columns) to (rows, actions).

        NaN for nothing (column 0) and for an action without a model.
        """

    def silent(self, x: Floats) -> Floats:
        """Return P(that action's outcome | nothing said), (rows, actions); NaN where there is no baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A model as it will serve: what it says here is what serving says of the same columns."""

    folded: Folded
    columns: tuple[str, ...]
    actions: tuple[str, ...]

    def said(self, x: Floats) -> Floats:
        """See Learned."""
        return self._in_order(self.folded.chances(x)[0])

    def silent(self, x: Floats) -> Floats:
        """See Learned."""
        return self._in_order(self.folded.chances(x)[1])

    def _in_order(self, chances: Floats) -> Floats:
        ordered = np.full((len(chances), len(self.actions)), np.nan)
        place = {action: i for i, action in enumerate(self.folded.actions)}
        for code, action in enumerate(self.actions):
            if action in place:
                ordered[:, code] = chances[:, place[action]]
        return ordered
