"""Compare two models' probabilities on the same outcomes: log loss and calibration, paired, by person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from ..metrics import calibration_error

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

LEVEL = 0.95
_DRAWS = 200
_BINS = 10
_LEAST = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """What two models forecast for the same rows (n,), what came of them (0 or 1), and whose rows they are."""

    challenger: Floats
    champion: Floats
    outcome: Floats
    customer: Whole


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both, and challenger less champion with its interval; robust to the likeness of one person's rows."""

    challenger: float
    champion: float
    difference: float
    low: float
    high: float


def log_losses(pair: Pair) -> Difference:
    """Compare the mean log loss; below 0 the challenger is better."""
    own, other = _losses(pair.challenger, pair.outcome), _losses(pair.champion, pair.outcome)
    low, high = _interval(own - other, pair.customer)
    return Difference(float(own.mean()), float(other.mean()), float((own - other).mean()), low, high)


def calibration_errors(pair: Pair, seed: int = 0) -> Difference:
    """Compare the calibration error over 10 bins; the interval is that of seeded draws of the persons."""
    own = calibration_error(pair.challenger, pair.outcome)
    other = calibration_error(pair.champion, pair.outcome)
    whose = np.unique(pair.customer, return_inverse=True)[1]
    draws = np.random.default_rng(seed).poisson(1.0, size=(_DRAWS, int(whose.max()) + 1))
    bins = _bins(pair.challenger), _bins(pair.champion)
    found = []
    for draw in draws:
        weight = draw[whose].astype(np.float64)
        mine = _weighted(pair.challenger, pair.outcome, bins[0], weight)
        found.append(mine - _weighted(pair.champion, pair.outcome, bins[1], weight))
    low, high = np.quantile(found, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Difference(own, other, own - other, float(low), float(high))


def _losses(probability: Floats, outcome: Floats) -> Floats:
    inside = np.clip(probability, _LEAST, 1.0 - _LEAST)
    return np.asarray(-np.where(outcome > 0.5, np.log(inside), np.log1p(-inside)))


def _interval(values: Floats, customer: Whole) -> tuple[float, float]:
    """Return the interval of a mean whose rows belong to persons."""
    whose = np.unique(customer, return_inverse=True)[1]
    influence = np.bincount(whose, weights=values - values.mean()) / len(values)
    persons = len(influence)
    if persons < 2:
        return float("-inf"), float("inf")
    error = float(np.sqrt(persons / (persons - 1) * (influence**2).sum()))
    width = float(stdtrit(persons - 1, 0.5 + LEVEL / 2)) * error
    return float(values.mean()) - width, float(values.mean()) + width


def _bins(probability: Floats) -> Whole:
    order = np.argsort(probability, kind="stable")
    bins = np.empty(len(probability), dtype=np.int64)
    bins[order] = np.arange(len(probability)) * _BINS // max(len(probability), 1)
    return bins


def _weighted(probability: Floats, outcome: Floats, bins: Whole, weight: Floats) -> float:
    gaps = np.bincount(bins, weights=weight * (probability - outcome), minlength=_BINS)
    return float(np.abs(gaps).sum() / max(weight.sum(), 1.0))
