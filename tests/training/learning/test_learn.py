"""Claims about learning: the learner fits the data, forecasts are true, cold actions borrow, seeds repeat."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from training.folding import EXACT, both, folded, largest_difference, probes
from training.learning.arrays import estimators_of
from training.learning.learn import Learning, Plan, learn
from training.learning.models import Served
from training.metrics import calibration_error

from ...training.learning.world import COLUMNS, chance, drawn

NO_TREES = Plan({}, forests=0)


def served(learning: Learning, actions: tuple[str, ...]) -> Served:
    """Return what was learned as it will serve."""
    return Served(folded(*estimators_of(learning, actions), len(COLUMNS), ""), COLUMNS, actions)


@pytest.fixture(scope="module")
def bent() -> tuple[Learning, tuple[str, ...]]:
    """Learn once from a pattern that no line can follow."""
    with threadpool_limits(1):
        decisions = drawn(1, (0, 4000), bent=True)
        return learn(decisions, Plan({})), decisions.actions


def test_trees_are_chosen_where_no_line_fits(bent: tuple[Learning, tuple[str, ...]]) -> None:
    """A pattern of two signs is learned by trees, and the forecasts of new rows are near the truth."""
    learning, actions = bent
    assert not learning.said["offer-1"].choice.learner.simple
    fresh = drawn(2, (0, 2000), bent=True)
    said = served(learning, actions).said(fresh.x)
    assert np.isnan(said[:, 0]).all()
    assert np.abs(said[:, 1] - chance(fresh.x, 1, bent=True)).mean() < 0.05
    assert calibration_error(said[:, 1], fresh.happened[:, 1]) < 0.03


def test_a_line_is_chosen_where_trees_gain_nothing() -> None:
    """A truth that is a line gets a line: trees must win by more than chance, for they cost more to serve."""
    learning = learn(drawn(3, (0, 4000)), Plan({}))
    assert learning.said["offer-1"].choice.learner.simple
    assert any("boosted" in name for name in learning.said["offer-1"].choice.losses)


def test_without_forests_no_trees_are_tried() -> None:
    """With a bound of no forests the pattern gets the best line there is."""
    learning = learn(drawn(1, (0, 4000), bent=True), NO_TREES)
    assert learning.said["offer-1"].choice.learner.simple
    assert not any("boosted" in name for name in learning.said["offer-1"].choice.losses)


def test_what_serves_is_what_scikit_learn_says(bent: tuple[Learning, tuple[str, ...]]) -> None:
    """Calibrated forests differ from their estimators by rounding alone."""
    said, silent = estimators_of(*bent)
    rows = probes(both(said, silent), COLUMNS, 0)
    assert largest_difference(folded(said, silent, len(COLUMNS), ""), said, silent, rows) <= EXACT


def test_equal_decisions_and_seeds_give_equal_arrays(bent: tuple[Learning, tuple[str, ...]]) -> None:
    """Learned again, every number is the same; another seed gives others."""
    arrays = [
        folded(*estimators_of(learning, bent[1]), len(COLUMNS), "")
        for learning in (
            bent[0],
            learn(drawn(1, (0, 4000), bent=True), Plan({})),
            learn(drawn(1, (0, 4000), bent=True), Plan({}, seed=1)),
        )
    ]
    assert all(one.boosted is not None for one in arrays)
    first, again, other = ({**one.boosted.arrays(), "bias": one.bias} for one in arrays if one.boosted)
    assert all((first[name] == again[name]).all() for name in first)
    assert (first["bias"] != other["bias"]).any()


def test_a_cold_action_borrows_from_its_group() -> None:
    """Thirty rows of an action alone say little; with its group they say how it differs, and the words tell it."""
    groups = {"offer-1": "g", "offer-2": "g", "offer-3": "g"}
    decisions = drawn(5, (0, 3000, 3000, 30))
    learning = learn(decisions, Plan(groups, forests=0))
    cold = learning.said["offer-3"].choice
    assert (cold.pool, cold.cold) == ("group g", "30 rows; 100 are needed")
    fresh = drawn(6, (0, 0, 0, 2000))
    said = served(learning, decisions.actions).said(fresh.x)[:, 3]
    true = chance(fresh.x, 3, bent=False)
    assert np.corrcoef(said, true)[0, 1] > 0.95
    assert np.abs(said - true).mean() < 0.15
    assert learning.left_out == {}


def test_an_action_without_a_group_or_without_a_rich_one_keeps_its_prior() -> None:
    """Nothing is made up: where neither the action nor its group has enough rows it is left out, and it is said why."""
    learning = learn(drawn(7, (0, 500, 30, 20)), Plan({"offer-2": "g", "offer-3": "g"}, forests=0))
    assert set(learning.said) == {"offer-1"}
    assert learning.left_out == {"offer-2": "30 rows; 100 are needed", "offer-3": "20 rows; 100 are needed"}


def test_an_action_that_was_never_said_borrows_the_middle_of_its_group() -> None:
    """An action without any row forecasts as the average of its group, not as an extreme."""
    groups = {"offer-1": "g", "offer-2": "g", "offer-3": "g"}
    learning = learn(drawn(8, (0, 2000, 2000, 0)), Plan(groups, forests=0))
    x = np.zeros((1, len(COLUMNS)))
    said = served(learning, ("nothing", "offer-1", "offer-2", "offer-3")).said(x)[0]
    assert min(said[1:3]) <= said[3] <= max(said[1:3])


def test_outcomes_after_nothing_become_baselines() -> None:
    """What happens anyway is learned for every action from the rows where nothing was said, and only there."""
    decisions = drawn(9, (3000, 1500, 1500))
    learning = learn(decisions, NO_TREES)
    assert set(learning.silent) == {"offer-1", "offer-2"}
    fresh = drawn(10, (0, 1000, 1000))
    silent = served(learning, decisions.actions).silent(fresh.x)
    for code in (1, 2):
        assert np.abs(silent[:, code] - chance(fresh.x, code, bent=False) / 2.0).mean() < 0.06


def test_rare_outcomes_stay_rare() -> None:
    """Learners that weigh both classes alike are tried where outcomes are rare, and forecasts keep their level."""
    decisions = drawn(11, (0, 6000), rare=4.0)
    learning = learn(decisions, NO_TREES)
    assert any("weighed alike" in name for name in learning.said["offer-1"].choice.losses)
    fresh = drawn(12, (0, 6000), rare=4.0)
    said = served(learning, decisions.actions).said(fresh.x)[:, 1]
    assert said.mean() == pytest.approx(np.nanmean(fresh.happened[:, 1]), abs=0.01)


def test_the_latest_rows_are_judged_by_what_the_earlier_ones_taught() -> None:
    """A truth that turns in the last fifth shows as a bad score: the judge was not the teacher."""
    decisions = drawn(13, (0, 4000))
    decisions.x[3200:, ::2] *= -1.0
    held_out = learn(decisions, NO_TREES).said["offer-1"].held_out
    assert held_out is not None
    assert len(held_out.outcome) == 800
    assert np.corrcoef(held_out.probability, held_out.outcome)[0, 1] < -0.2
