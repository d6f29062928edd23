"""Scikit-learn's estimators folded into arrays, and the proof that both say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from models.features import LIMIT
from models.propensity import Folded

from .forests import Calibrated, boosted, probes_of

Floats = npt.NDArray[np.float64]
Estimator: TypeAlias = Pipeline | Calibrated
Estimators = Mapping[str, Estimator]

LARGEST_DIFFERENCE = 1e-5
"""A probability from the arrays may differ from that of `predict_proba` by no more than this."""

EXACT = 1e-12
"""Forests are walked in double precision in both, so that they may differ by rounding alone."""

_RANDOM_ROWS = 256
_SPREAD = 3.0  # standard deviations around the mean of the rows that a model learned from
_UNSCALED = SimpleNamespace(mean_=0.0, scale_=1.0)
_EXTREMES = (1.0, -1.0, 1e3, -1e3, 1e9, -1e9, LIMIT, -LIMIT)


def folded(said: Estimators, silent: Estimators, columns: int, feature_hash: str) -> Folded:
    """Fold pipelines of scaler and logistic regression, and forests, into arrays, by action id in sorted order.

    `silent` holds the baselines: of the outcome where nothing was said.
    """
    actions = tuple(sorted(said))
    weights, bias = _arrays(said, actions, columns)
    baseline_weights, baseline_bias = _arrays(silent, actions, columns)
    has_baseline = np.array([action in silent for action in actions], dtype=np.bool_)
    lines = Folded("", feature_hash, actions, weights, bias, baseline_weights, baseline_bias, has_baseline)
    grown = [
        (place + below * len(actions), side[action])
        for below, side in enumerate((said, silent))
        for place, action in enumerate(actions)
        if action in side
    ]
    return _with_forests(lines, [(row, one) for row, one in grown if isinstance(one, Calibrated)], columns)


def _with_forests(lines: Folded, grown: Sequence[tuple[int, Calibrated]], columns: int) -> Folded:
    """Add the forests of some rows; those that share one forest share its arrays."""
    if not grown:
        return lines
    forests = _forests(one for _, one in grown)
    places = {id(forest): place for place, forest in enumerate(forests)}
    models = [(row, places[id(one.forest)], one.slope) for row, one in grown]
    return replace(lines, boosted=boosted(forests, models, len(lines.actions), columns))


def _forests(estimators: Iterable[Estimator]) -> list[Any]:
    """Return the forests of some estimators, each once."""
    return list({id(one.forest): one.forest for one in estimators if isinstance(one, Calibrated)}.values())


def _arrays(estimators: Estimators, actions: Sequence[str], columns: int) -> tuple[Floats, Floats]:
    weights, bias = np.zeros((len(actions), columns)), np.zeros(len(actions))
    for place, action in enumerate(actions):
        if action in estimators:
            weights[place], bias[place] = _line(estimators[action])
    return weights, bias


def _line(pipeline: Estimator) -> tuple[Floats | float, float]:
    """Return weights and bias on columns as they are: `w·(x − mean)/scale + b = (w/scale)·x + (b − w·mean/scale)`."""
    if isinstance(pipeline, Calibrated):
        return 0.0, pipeline.bias
    scaler, logistic = pipeline[0], pipeline[-1]
    weights = logistic.coef_[0] / scaler.scale_
    return weights, float(logistic.intercept_[0] - weights @ scaler.mean_)


def both(said: Estimators, silent: Estimators) -> Estimators:
    """Return the estimators of both sides under names that differ."""
    return {
        f"{name} {action}": one for name, side in (("said", said), ("silent", silent)) for action, one in side.items()
    }


def probes(said: Estimators, columns: Sequence[str], seed: int) -> Floats:
    """Return rows to compare on, of shape (rows, columns): random ones around what was learned from, and the edges.

    The edges are nothing known, all zero, every column alone at its extremes, and the thresholds of trees.
    """
    rng = np.random.default_rng(seed)
    estimators = [said[action] for action in sorted(said)]
    scalers = [one[0] for one in estimators if not isinstance(one, Calibrated)] or [_UNSCALED]
    near = [scalers[i % len(scalers)] for i in range(_RANDOM_ROWS)]
    random = np.array([s.mean_ + s.scale_ * _SPREAD * rng.standard_normal(len(columns)) for s in near])
    unknown = np.array([[float(column.endswith("?")) for column in columns]])
    alone = [extreme * np.eye(len(columns)) for extreme in _EXTREMES]
    at_thresholds = [probes_of(forest, random, rng) for forest in _forests(estimators)]
    return np.concatenate((random, unknown, np.zeros_like(unknown), *alone, *at_thresholds))


def largest_difference(arrays: Folded, said: Estimators, silent: Estimators, rows: Floats) -> float:
    """Return the largest difference between a probability that serving gives and that of scikit-learn."""
    scorer = arrays.aligned(arrays.actions, [np.nan] * len(arrays.actions))
    scores = [scorer.score(row) for row in rows]
    differences = [0.0]
    for side, estimators in enumerate((said, silent)):
        served = np.array([score[side] for score in scores])
        for place, action in enumerate(arrays.actions):
            if action in estimators:
                proba = estimators[action].predict_proba(rows)[:, 1]
                differences.append(float(np.abs(served[:, place] - proba).max()))
    return float(np.max(differences))
