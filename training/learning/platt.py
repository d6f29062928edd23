"""Calibration by a line on the logit, learned from rows that the model had not seen (Platt, 1999)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SLOPE_HOLDS, OFFSET_HOLDS = 25.0, 4.0
"""How firmly slope 1 and offset 0 hold against the data, in units of information: p (1 - p) summed over rows."""

_FLATTEST, _STEEPEST = 0.1, 10.0
_STEPS = 50
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True)
class Platt:
    """A calibrated logit is `slope * logit + offset`; with few rows it stays near the logit as it is.

    >>> Platt(2.0, -1.0).logits(np.array([0.5])).tolist()
    [0.0]
    """

    slope: float = 1.0
    offset: float = 0.0

    def logits(self, logits: Floats) -> Floats:
        """Return the calibrated logits."""
        return self.slope * logits + self.offset


def platt(logits: Floats, y: Floats) -> Platt:
    """Fit slope and offset of most posterior probability to logits (rows,) of unseen rows and outcomes 0 or 1."""
    at = np.array([1.0, 0.0])
    design = np.column_stack((logits, np.ones(len(logits))))
    holds, centre = np.diag([SLOPE_HOLDS, OFFSET_HOLDS]), np.array([1.0, 0.0])
    worst = _loss(design, y, at, holds, centre)
    for _ in range(_STEPS):
        chance = probability(design @ at)
        gradient = design.T @ (chance - y) + holds @ (at - centre)
        curvature = (design * (chance * (1.0 - chance))[:, None]).T @ design + holds
        step = np.linalg.solve(curvature, gradient)
        while (loss := _loss(design, y, at - step, holds, centre)) > worst and np.abs(step).max() > _CLOSE:
            step /= 2.0
        at, worst = at - step, loss
        if np.abs(step).max() <= _CLOSE:
            break
    return Platt(float(np.clip(at[0], _FLATTEST, _STEEPEST)), float(at[1]))


def probability(logits: Floats) -> Floats:
    """Return the logistic function, exactly as serving computes it."""
    chance: Floats = (1.0 + np.tanh(logits / 2.0)) / 2.0
    return chance


def log_losses(logits: Floats, y: Floats) -> Floats:
    """Return the log loss of each row from its logit, without overflow."""
    losses: Floats = np.logaddexp(0.0, np.where(y > 0.5, -logits, logits))
    return losses


def _loss(design: Floats, y: Floats, at: Floats, holds: Floats, centre: Floats) -> float:
    return float(log_losses(design @ at, y).sum() + (at - centre) @ holds @ (at - centre) / 2.0)
