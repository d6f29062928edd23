"""Claims about measures of uplift: by hand they come out the same, and their intervals cover what is true."""

from __future__ import annotations

import os

import numpy as np
import pytest

from training.uplift.metrics import Trial, measured, trial_of_action, trial_of_best

from .world import changed, log, truth


def trial(rows: int, seed: int, *, repeated: int = 1) -> Trial:
    """Return people whose uplift is what the score says, half of them told; each person is there several times."""
    rng = np.random.default_rng(seed)
    score = np.repeat(rng.random(rows), repeated)
    told = np.repeat(rng.random(rows) < 0.5, repeated)
    y = np.repeat(rng.standard_normal(rows), repeated) + told * score
    return Trial(score, y, told, np.full(len(y), 0.5), np.repeat(np.arange(rows), repeated))


def test_curves_are_those_made_by_hand() -> None:
    """With equal probabilities the gain is Radcliffe's curve per person told, and the uplift a difference of means."""
    one = trial(400, 0)
    found = measured(one, draws=20)
    order = np.argsort(-one.score)
    told, y = one.told[order], one.y[order]
    for place, share in enumerate(found.gain.x):
        top = slice(0, round(share * 400))
        by_hand = y[top][told[top]].sum() / told.sum() - y[top][~told[top]].sum() / (~told).sum()
        assert found.gain.y[place] == pytest.approx(by_hand)
        if share:
            assert found.at(share).value == pytest.approx(y[top][told[top]].mean() - y[top][~told[top]].mean())
    area = np.trapezoid(found.gain.y - found.gain.y[-1] * found.gain.x, found.gain.x)
    assert found.qini.value == pytest.approx(float(area))
    assert found.overall.value == pytest.approx(float(one.y[one.told].mean() - one.y[~one.told].mean()))


def test_weights_undo_unequal_probabilities() -> None:
    """Rows that were unlikely count for those that were left out: the uplift of all is the same as of a fair trial."""
    rows = log(20000, 1, skewed=True)
    found = measured(trial_of_action(rows, 1, rows.x[:, 1], rows.worth), draws=40)
    assert found.overall.low < truth(rows.x)[:, 1].mean() < found.overall.high
    plain = rows.worth[rows.action == 1].mean() - rows.worth[rows.action == 0].mean()
    assert abs(plain - truth(rows.x)[:, 1].mean()) > 0.3


def test_a_score_that_means_nothing_has_no_area() -> None:
    """Ranked by chance the Qini coefficient is not told from 0; ranked by the truth it is; turned over it is below."""
    one = trial(4000, 2)
    rng = np.random.default_rng(3)
    by_chance, turned = (
        measured(Trial(score, one.y, one.told, one.probability, one.customer), draws=100)
        for score in (rng.random(4000), -one.score)
    )
    assert by_chance.qini.low < 0.0 < by_chance.qini.high
    assert measured(one, draws=100).qini.low > 0.0
    assert turned.qini.high < 0.0


def test_ties_are_no_order() -> None:
    """People of one score count alike, in whatever order they stand: then the gain is a straight line."""
    one = trial(1000, 4)
    flat = Trial(np.zeros(1000), one.y, one.told, one.probability, one.customer)
    found = measured(flat, draws=20)
    np.testing.assert_allclose(found.gain.y, found.gain.y[-1] * found.gain.x, atol=1e-12)
    assert found.qini.value == pytest.approx(0.0, abs=1e-12)


def test_intervals_cover_the_truth() -> None:
    """Of many trials with a known uplift the 95 % intervals cover it in about 95 of 100."""
    runs = int(os.environ.get("TACT_UPLIFT_RUNS", "60"))
    covered = [measured(trial(300, 100 + seed), draws=100).overall for seed in range(runs)]
    share = np.mean([one.low < 0.5 < one.high for one in covered])
    assert 0.95 - 4.0 * (0.05 * 0.95 / runs) ** 0.5 <= share <= 1.0


def test_rows_of_one_person_are_one_observation() -> None:
    """To show everybody four times teaches nothing: the intervals stay as wide as they were."""
    once, often = measured(trial(400, 5), draws=150), measured(trial(400, 5, repeated=4), draws=150)
    assert often.overall.value == pytest.approx(once.overall.value)
    wide = once.overall.high - once.overall.low
    assert often.overall.high - often.overall.low == pytest.approx(wide, rel=0.25)


def test_the_best_is_judged_where_just_that_was_said() -> None:
    """A ranking of all actions is judged on rows that said what it ranks highest, against those that said nothing."""
    rows = log(8000, 6)
    one = trial_of_best(rows, truth(rows.x), rows.worth)
    best = np.where(truth(rows.x)[:, 1] > truth(rows.x)[:, 2], 1, 2)
    assert len(one.y) == int(((rows.action == best) | (rows.action == 0)).sum())
    assert measured(one, draws=40).qini.low > 0.0
    forbidden = np.array(rows.allowed)
    forbidden[:, 1:] = False
    assert not len(trial_of_best(changed(rows, allowed=forbidden), truth(rows.x), rows.worth).y)


def test_too_little_is_refused_in_words() -> None:
    """Where hardly anybody was told, or hardly anybody told nothing, there is a sentence instead of a figure."""
    one = trial(400, 7)
    told = np.flatnonzero(one.told)[:29]
    rows = np.concatenate((told, np.flatnonzero(~one.told)))
    few = Trial(*(getattr(one, name)[rows] for name in ("score", "y", "told", "probability", "customer")))
    with pytest.raises(ValueError, match="29 rows were told it; 30 are needed"):
        measured(few)
    with pytest.raises(ValueError, match="0 rows were told nothing"):
        measured(Trial(one.score, one.y, np.ones(400, dtype=np.bool_), one.probability, one.customer))


def test_figures_are_repeatable() -> None:
    """Equal trials and seeds give equal figures, intervals included."""
    assert measured(trial(300, 8), draws=30, seed=1).plain() == measured(trial(300, 8), draws=30, seed=1).plain()
