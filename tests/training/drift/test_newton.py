"""A forecast moves as far as outcomes and penalty say, to the one best place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from training.drift.newton import losses, moved


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100.0), st.floats(-8.0, 8.0))
def test_no_other_coefficients_lose_less(seed: int, penalty: float, offset: float) -> None:
    """At what is found the penalised log loss has no slope, from however wrong a forecast it starts."""
    rng = np.random.default_rng(seed)
    x, odds = rng.normal(size=(80, 3)), rng.normal(size=80) * 3 + offset
    y = (rng.random(80) < 0.3).astype(float)
    found = moved(x, y, odds, np.full(3, penalty))
    chance = 1.0 / (1.0 + np.exp(-(odds + x @ found)))
    assert np.abs(x.T @ (chance - y) + penalty * found).max() < 0.05


def test_it_is_what_scikit_learn_finds() -> None:
    """Without a forecast before, it is logistic regression with the same penalty."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 4))
    y = (rng.random(500) < 1.0 / (1.0 + np.exp(-x @ [1.0, -1.0, 0.5, 0.0]))).astype(float)
    theirs = LogisticRegression(C=0.1, fit_intercept=False, tol=1e-10).fit(x, y).coef_[0]
    assert moved(x, y, np.zeros(500), np.full(4, 10.0)) == pytest.approx(theirs, abs=1e-5)


def test_a_loss_is_that_of_the_outcome() -> None:
    """The log loss of log odds is minus the logarithm of the probability of what happened, also far out."""
    assert losses(np.array([0.0, 2.0, -1000.0]), np.array([1.0, 0.0, 0.0])) == pytest.approx(
        [np.log(2), np.log1p(np.exp(2.0)), 0.0]
    )
