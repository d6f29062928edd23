"""Scikit-learn's boosted trees with a calibrated logit, and as the arrays that serve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from models.boosted import Boosted, boosted_of, joined
from models.packed import STEEPEST

from .decisions import Floats, Whole

Tree = tuple[Whole, Floats, Whole, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A forest, which several models may share, and scikit-learn's logistic regression on the forest's logit."""

    forest: Any
    logistic: LogisticRegression

    @classmethod
    def by(cls, forest: Any, slope: float, offset: float) -> Calibrated:  # noqa: ANN401  scikit-learn has no types
        """Return a model whose logit is `slope * logit of the forest + offset`."""
        logistic = LogisticRegression()
        logistic.coef_, logistic.intercept_ = np.array([[slope]]), np.array([offset])
        logistic.classes_, logistic.n_features_in_ = np.array([0.0, 1.0]), 1
        return cls(forest, logistic)

    @property
    def slope(self) -> float:
        """By what the forest's logit is multiplied."""
        return float(self.logistic.coef_[0, 0])

    @property
    def bias(self) -> float:
        """The logit that stands before what all trees add."""
        return float(self.logistic.intercept_[0]) + self.slope * base_of(self.forest)

    def predict_proba(self, x: Floats) -> Floats:
        """Return the probabilities of both classes (rows, 2) as scikit-learn computes them."""
        return np.asarray(self.logistic.predict_proba(self.forest.decision_function(x)[:, None]))


def boosted(estimators: Sequence[Any], models: Sequence[tuple[int, int, float]], actions: int, columns: int) -> Boosted:
    """Return the arrays of forests; `models` are (row, forest, scale) as `Boosted` explains them."""
    arrays: dict[str, npt.NDArray[Any]] = joined([trees_of(estimator) for estimator in estimators])
    arrays["rows"] = np.array([row for row, _, _ in models], dtype=np.int64)
    arrays["forest"] = np.array([forest for _, forest, _ in models], dtype=np.int64)
    arrays["scale"] = np.array([scale for _, _, scale in models], dtype=np.float64)
    return boosted_of(arrays, actions, columns)


def trees_of(estimator: Any) -> list[Tree]:  # noqa: ANN401
    """Return the trees of a fitted estimator of two classes, siblings side by side."""
    return [_tree(predictors[0].nodes) for predictors in estimator._predictors]


def base_of(estimator: Any) -> float:  # noqa: ANN401
    """Return the logit that stands before all trees."""
    return float(np.asarray(estimator._baseline_prediction).ravel()[0])


def probes_of(estimator: Any, rows: Floats, rng: np.random.Generator) -> Floats:  # noqa: ANN401
    """Return rows of the same shape with some values at the very thresholds of the trees, or a hair above."""
    moved = rows.copy()
    for predictors in estimator._predictors:
        inner = predictors[0].nodes[predictors[0].nodes["is_leaf"] == 0]
        for feature, threshold in zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True):
            at, above = rng.integers(0, len(rows), 2)
            moved[at, feature], moved[above, feature] = threshold, np.nextafter(threshold, np.inf)
    return moved


def _tree(nodes: npt.NDArray[Any]) -> Tree:
    order, child = _side_by_side(nodes)
    kept = nodes[order]
    leaf = kept["is_leaf"].astype(bool)
    feature = np.where(leaf, 0, kept["feature_idx"]).astype(np.int64)
    # Values lie between -1e12 and 1e12, so that no value is beyond the threshold of a leaf: it stays where it is.
    threshold = np.where(leaf, STEEPEST, np.minimum(kept["num_threshold"], STEEPEST / 10)).astype(np.float64)
    value = np.where(leaf, kept["value"], 0.0).astype(np.float64)
    return feature, threshold, np.array(child, dtype=np.int64), value


def _side_by_side(nodes: npt.NDArray[Any]) -> tuple[list[int], list[int]]:
    """Return the nodes from the root on, siblings side by side, and for each where its left child then is."""
    order, child = [0], [0]
    place = 0
    while place < len(order):
        node = nodes[order[place]]
        child[place] = place
        if not node["is_leaf"]:
            child[place] = len(order)
            order += [int(node["left"]), int(node["right"])]
            child += [0, 0]
        place += 1
    return order, child
