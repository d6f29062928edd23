"""Scikit-learn's forests from a file that nobody vouches for: what they may consist of, and that they can be walked.

Scikit-learn walks trees in C without looking: a child beyond the end would read foreign memory. So nothing is walked
before every node is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
from sklearn.ensemble._hist_gradient_boosting.predictor import PREDICTOR_RECORD_DTYPE, TreePredictor

KINDS = {
    ("numpy", "uint64", "NdArrayNode"),
    ("sklearn._loss._loss", "CyHalfBinomialLoss", "LossNode"),
    ("sklearn._loss.link", "Interval", "ObjectNode"),
    ("sklearn._loss.link", "LogitLink", "ObjectNode"),
    ("sklearn._loss.loss", "HalfBinomialLoss", "ObjectNode"),
    ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper", "ObjectNode"),
    ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", "HistGradientBoostingClassifier", "ObjectNode"),
    ("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor", "ObjectNode"),
    ("sklearn.preprocessing._label", "LabelEncoder", "ObjectNode"),
}
"""Module, class and loader of what a forest consists of, besides what lines consist of."""

TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]
"""What skops would not make from a file without being told."""

DTYPES = (np.dtype(np.uint8), np.dtype(np.uint32), np.dtype(np.uint64), np.dtype(PREDICTOR_RECORD_DTYPE))
"""The kinds of numbers in a forest's arrays, besides those in lines."""


def is_usable_forest(forest: Any, columns: int) -> bool:  # noqa: ANN401  it may be anything
    """Tell whether something is a fitted forest of two classes on these columns, with trees that can be walked."""
    if type(forest) is not HistGradientBoostingClassifier:
        return False
    state = vars(forest)
    plain = (
        state.get("n_features_in_") == state.get("_n_features") == columns
        and state.get("n_trees_per_iteration_") == 1
        and state.get("is_categorical_", 0) is None
        and state.get("_preprocessor", 0) is None
        and _is_array(state.get("classes_"), (2,))
        and _is_array(state.get("_baseline_prediction"), (1, 1))
        and _sees_no_categories(state.get("_bin_mapper"), columns)
    )
    predictors = state.get("_predictors")
    return plain and isinstance(predictors, list) and all(_is_tree(trees, columns) for trees in predictors)


def _is_array(found: object, shape: tuple[int, ...]) -> bool:
    return isinstance(found, np.ndarray) and found.shape == shape and found.dtype == np.float64


def _sees_no_categories(mapper: object, columns: int) -> bool:
    if type(mapper) is not _BinMapper:
        return False
    categorical = vars(mapper).get("is_categorical_")
    return isinstance(categorical, np.ndarray) and categorical.shape == (columns,) and not categorical.any()


def _is_tree(trees: object, columns: int) -> bool:
    if not isinstance(trees, list) or len(trees) != 1 or type(trees[0]) is not TreePredictor:
        return False
    state = vars(trees[0])
    nodes = state.get("nodes")
    bitsets = [state.get(name) for name in ("binned_left_cat_bitsets", "raw_left_cat_bitsets")]
    if not all(isinstance(bits, np.ndarray) and bits.shape == (0, 8) for bits in bitsets):
        return False
    return (
        isinstance(nodes, np.ndarray)
        and nodes.dtype == PREDICTOR_RECORD_DTYPE
        and nodes.ndim == 1
        and len(nodes) > 0
        and _leads_on(nodes, columns)
    )


def _leads_on(nodes: npt.NDArray[Any], columns: int) -> bool:
    """Tell whether every node is a leaf, or asks for a column and leads to nodes behind it."""
    place, size = np.arange(len(nodes)), len(nodes)
    leaf = nodes["is_leaf"] == 1
    onwards = [(nodes[side] > place) & (nodes[side] < size) for side in ("left", "right")]
    asks = (nodes["feature_idx"] >= 0) & (nodes["feature_idx"] < columns) & (nodes["is_categorical"] == 0)
    return bool((leaf | ((nodes["is_leaf"] == 0) & onwards[0] & onwards[1] & asks)).all())
