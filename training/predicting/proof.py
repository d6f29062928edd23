"""The proof that arrays say what the estimator says that they were folded from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline

from models.predictors import Linear

from .. import folding

Floats = npt.NDArray[np.float64]


def probes(estimator: Pipeline, columns: Sequence[str], seed: int) -> Floats:
    """Return rows to compare on, of shape (rows, columns): random ones around what was learned from, and the edges."""
    return folding.probes({"": estimator}, columns, seed)


def difference_of(model: Linear, estimator: Pipeline, rows: Floats) -> float:
    """Return the largest difference between a probability of the arrays and one of scikit-learn."""
    proba = cast("Any", estimator).predict_proba(rows)
    return float(np.abs(model.probabilities(rows) - proba).max())
