"""What can be learned from a pool of rows: a logistic regression or boosted trees, each giving logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from ..decisions import Floats, Whole
from ..fitting import STRENGTHS, Blind, Examples, blinded
from .pools import Pool

RARE = 0.05
"""Below this share of outcomes (or of their absence) learners are also tried that weigh both classes alike."""

_FEW_COLUMNS = 256  # with so few Newton's steps are ten times as fast, and their matrix is small

FEWEST_FOR_TREES = 3000
FEWEST_OUTCOMES_FOR_TREES = 100


class Fit(Protocol):
    """What a learner made of a pool."""

    def logits(self, x: Floats, code: int) -> Floats:
        """Return the logit of an action's outcome for rows (rows, columns)."""


class Learner(Protocol):
    """Learns from a pool; equal pools and seeds give equal fits."""

    @property
    def name(self) -> str:
        """What it is, in words."""

    @property
    def simple(self) -> bool:
        """Whether it is a line, which is preferred where trees win by no more than chance."""

    def fit(self, x: Floats, pool: Pool, showing: Showing) -> Fit:
        """Learn from the rows (rows, columns) of a pool."""


@dataclass(frozen=True, slots=True)
class Showing:
    """Shows a tenth of the rows also as they would look without each purpose's consent; see `training.fitting`."""

    blinds: Sequence[Blind]
    seed: int

    def shown(self, x: Floats, y: Floats) -> Examples:
        """Return the rows with those that are shown again."""
        rng = np.random.default_rng(self.seed)
        examples = Examples(x, y)
        parts = [examples, *(blinded(examples, blind, rng) for blind in self.blinds)]
        return Examples(np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts]))


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression on scaled columns; in a pool of several actions each has an intercept of its own."""

    strength: float
    balanced: bool = False

    @property
    def name(self) -> str:
        """See Learner."""
        return f"logistic regression, C={self.strength:g}{_weighed(self.balanced)}"

    @property
    def simple(self) -> bool:
        """See Learner."""
        return True

    def fit(self, x: Floats, pool: Pool, showing: Showing) -> Line:
        """See Learner."""
        rows = showing.shown(_with_actions(x, pool.action, pool.codes), pool.y)
        weights = "balanced" if self.balanced else None
        logistic = LogisticRegression(C=self.strength, max_iter=1000, class_weight=weights, solver=solver_for(rows.x))
        scaler = StandardScaler().fit(rows.x)
        logistic.fit(scaler.transform(rows.x), rows.y)  # as the pipeline would, which takes its time for so small fits
        pipeline = make_pipeline(scaler, logistic)
        if self.balanced:
            logistic.intercept_ = logistic.intercept_ - shift_of(rows.y)
        return Line(pipeline, pool.codes)


def solver_for(x: Floats) -> str:
    """Return which solver of logistic regression is fast on rows (rows, columns)."""
    return "newton-cholesky" if x.shape[1] <= _FEW_COLUMNS else "lbfgs"


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A fitted pipeline on the columns, and behind them one for each action of the pool if it has several."""

    pipeline: Pipeline
    codes: tuple[int, ...]

    def logits(self, x: Floats, code: int) -> Floats:
        """See Fit."""
        weights, bias = self.raw(code)
        return x @ weights + bias

    def raw(self, code: int) -> tuple[Floats, float]:
        """Return the weights (columns,) and bias of one action's logit on the columns as they are."""
        scaler, logistic = self.pipeline[0], self.pipeline[-1]
        weights = logistic.coef_[0] / scaler.scale_
        bias = float(logistic.intercept_[0] - weights @ scaler.mean_)
        if len(self.codes) == 1:
            return weights, bias
        columns = len(weights) - len(self.codes)
        return weights[:columns], bias + float(weights[columns + self.codes.index(code)])

    def of(self, code: int) -> Pipeline:
        """Return the pipeline of one action, on the columns alone."""
        if len(self.codes) == 1:
            return self.pipeline
        scaler, logistic = self.pipeline[0], self.pipeline[-1]
        columns = len(scaler.mean_) - len(self.codes)
        chosen = (np.array(self.codes) == code).astype(np.float64)
        scaled = (chosen - scaler.mean_[columns:]) / scaler.scale_[columns:]
        intercept = logistic.intercept_ + scaled @ logistic.coef_[0, columns:]
        return pipeline_of(scaler, logistic, logistic.coef_[:, :columns], intercept)


def calibrated_line(pipeline: Pipeline, slope: float, offset: float) -> Pipeline:
    """Return a pipeline whose logit is `slope * logit + offset`."""
    scaler, logistic = pipeline[0], pipeline[-1]
    return pipeline_of(scaler, logistic, logistic.coef_ * slope, logistic.intercept_ * slope + offset)


def pipeline_of(
    scaler: StandardScaler, logistic: LogisticRegression, coefficients: Floats, intercept: Floats
) -> Pipeline:
    """Return a pipeline like a fitted one, of other coefficients (1, columns) on the first columns that it scales."""
    columns = coefficients.shape[1]
    own, line = StandardScaler(), LogisticRegression(C=logistic.C, max_iter=logistic.max_iter)
    own.mean_, own.scale_, own.var_ = (getattr(scaler, name)[:columns].copy() for name in ("mean_", "scale_", "var_"))
    own.n_samples_seen_, own.n_features_in_ = scaler.n_samples_seen_, columns
    line.coef_, line.intercept_ = np.ascontiguousarray(coefficients), np.asarray(intercept)
    line.classes_, line.n_iter_, line.n_features_in_ = logistic.classes_, logistic.n_iter_, columns
    return make_pipeline(own, line)


@dataclass(frozen=True, slots=True)
class Trees:
    """Gradient boosting by histograms; one forest for all actions of a pool, which calibration tells apart."""

    trees: int
    leaves: int
    rate: float
    rows_of_a_leaf: int
    seed: int
    balanced: bool = False

    @property
    def name(self) -> str:
        """See Learner."""
        return f"boosted trees, {self.trees} of {self.leaves} leaves, rate {self.rate:g}{_weighed(self.balanced)}"

    @property
    def simple(self) -> bool:
        """See Learner."""
        return False

    def fit(self, x: Floats, pool: Pool, showing: Showing) -> Forest:
        """See Learner."""
        rows = showing.shown(x, pool.y)
        estimator = HistGradientBoostingClassifier(
            max_iter=self.trees,
            learning_rate=self.rate,
            max_leaf_nodes=self.leaves,
            max_depth=_DEEPEST,
            min_samples_leaf=self.rows_of_a_leaf,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=self.seed,
            class_weight="balanced" if self.balanced else None,
        ).fit(rows.x, rows.y)
        estimator._feature_subsample_rng = None  # serves fitting alone, and no generator is to be made from a file
        return Forest(estimator, shift_of(rows.y) if self.balanced else 0.0)


_DEEPEST = 6
_MANY = 5000
_SMALL, _LARGE = (50, 8, 0.1, 40), (60, 15, 0.1, 100)


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A fitted forest; `shift` is what weighing the classes alike added to its logit."""

    estimator: Any
    shift: float

    def logits(self, x: Floats, code: int) -> Floats:
        """See Fit; the same for every action."""
        return np.asarray(self.estimator.decision_function(x), dtype=np.float64) - self.shift


def shift_of(y: Floats) -> float:
    """Return by how much weighing both classes alike moves the logit."""
    share = float(y.mean())
    return float(np.log((1.0 - share) / share))


def learners_for(pool: Pool, seed: int, *, trees: bool) -> tuple[Learner, ...]:
    """Return the learners that are worth a try on a pool, simple ones first."""
    share = float(pool.y.mean())
    balanced = (False, True) if min(share, 1.0 - share) < RARE else (False,)
    lines = [Logistic(strength, weighed) for weighed in balanced for strength in STRENGTHS]
    outcomes = min(pool.y.sum(), len(pool.y) - pool.y.sum())
    if not trees or len(pool.y) < FEWEST_FOR_TREES or outcomes < FEWEST_OUTCOMES_FOR_TREES:
        return tuple(lines)
    shape = _LARGE if len(pool.y) >= _MANY else _SMALL
    return (*lines, *(Trees(*shape, seed, weighed) for weighed in balanced))


def _with_actions(x: Floats, action: Whole, codes: Sequence[int]) -> Floats:
    if len(codes) == 1:
        return x
    return np.concatenate((x, (action[:, None] == np.array(codes)).astype(np.float64)), axis=1)


def _weighed(balanced: bool) -> str:
    return ", both classes weighed alike" if balanced else ""
