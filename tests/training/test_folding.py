"""Claims about folding: the arrays that serve say what scikit-learn says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from training.folding import folded, largest_difference, probes


def pipeline(seed: int, columns: int) -> Pipeline:
    """Fit a pipeline on random rows: columns of any scale and centre, some constant, some 0 or 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(80, columns)) * 10.0 ** rng.integers(-3, 6, columns) + 10.0 ** rng.integers(-3, 4, columns)
    x[:, 0] = rng.integers(0, 2, 80)
    x[:, -1] = 7.0
    y = rng.permutation(80) < rng.integers(5, 75)
    strength = 10.0 ** rng.integers(-3, 3)
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(x, y.astype(float))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 5), columns=st.integers(2, 12))
def test_folded_arrays_give_what_predict_proba_gives(seed: int, columns: int) -> None:
    """On random rows and at every edge, said or silent, no probability differs by more than a billionth.

    Usually it is 1e-15; a column whose centre is a million times its spread costs digits.
    """
    said = {"a": pipeline(seed, columns), "b": pipeline(seed + 1, columns), "c": pipeline(seed + 2, columns)}
    silent = {"b": pipeline(seed + 3, columns)}
    names = [f"x{i}" for i in range(columns - 1)] + ["x?"]
    rows = probes(said, names, seed)
    assert len(rows) > 256 + 2 * columns
    assert largest_difference(folded(said, silent, columns, ""), said, silent, rows) <= 1e-9


def test_a_difference_is_found() -> None:
    """A single weight that is a little off shows."""
    said = {"a": pipeline(1, 4), "b": pipeline(2, 4)}
    arrays = folded(said, {}, 4, "")
    rows = probes(said, ("w", "x", "y", "z?"), 1)
    assert largest_difference(arrays, said, {}, rows) <= 1e-12
    arrays.bias[1] += 1e-3
    assert 1e-5 < largest_difference(arrays, said, {}, rows) < 1e-3


def test_arrays_that_give_no_number_differ() -> None:
    """A weight that is no number is a difference, not a silence."""
    said = {"a": pipeline(1, 4)}
    arrays = folded(said, {}, 4, "")
    arrays.weights[0, 0] = np.nan
    assert not largest_difference(arrays, said, {}, probes(said, ("w", "x", "y", "z?"), 1)) <= 1.0
