"""Claims about scoring: one call for all actions, exact, and safe at every extreme."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import propensity
from models.features import LIMIT
from models.propensity import Floats, Folded


def random_model(seed: int, actions: int = 7, columns: int = 5) -> Folded:
    """Return a random model in which every other action has a baseline."""
    rng = np.random.default_rng(seed)
    weights, baseline = rng.normal(size=(2, actions, columns))
    bias, baseline_bias = rng.normal(size=(2, actions))
    names = tuple(f"a{i}" for i in range(actions))
    return Folded("m@0", "", names, weights, bias, baseline, baseline_bias, np.arange(actions) % 2 == 0)


def plainly(weights: Floats, bias: float, x: Floats) -> float:
    """Return the logistic function of a weighted sum, step by step."""
    odds = math.fsum(w * v for w, v in zip(weights.tolist(), x.tolist(), strict=True)) + bias
    return 1.0 / (1.0 + math.exp(-odds))


def test_the_example_in_the_documentation_runs() -> None:
    """What the class documentation shows is what happens."""
    result = doctest.testmod(propensity)
    assert result.attempted >= 4
    assert result.failed == 0


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_scores_are_those_of_the_formula(seed: int) -> None:
    """Both probabilities of every action are the logistic function of its weighted sum, in the strategy's order."""
    rng = np.random.default_rng(seed)
    model, x = random_model(seed), rng.normal(size=5) * 10.0 ** rng.integers(-2, 2)
    order = rng.permutation(7)
    said, silent = model.aligned([f"a{i}" for i in order], [0.5] * 7).score(x)
    for place, row in enumerate(order):
        assert said[place] == pytest.approx(plainly(model.weights[row], model.bias[row], x), abs=1e-13)
        if model.has_baseline[row]:
            wanted = plainly(model.baseline_weights[row], model.baseline_bias[row], x)
            assert silent[place] == pytest.approx(wanted, abs=1e-13)
        else:
            assert math.isnan(silent[place])


def test_an_action_without_a_model_keeps_its_prior_exactly() -> None:
    """A prior comes out as it went in, 0 and 1 included, and such an action has no baseline."""
    priors = [0.03, 0.1, 0.0, 1.0]
    scorer = random_model(1).aligned(["new", "a0", "never", "always"], priors)
    said, silent = scorer.score(np.ones(5))
    assert said[[0, 2, 3]].tolist() == [0.03, 0.0, 1.0]
    assert np.isnan(silent).tolist() == [True, False, True, True]
    assert scorer.modelled == (False, True, False, False)
    assert scorer.baselines == (False, True, False, False)


def test_a_model_that_knows_no_action_gives_every_prior() -> None:
    """A strategy whose actions are all new is served from priors, without a baseline."""
    said, silent = random_model(1).aligned(["new", "newer"], [0.25, 0.75]).score(np.ones(5))
    assert said.tolist() == [0.25, 0.75]
    assert np.isnan(silent).all()


def test_models_of_actions_that_the_strategy_lacks_are_left_aside() -> None:
    """A model may know more actions than the strategy: only those asked for are scored."""
    model = random_model(2)
    said, _ = model.aligned(["a3"], [0.5]).score(np.ones(5))
    assert said.tolist() == [pytest.approx(plainly(model.weights[3], model.bias[3], np.ones(5)))]


@pytest.mark.parametrize("size", [1.0, 1e3, LIMIT])
@pytest.mark.parametrize("weight", [1e-100, 1.0, 1e100])
def test_the_steepest_model_and_the_largest_value_still_give_a_probability(weight: float, size: float) -> None:
    """No feature and no weight that is let in makes a score overflow, warn or turn into no number."""
    weights = weight * np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    none = np.zeros(3)
    model = Folded("m@0", "", ("a", "b", "c"), weights, none, weights, none, np.array([True, True, True]))
    for said in model.aligned(("a", "b", "c"), none).score(np.array([size, size])):
        assert ((said >= 0.0) & (said <= 1.0)).all()
        assert said[0] >= 0.5 >= said[1]


def test_scoring_leaves_no_trace() -> None:
    """The same row gives the same bits again, whatever was scored in between: decisions can be replayed."""
    scorer = random_model(3).aligned([f"a{i}" for i in range(7)], [0.5] * 7)
    first = [side.tobytes() for side in scorer.score(np.full(5, 0.1))]
    scorer.score(np.full(5, -99.0))
    assert [side.tobytes() for side in scorer.score(np.full(5, 0.1))] == first
