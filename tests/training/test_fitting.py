"""Claims about fitting: it says what it lacks, is fair to what it cannot see, and its figures are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.fitting import FEWEST_ROWS, Blind, Examples, blinds_of
from training.learning.learners import Logistic, Showing
from training.learning.platt import probability
from training.learning.pools import Pool
from training.metrics import Scores, calibration_error, joined, measured


@pytest.mark.parametrize(
    ("rows", "outcomes", "words"),
    [
        (FEWEST_ROWS - 1, 50, "99 rows; 100 are needed"),
        (FEWEST_ROWS, 9, "9 outcomes in 100 rows; 10 with and without are needed"),
        (FEWEST_ROWS, 91, "91 outcomes in 100 rows; 10 with and without are needed"),
        (FEWEST_ROWS, 10, ""),
    ],
)
def test_too_few_rows_or_outcomes_are_said_in_words(rows: int, outcomes: int, words: str) -> None:
    """An action with too few rows, or too few of one outcome, is not learned, and it is said why."""
    assert Examples(np.zeros((rows, 1)), np.repeat([1.0, 0.0], [outcomes, rows - outcomes])).lack() == words


def test_an_unknown_customer_is_not_taken_for_one_with_zeros() -> None:
    """A column that was always known in the log: unknown scores like the average customer, not like the value 0."""
    rng = np.random.default_rng(6)
    visits = rng.uniform(5, 15, 4000)
    x = np.column_stack((visits, np.zeros(4000)))
    y = (rng.random(4000) < 1.0 / (1.0 + np.exp(10.0 - visits))).astype(float)
    unknown, zero = np.array([[0.0, 1.0]]), np.array([[0.0, 0.0]])
    pool = Pool("a", (1,), np.arange(4000), np.ones(4000, dtype=np.int64), y)
    seeing, fair = (Logistic(1.0).fit(x, pool, Showing(blinds, 0)) for blinds in ((), (Blind((0,), (1,)),)))
    assert probability(seeing.logits(unknown, 1))[0] < 0.01  # what would happen without blind rows
    assert probability(fair.logits(unknown, 1))[0] == pytest.approx(y.mean(), abs=0.05)
    assert probability(fair.logits(zero, 1))[0] < 0.02


def test_purposes_darken_the_columns_of_their_fields() -> None:
    """A purpose without consent turns its fields' values to 0 and their unknown flags to 1, and touches no others."""
    columns = ("past.a", "past.a?", "past.b=x", "past.b=y", "past.b?", "past.c", "past.c?")
    purposes = [("past.a", "past.a?", "past.b=x", "past.b=y", "past.b?"), (), ("past.c", "past.c?")]
    found = [(blind.zeros, blind.ones) for blind in blinds_of(columns, purposes)]
    assert found == [((0, 2, 3), (1, 4)), ((5,), (6,))]


def test_the_calibration_error_is_the_mean_gap() -> None:
    """Forecasts that are right on average in every bin have no error; those always 0.2 too high have one of 0.2."""
    outcome = np.tile([0.0, 0.0, 0.0, 1.0, 1.0], 200)
    exact = np.full(1000, 0.4)
    assert calibration_error(exact, outcome) == pytest.approx(0.0, abs=1e-12)
    assert calibration_error(exact + 0.2, outcome) == pytest.approx(0.2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_true_probabilities_are_well_calibrated(seed: int) -> None:
    """The truth itself has a calibration error near zero; its mirror image has a large one."""
    rng = np.random.default_rng(seed)
    probability = rng.random(20_000)
    outcome = (rng.random(20_000) < probability).astype(float)
    assert calibration_error(probability, outcome) < 0.02
    assert calibration_error(1.0 - probability, outcome) > 0.4


def test_figures_are_those_of_scikit_learn_and_one_sided_outcomes_have_no_auc() -> None:
    """AUC is scikit-learn's; where only one outcome occurs there is none; parts join to the whole."""
    rng = np.random.default_rng(8)
    probability, outcome = rng.random(100), (rng.random(100) < 0.5).astype(float)
    scores = Scores(probability, outcome, np.full(100, 0.5))
    assert measured(scores).auc == roc_auc_score(outcome, probability)
    assert measured(scores).log_loss_of_the_rate == pytest.approx(np.log(2.0))
    assert measured(Scores(probability, np.ones(100), np.full(100, 0.5))).auc is None
    half = [Scores(probability[s], outcome[s], np.full(50, 0.5)) for s in (slice(0, 50), slice(50, 100))]
    assert measured(joined(half)) == measured(scores)
