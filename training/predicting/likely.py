"""One logistic regression a prediction, of two classes or more; its strength is chosen forwards in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.predictors import Linear

from ..errors import TrainingRefused
from ..fitting import FEWEST_OF_EACH, FEWEST_ROWS, HELD_OUT, STRENGTHS, Blind, Examples, blinded
from ..metrics import Scores, calibration_error, measured

Floats = npt.NDArray[np.float64]
_SPLITS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Likely:
    """A fitted estimator, the labels of its classes in order, and how good it was on rows that it had not seen."""

    estimator: Pipeline
    labels: tuple[str, ...]
    metrics: dict[str, Any]


def fit_likely(x: Floats, named: Sequence[str], labels: Sequence[str], blinds: Sequence[Blind], seed: int) -> Likely:
    """Fit on rows (rows, columns), oldest first, and the label of each.

    Labels with too few rows are left out, and with them their rows; raise `TrainingRefused` where fewer than two stay.
    The estimator that is returned is made from all rows, its figures from one that had not seen the latest fifth.
    """
    counts = {label: sum(1 for one in named if one == label) for label in labels}
    kept = tuple(label for label in labels if counts[label] >= FEWEST_OF_EACH)
    if len(kept) < 2 or sum(counts[label] for label in kept) < FEWEST_ROWS:
        found = ", ".join(f"{count} of {label}" for label, count in counts.items())
        raise TrainingRefused(
            f"too little to learn from: {found}; {FEWEST_OF_EACH} of two, {FEWEST_ROWS} in all needed"
        )
    rows = [i for i, label in enumerate(named) if label in kept]
    examples = Examples(x[rows], np.array([kept.index(named[i]) for i in rows], dtype=np.float64))
    fitting = _Fitting(blinds, seed, len(kept))
    cut = len(rows) - round(len(rows) * HELD_OUT)
    past, late = examples.part(slice(0, cut)), examples.part(slice(cut, None))
    strength = fitting.strength(past)
    metrics = fitting.metrics(past, late, strength) | {
        "C": strength,
        "labels": {label: counts[label] for label in kept},
        "left_out": {label: counts[label] for label in labels if label not in kept},
    }
    return Likely(fitting.estimator(examples, strength), kept, metrics)


@dataclass(frozen=True, slots=True)
class _Fitting:
    blinds: Sequence[Blind]
    seed: int
    classes: int

    def strength(self, past: Examples) -> float:
        """Return the strength with the lowest log loss when every part is forecast from those before it."""
        splits = [(past.part(train), past.part(test)) for train, test in TimeSeriesSplit(_SPLITS).split(past.x)]
        usable = [(train, test) for train, test in splits if len(np.unique(train.y)) == self.classes]
        if not usable:
            return STRENGTHS[0]
        return min(STRENGTHS, key=lambda strength: sum(self._loss(*split, strength) for split in usable))

    def estimator(self, examples: Examples, strength: float) -> Pipeline:
        """Fit one estimator, a tenth of the rows also shown as they would look without each purpose's consent."""
        rng = np.random.default_rng(self.seed)
        parts = [examples, *(blinded(examples, blind, rng) for blind in self.blinds)]
        x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
        logistic = LogisticRegression(C=strength, max_iter=1000)
        pipeline = make_pipeline(StandardScaler(), logistic).fit(x, y.astype(np.int64))
        logistic.coef_ = np.ascontiguousarray(logistic.coef_)  # row by row, as whoever reads it again expects
        return pipeline

    def metrics(self, past: Examples, late: Examples, strength: float) -> dict[str, Any]:
        """Measure on the latest rows; nothing is claimed where the earlier ones do not know every class."""
        if len(np.unique(past.y)) < self.classes:
            return {}
        shares = self.estimator(past, strength).predict_proba(late.x)
        rates = np.bincount(past.y.astype(np.int64), minlength=self.classes) / len(past.y)
        if self.classes == 2:
            return measured(Scores(shares[:, 1], late.y, np.full(len(late.y), rates[1]))).plain()
        return _of_classes(shares, late.y.astype(np.int64), rates)

    def _loss(self, train: Examples, test: Examples, strength: float) -> float:
        shares = self.estimator(train, strength).predict_proba(test.x)
        return float(log_loss(test.y, shares, labels=range(self.classes)))


def _of_classes(shares: Floats, happened: npt.NDArray[np.int64], rates: Floats) -> dict[str, Any]:
    """Measure several classes: how often the likeliest was right, and the calibration over all of them."""
    classes, rows = range(len(rates)), len(happened)
    one_of = np.eye(len(rates))[happened]
    return {
        "rows": rows,
        "right": float((shares.argmax(axis=1) == happened).mean()),
        "right_of_the_commonest": float((happened == rates.argmax()).mean()),
        "log_loss": float(log_loss(happened, shares, labels=classes)),
        "log_loss_of_the_rate": float(log_loss(happened, np.tile(rates, (rows, 1)), labels=classes)),
        "calibration_error": calibration_error(shares.ravel(), one_of.ravel()),
    }


def folded(likely: Likely) -> Linear:
    """Fold scaler and coefficients into one row of weights a class; a chance's first class is the row of zeros."""
    scaler, logistic = likely.estimator[0], likely.estimator[-1]
    weights = logistic.coef_ / scaler.scale_
    bias = logistic.intercept_ - weights @ scaler.mean_
    if len(likely.labels) == 2:
        weights, bias = np.vstack((np.zeros_like(weights), weights)), np.concatenate(([0.0], bias))
    return Linear(likely.labels, weights, bias)
