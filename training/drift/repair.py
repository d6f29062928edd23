"""Put a model's probabilities right on recent outcomes, without forgetting what it learned.

Three steps, each held near the one before by a penalty, so that little data moves little:

1. slope and offset of the model's log odds (Platt), on the window of recent rows;
2. a correction of its weights on the same rows;
3. slope and offset once more, on forecasts that steps 1 and 2 made of the latest rows before they knew them. Recent
   rows alone would be forecast too boldly: this is what keeps the result calibrated.

The forward forecasts of the latest rows judge it: where slope and offset alone forecast them clearly better, the
correction is left out; where the model as it is forecast them no worse, nothing is repaired.
Naive online gradient descent is the warning here: it follows the last batch and is calibrated to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .newton import losses, moved

Floats = npt.NDArray[np.float64]

FEWEST_ROWS = 200
FEWEST_OF_EACH = 10

STEEPEST_SLOPE, FURTHEST_OFFSET = 5.0, 5.0
"""A repair may not turn a model around, nor make it more than so many times as sure, nor move its odds further."""

_BLOCKS = 5
_SLOPE_STIFFNESS, _OFFSET_STIFFNESS = 4.0, 0.25
_FREE = 1e-3
_CLEARLY = 2.0  # standard errors
_NONE = np.empty(0)


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a repair looks, in rows, and how strongly it is held to the model that it repairs.

    `window` rows teach the correction, the latest `held` rows are forecast before they teach; `strength` is the inverse
    of the penalty of a weight on a standardised column; `weights` says whether weights are corrected at all.
    """

    window: int = 2000
    held: int = 500
    strength: float = 0.03
    weights: bool = True

    @property
    def rows(self) -> int:
        """Return how many recent rows are looked at."""
        return self.window + self.held


@dataclass(frozen=True, slots=True, eq=False)
class Repair:
    """How log odds become others: `slope * odds + offset + x @ weights`, from how many rows it was learned.

    `ahead` are log odds of the latest rows, each forecast before it was known by a repair of the same kind;
    `loss_before` is their mean log loss as the model was, `loss_after` that of `ahead`.
    """

    slope: float
    offset: float
    weights: Floats
    rows: int
    ahead: Floats
    loss_before: float
    loss_after: float

    def odds(self, odds: Floats, x: Floats) -> Floats:
        """Return the log odds put right."""
        mended: Floats = self.slope * odds + self.offset + x @ self.weights
        return mended


_Learn = Callable[[slice], Repair]


def repaired(odds: Floats, x: Floats, y: Floats, scale: Floats | None, reach: Reach | None = None) -> Repair | None:
    """Return the repair of a model on recent rows, oldest first; None where nothing speaks for one.

    `odds` (rows,) is what the model says, `x` (rows, columns) what it saw, `y` (rows,) what happened; `scale`
    (columns,) is the spread of each column, for the penalty; None where the model has no weights to correct.
    """
    reach = reach or Reach()
    odds, x, y = (array[-reach.rows :] for array in (odds, x, y))
    if lack(y):
        return None
    bench = _Bench(odds, x, y, np.ones(x.shape[1]) if scale is None else scale, reach)
    held = bench.held()
    learn, ahead = bench.calibrated, bench.ahead(bench.calibrated)
    if reach.weights and scale is not None:
        corrected = bench.ahead(bench.corrected)
        if not _clearly_less(losses(ahead, y[held]), losses(corrected, y[held])):
            learn, ahead = bench.corrected, corrected
    before, after = (float(losses(forecast, y[held]).mean()) for forecast in (odds[held], ahead))
    return bench.finished(learn, ahead, before, after) if after < before else None


def _clearly_less(some: Floats, others: Floats) -> bool:
    """Tell whether losses of the same rows are lower by more than chance explains."""
    less = others - some
    return float(less.mean()) > _CLEARLY * float(less.std()) / math.sqrt(len(less))


def lack(y: Floats) -> str:
    """Say in words why recent outcomes cannot teach a repair, or return an empty text."""
    happened = int(y.sum())
    if len(y) < FEWEST_ROWS:
        return f"{len(y)} recent outcomes are known; {FEWEST_ROWS} are needed"
    if min(happened, len(y) - happened) < FEWEST_OF_EACH:
        return f"{happened} of {len(y)} recent outcomes happened; {FEWEST_OF_EACH} with and without are needed"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class _Bench:
    """The recent rows, and the steps of a repair on parts of them."""

    odds: Floats
    x: Floats
    y: Floats
    scale: Floats
    reach: Reach

    def held(self) -> slice:
        """Return the latest rows, at most half of all: they are forecast before they teach."""
        return slice(len(self.y) - min(self.reach.held, len(self.y) // 2), len(self.y))

    def calibrated(self, rows: slice) -> Repair:
        """Learn slope and offset alone."""
        slope, offset = _line(self.odds[rows], self.y[rows])
        return Repair(slope, offset, np.zeros(self.x.shape[1]), rows.stop - rows.start, _NONE, np.nan, np.nan)

    def corrected(self, rows: slice) -> Repair:
        """Learn slope and offset, and what the weights should have been."""
        first = self.calibrated(rows)
        columns = np.column_stack((self.x[rows] / self.scale, np.ones(rows.stop - rows.start)))
        centre = columns.mean(axis=0)
        centre[-1] = 0.0
        penalties = np.append(np.full(self.x.shape[1], 1.0 / self.reach.strength), _FREE)
        found = moved(columns - centre, self.y[rows], first.odds(self.odds[rows], self.x[rows]), penalties)
        offset = first.offset + float(found[-1] - found @ centre)
        return Repair(first.slope, offset, found[:-1] / self.scale, first.rows, _NONE, np.nan, np.nan)

    def ahead(self, learn: _Learn) -> Floats:
        """Forecast the latest rows block by block, each from the rows before it."""
        held = self.held()
        starts = np.linspace(held.start, held.stop, _BLOCKS + 1).astype(int).tolist()
        parts = []
        for start, stop in pairwise(starts):
            past = learn(slice(max(0, start - self.reach.window), start))
            parts.append(past.odds(self.odds[start:stop], self.x[start:stop]))
        return np.concatenate(parts)

    def finished(self, learn: _Learn, ahead: Floats, before: float, after: float) -> Repair:
        """Learn from the latest window, and calibrate as the forward forecasts of the same kind needed it."""
        last = learn(slice(max(0, len(self.y) - self.reach.window), len(self.y)))
        slope, offset = _line(ahead, self.y[self.held()])
        return Repair(
            slope * last.slope, slope * last.offset + offset, slope * last.weights, len(self.y), ahead, before, after
        )


def _line(odds: Floats, y: Floats) -> tuple[float, float]:
    """Return slope and offset, near 1 and 0 where the rows are few, and never beyond their bounds."""
    both = np.column_stack((odds, np.ones(len(odds))))
    slope = 1.0 + float(moved(both, y, odds, np.array([_SLOPE_STIFFNESS, _OFFSET_STIFFNESS]))[0])
    slope = min(max(slope, 0.0), STEEPEST_SLOPE)
    offset = float(moved(both[:, 1:], y, slope * odds, np.array([_OFFSET_STIFFNESS]))[0])
    return slope, min(max(offset, -FURTHEST_OFFSET), FURTHEST_OFFSET)
