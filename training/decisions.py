"""Logged decisions as arrays: what every learner, evaluator and monitor of this package works on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NOTHING = "nothing"
"""The action of having said nothing. It has the code 0 wherever actions have codes."""


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """Logged decisions in order of time, n of them: what was known, what was said how probably, and what came of it.

    - `customer` (n,) are codes of the persons: rows of one person are not independent of each other.
    - `at_ms` (n,) is when it was decided, in milliseconds since 1970, ascending.
    - `x` (n, columns) is what was known just before, as `FeatureSpace.encode` writes it; `columns` names it.
    - `actions` are the names by code, `nothing` first; `action` (n,) is the code of what was said.
    - `probability` (n,) is the probability in (0, 1] with which the log chose that action.
    - `allowed` (n, actions) says what might have been said then; `nothing` always.
    - `happened` (n, actions) holds 1 or 0 where it is known whether that action's outcome happened, else NaN: after an
      action only of that action, after nothing of every action that has such an outcome (it happened anyway).
    - `worth` (n,) is what the decision earned, rewards paid off, in the strategy's currency; NaN where it is not known.
    """

    customer: Whole
    at_ms: Whole
    columns: tuple[str, ...]
    x: Floats
    actions: tuple[str, ...]
    action: Whole
    probability: Floats
    allowed: Flags
    happened: Floats
    worth: Floats

    def __len__(self) -> int:
        return len(self.at_ms)

    def known_by(self, place: int, window_ms: int) -> int:
        """Return how many of the first rows came so early that their windows were over at a row, by its place."""
        if not window_ms or not 0 < place < len(self):
            return place
        return min(place, int(np.searchsorted(self.at_ms, self.at_ms[place] - window_ms, side="right")))

    def part(self, places: npt.NDArray[np.intp] | Flags | slice) -> Decisions:
        """Return some of the rows."""
        return Decisions(
            self.customer[places],
            self.at_ms[places],
            self.columns,
            self.x[places],
            self.actions,
            self.action[places],
            self.probability[places],
            self.allowed[places],
            self.happened[places],
            self.worth[places],
        )
