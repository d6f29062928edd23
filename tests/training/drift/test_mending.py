"""A repaired estimator says exactly what the repair says, and rare actions borrow from all together."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.drift.mending import mended, scale_of, with_repair
from training.drift.repair import Reach, Repair
from training.drift.seen import Floats, Seen
from training.drift.watching import odds_of
from training.folding import Estimator, folded
from training.forests import Calibrated

REPAIR = Repair(0.7, -0.4, np.array([0.0, 0.003, -20.0]), 500, np.empty(0), 0.5, 0.4)
PLAIN = Repair(0.7, -0.4, np.zeros(3), 500, np.empty(0), 0.5, 0.4)


def rows(seed: int = 0) -> tuple[Floats, Floats]:
    """Return columns of different size, and outcomes that follow them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(400, 3)) * [1.0, 100.0, 0.01] + [5.0, -3.0, 0.0]
    return x, (rng.random(400) < 1.0 / (1.0 + np.exp(5.0 - x[:, 0]))).astype(float)


def line() -> Estimator:
    """Return a fitted line."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(*rows())


def forest() -> Estimator:
    """Return a calibrated forest."""
    return Calibrated.by(HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(*rows()), 1.2, 0.1)


@pytest.mark.parametrize(
    ("estimator", "repair"), [(line(), REPAIR), (line(), PLAIN), (forest(), PLAIN)], ids=["line", "slope", "forest"]
)
def test_estimator_and_arrays_say_what_the_repair_says(estimator: Estimator, repair: Repair) -> None:
    """Log odds of the repaired estimator and of the arrays that serve are slope × odds + offset + x·weights."""
    x, _ = rows(1)
    before = odds_of(estimator.predict_proba(x)[:, 1])
    fixed = with_repair(estimator, repair)
    wanted = repair.odds(before, x)
    assert odds_of(fixed.predict_proba(x)[:, 1]) == pytest.approx(wanted, abs=1e-6)
    assert odds_of(folded({"a": fixed}, {}, 3, "").chances(x)[0][:, 0]) == pytest.approx(wanted, abs=1e-6)
    assert odds_of(estimator.predict_proba(x)[:, 1]) == pytest.approx(before)


def test_a_forest_has_no_weights_to_correct() -> None:
    """Of a line the spread of its columns is known; a forest has none, so it gets slope and offset alone."""
    scale = scale_of(line())
    assert scale is not None
    assert scale == pytest.approx(rows()[0].std(axis=0))
    assert scale_of(forest()) is None


def seen(count: int, offset: float, seed: int) -> Seen:
    """Return recent rows of an action whose outcomes come more often than forecast."""
    rng = np.random.default_rng(seed)
    x = rows(seed)[0][rng.integers(0, 400, count)]
    odds = odds_of(line().predict_proba(x)[:, 1])
    happened = (rng.random(count) < 1.0 / (1.0 + np.exp(-(odds + offset)))).astype(float)
    return Seen(np.arange(count), x, 1.0 / (1.0 + np.exp(-odds)), happened, np.arange(count) * 1000 + seed)


def test_an_action_with_few_outcomes_borrows_slope_and_offset() -> None:
    """With 60 outcomes of its own an action is put right as all are together, and that is said."""
    recent = {"common": seen(2000, 1.0, 1), "rare": seen(60, 1.0, 2)}
    found = mended(recent, {"common": 0.5, "rare": 0.5}, {"common": line(), "rare": line()}, Reach())
    assert not found["common"].borrowed
    assert found["rare"].borrowed
    assert not found["rare"].repair.weights.any()
    assert found["rare"].repair.offset == pytest.approx(1.0, abs=0.5)


def test_without_enough_of_all_nothing_is_mended() -> None:
    """Where all actions together have too few outcomes, all stay as they are."""
    recent = {"one": seen(50, 1.0, 1), "other": seen(60, 1.0, 2)}
    assert mended(recent, {}, {"one": line(), "other": line()}, Reach()) == {}


def test_borrowers_share_a_repair_that_knows_the_rate_of_every_row() -> None:
    """Beside forecasts of all actions together stands the rate known of each row's own action."""
    recent = {"rare": seen(60, 1.0, 2), "rarer": seen(50, 1.0, 3), "common": seen(2000, 1.0, 1)}
    found = mended(recent, {"rare": 0.1, "rarer": 0.2, "common": 0.5}, dict.fromkeys(recent, line()), Reach())
    assert found["rare"].borrowed
    assert found["rare"].ahead is found["rarer"].ahead
    assert set(found["common"].ahead.rate.tolist()) == {0.5}
    order = np.argsort(np.concatenate([one.at_ms for one in recent.values()]), kind="stable")
    rates = np.repeat([0.1, 0.2, 0.5], [60, 50, 2000])[order]
    assert found["rare"].ahead.rate.tolist() == rates[-len(found["rare"].ahead.rate) :].tolist()


def test_a_model_without_weights_gets_slope_and_offset_alone() -> None:
    """No scale is invented for a forest: what is put right has no weights, whatever the reach allows."""
    found = mended({"a": seen(2000, 1.0, 1)}, {}, {"a": forest()}, Reach(weights=True))
    assert not found["a"].repair.weights.any()
