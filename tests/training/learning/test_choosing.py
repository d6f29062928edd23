"""Claims about choosing: no forecast that a learner is chosen or calibrated by has seen what it forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.decisions import Decisions, Flags, Floats, Whole
from training.learning.choosing import Chooser, forward
from training.learning.learn import Plan, learn
from training.learning.learners import Learner, Logistic, Showing, Trees
from training.learning.platt import probability
from training.learning.pools import Pool, said

from ...training.learning.world import drawn

ROWS = 400
CUTS = [100, 200, 300, ROWS]
SHOWING = Showing((), 0)
LINE = Logistic(1.0)
TREES = Trees(3, 4, 0.1, 20, 0)


def pool_of(decisions: Decisions) -> Pool:
    """Return the rows of the only offer."""
    return said(decisions, {}).own(1, "offer-1")


def turned(decisions: Decisions, rows: Whole | Flags) -> Decisions:
    """Return the decisions with the other outcome in some rows."""
    happened = decisions.happened.copy()
    happened[rows] = 1.0 - happened[rows]
    return replace(decisions, happened=happened)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), part=st.integers(1, 3), learner=st.sampled_from([LINE, TREES]))
def test_forward_forecasts_know_nothing_of_their_own_time_or_later(seed: int, part: int, learner: Learner) -> None:
    """Whatever comes of a part and what follows it, the part is forecast the same, and so is what is before it."""
    decisions = drawn(seed, (0, ROWS))
    begin, end = CUTS[part - 1], CUTS[part]

    def forecast(log: Decisions) -> Floats:
        return forward(log.x, pool_of(log), learner, CUTS, CUTS, SHOWING)[:end]

    plain = forecast(decisions)
    assert not np.isnan(plain[begin:]).any()
    np.testing.assert_array_equal(forecast(turned(decisions, np.arange(begin, ROWS))), plain)
    assert (forecast(turned(decisions, np.arange(begin)))[begin:] != plain[begin:]).any()


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), who=st.integers(0, 59), learner=st.sampled_from([LINE, TREES]))
def test_a_customer_is_forecast_from_others_alone(seed: int, who: int, learner: Learner) -> None:
    """Whatever came of all rows of a customer, those rows are forecast the same; those of others are not."""
    decisions = drawn(seed, (0, ROWS), customers=60)
    own = decisions.customer == who

    def forecast(log: Decisions) -> Floats:
        return Chooser(log, SHOWING, trees=False).unseen(pool_of(log), learner)

    plain, other = forecast(decisions), forecast(turned(decisions, own))
    assert not np.isnan(plain).any()
    np.testing.assert_array_equal(other[own], plain[own])
    assert (other != plain).any() or not own.any()


def test_what_is_not_known_yet_teaches_nothing() -> None:
    """What was decided less than a window before a cut is left out; all counts where the log is hardly longer."""
    decisions = drawn(1, (0, ROWS))  # one a minute
    chooser = Chooser(decisions, SHOWING, trees=False, window_ms=30 * 60_000)
    assert chooser.pasts(CUTS)[:3] == [71, 171, 271]
    assert decisions.known_by(200, 0) == 200
    assert replace(chooser, window_ms=10_000 * 60_000).pasts(CUTS) == CUTS
    plain, late = (
        forward(log.x, pool_of(log), LINE, CUTS, chooser.pasts(CUTS), SHOWING)[200:300]
        for log in (decisions, turned(decisions, np.arange(171, 200)))
    )
    np.testing.assert_array_equal(late, plain)


def test_the_judged_model_was_taught_by_what_was_known() -> None:
    """What came of decisions less than a window before the latest fifth changes no forecast by which it is judged."""
    decisions = drawn(2, (0, 1000))
    later = turned(decisions, np.arange(701, 800))

    def judged(log: Decisions, window_ms: int) -> Floats:
        held_out = learn(log, Plan({}, forests=0, window_ms=window_ms)).said["offer-1"].held_out
        assert held_out is not None
        return held_out.probability

    np.testing.assert_array_equal(judged(later, 100 * 60_000), judged(decisions, 100 * 60_000))
    assert (judged(later, 0) != judged(decisions, 0)).any()


@pytest.mark.parametrize("learner", [Logistic(1.0, balanced=True), Trees(10, 8, 0.1, 40, 0, balanced=True)],
                         ids=["line", "trees"])  # fmt: skip
def test_weighing_both_classes_alike_leaves_the_level(learner: Learner) -> None:
    """Before any calibration, a learner that weighs both classes alike forecasts about as many outcomes as came."""
    decisions = drawn(3, (0, 5000), rare=3.8)
    pool = pool_of(decisions)
    chance = probability(learner.fit(decisions.x, pool, SHOWING).logits(decisions.x, 1))
    assert pool.y.mean() < 0.05
    assert chance.mean() == pytest.approx(pool.y.mean(), rel=0.5)
