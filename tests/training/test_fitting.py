"""Claims about fitting: it finds a known truth, looks only forwards in time, and is fair to what it cannot see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.fitting import FEWEST_ROWS, STRENGTHS, Blind, Examples, Fitting, blinds_of
from training.metrics import Scores, calibration_error, joined, measured

TRUTH = np.array([1.0, -0.5, 0.0, 0.8])


def examples(seed: int, rows: int, noise: int = 0) -> Examples:
    """Draw rows of four columns that matter as `TRUTH` says, and of some that do not."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4 + noise))
    chance = 1.0 / (1.0 + np.exp(-(x[:, :4] @ TRUTH - 1.0)))
    return Examples(x, (rng.random(rows) < chance).astype(float))


def test_a_known_truth_is_found() -> None:
    """With enough rows the weights are those of the world that made them, within the noise."""
    fitted = Fitting((), 0).fit(examples(1, 20_000))
    scaler, logistic = fitted.estimator[0], fitted.estimator[-1]
    np.testing.assert_allclose(logistic.coef_[0] / scaler.scale_, TRUTH, atol=0.06)


def test_few_rows_and_much_noise_call_for_a_strong_penalty() -> None:
    """The strength is chosen, not fixed: much noise in few rows wants a smaller C than a clear truth in many."""
    noisy, clear = Fitting((), 0).fit(examples(2, 150, noise=40)), Fitting((), 0).fit(examples(2, 5000))
    assert STRENGTHS[0] <= noisy.strength <= 0.01 < clear.strength


def test_the_latest_rows_judge_what_the_earlier_ones_taught() -> None:
    """A truth that turns in the last fifth of the rows shows as a bad score: the judge was not the teacher."""
    steady = examples(3, 4000)
    turned = Examples(steady.x.copy(), steady.y)
    turned.x[3200:] *= -1.0
    aucs = []
    for rows in (steady, turned):
        scores = Fitting((), 0).fit(rows).held_out
        assert scores is not None
        assert len(scores.outcome) == 800
        assert (scores.outcome == rows.y[3200:]).all()
        aucs.append(measured(scores).auc)
    assert aucs[0] is not None
    assert aucs[0] > 0.7
    assert aucs[1] == pytest.approx(1.0 - aucs[0], abs=0.05)


def test_equal_rows_and_seeds_give_equal_estimators() -> None:
    """Fitting twice gives the same bits, with blind rows too."""
    fitting = Fitting((Blind((0,), (1,)),), 5)
    one, two = (fitting.fit(examples(4, 500)).estimator for _ in range(2))
    assert one[-1].coef_.tobytes() == two[-1].coef_.tobytes()
    assert one[-1].intercept_.tobytes() == two[-1].intercept_.tobytes()


def test_outcomes_that_come_only_late_are_learned_without_a_judgement() -> None:
    """Where the earlier rows know only one outcome there is a model, and no figure that pretends to judge it."""
    rows = examples(5, 200)
    rows.y[:] = 0.0
    rows.y[-15:] = 1.0
    fitted = Fitting((), 0).fit(rows)
    assert fitted.held_out is None
    assert fitted.estimator.predict_proba(rows.x).shape == (200, 2)


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
    seeing = Fitting((), 0).fit(Examples(x, y)).estimator
    fair = Fitting((Blind((0,), (1,)),), 0).fit(Examples(x, y)).estimator
    assert seeing.predict_proba(unknown)[0, 1] < 0.01  # what would happen without blind rows
    assert fair.predict_proba(unknown)[0, 1] == pytest.approx(y.mean(), abs=0.05)
    assert fair.predict_proba(zero)[0, 1] < 0.02


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
