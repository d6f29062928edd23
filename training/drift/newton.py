"""Logistic regression on top of a forecast, held near it by a penalty: what all repairs are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_STEPS = 40
_NEAR = 1e-7
_SMALLEST_STEP = 1e-6


def moved(x: Floats, y: Floats, odds: Floats, penalties: Floats) -> Floats:
    """Return the coefficients c (columns,) with the lowest penalised log loss of `odds + x @ c` against outcomes y.

    `odds` (rows,) are the log odds forecast before, `penalties` (columns,) weigh half the square of each coefficient:
    all zero, the forecast stays as it is. Damped Newton steps; the loss is convex, so there is one answer.
    """
    found = np.zeros(x.shape[1])
    loss = _loss(x, y, odds, penalties, found)
    for _ in range(_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(odds + x @ found, -500.0, 500.0)))
        slope = x.T @ (chance - y) + penalties * found
        curve = (x * (chance * (1.0 - chance))[:, None]).T @ x
        curve[np.diag_indices_from(curve)] += penalties + 1e-9
        step, size = np.linalg.solve(curve, slope), 1.0
        while (reached := _loss(x, y, odds, penalties, found - size * step)) > loss and size > _SMALLEST_STEP:
            size /= 2.0
        if not loss - reached > _NEAR:
            break
        found, loss = found - size * step, reached
    return found


def losses(odds: Floats, y: Floats) -> Floats:
    """Return the log loss of each row, given log odds: log(1 + exp(odds)) − y × odds."""
    lost: Floats = np.logaddexp(0.0, odds) - y * odds
    return lost


def _loss(x: Floats, y: Floats, odds: Floats, penalties: Floats, found: Floats) -> float:
    return float(losses(odds + x @ found, y).sum() + 0.5 * (penalties * found * found).sum())
