"""A repair puts right what recent outcomes clearly say, forgets nothing for less, and stays within its bounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from training.drift.repair import FURTHEST_OFFSET, STEEPEST_SLOPE, Reach, Repair, lack, repaired
from training.drift.watching import odds_of

Floats = npt.NDArray[np.float64]


def recent(rows: int, slope: float, offset: float, weight: float = 0.0, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Return a model's log odds, columns and outcomes in a world where its odds should be others."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    odds = -1.0 + x[:, 0]
    truth = slope * odds + offset + weight * x[:, 1]
    return odds, x, (rng.random(rows) < 1.0 / (1.0 + np.exp(-truth))).astype(float)


def mend(rows: tuple[Floats, Floats, Floats], reach: Reach | None = None) -> Repair | None:
    """Repair with columns as they are."""
    odds, x, y = rows
    return repaired(odds, x, y, np.ones(3), reach)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 1.0), (0.5, 0.0), (2.0, -1.0)])
def test_a_moved_rate_and_a_wrong_slope_are_put_right(slope: float, offset: float) -> None:
    """From 2,500 outcomes the repair is near the slope and the offset that the world truly has."""
    repair = mend(recent(2500, slope, offset), Reach(weights=False))
    assert repair is not None
    assert repair.slope == pytest.approx(slope, abs=0.25)
    assert repair.offset == pytest.approx(offset, abs=0.35)
    assert not repair.weights.any()
    assert repair.loss_after < repair.loss_before


def test_a_new_reason_for_outcomes_is_learned_as_a_weight() -> None:
    """What slope and offset cannot say, the correction of the weights says, and forecasts the next rows better."""
    repair = mend(recent(2500, 1.0, 0.0, weight=1.5))
    assert repair is not None
    assert np.argmax(np.abs(repair.weights)) == 1
    odds, x, y = recent(4000, 1.0, 0.0, weight=1.5, seed=1)
    chance, before = (1.0 / (1.0 + np.exp(-z)) for z in (repair.odds(odds, x), odds))
    assert ((chance - y) ** 2).mean() < 0.9 * ((before - y) ** 2).mean()


def test_a_model_that_is_right_is_left_nearly_as_it_is() -> None:
    """Over 20 worlds in which nothing moved, what a repair makes of the model stays within a few hundredths."""
    apart = []
    for seed in range(20):
        repair = mend(recent(2500, 1.0, 0.0, seed=seed))
        odds, x, _ = recent(500, 1.0, 0.0, seed=seed + 100)
        after = odds if repair is None else repair.odds(odds, x)
        apart.append(np.abs(1.0 / (1.0 + np.exp(-after)) - 1.0 / (1.0 + np.exp(-odds))).mean())
    assert np.mean(apart) < 0.03


@pytest.mark.parametrize(("rows", "happened", "said"), [(199, 50, "200 are needed"), (500, 9, "10 with and without")])
def test_too_few_outcomes_teach_nothing(rows: int, happened: int, said: str) -> None:
    """With few outcomes there is no repair, and the reason is a number that was missed."""
    y = np.zeros(rows)
    y[:happened] = 1.0
    assert said in lack(y)
    assert mend((np.zeros(rows), np.ones((rows, 3)), y)) is None


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_repair_never_turns_a_model_around_nor_runs_away(sign: float) -> None:
    """Where all recent outcomes contradict a model that is very sure, slope and offset stop at their bounds."""
    odds = sign * np.linspace(-9.0, 9.0, 2500)[np.random.default_rng(0).permutation(2500)]
    y = (odds < 0.0).astype(float)
    repair = mend((odds, np.zeros((2500, 3)), y), Reach(weights=False))
    assert repair is not None
    assert 0.0 <= repair.slope <= STEEPEST_SLOPE**2
    assert abs(repair.offset) <= FURTHEST_OFFSET * (1.0 + STEEPEST_SLOPE)


def test_only_the_past_forecasts_the_future() -> None:
    """How the latest rows were forecast does not change with what happened in the very last ones."""
    odds, x, y = recent(2500, 1.0, 1.0, weight=1.0)
    changed = y.copy()
    changed[-100:] = 1.0 - changed[-100:]
    one, other = mend((odds, x, y)), mend((odds, x, changed))
    assert one is not None
    assert other is not None
    assert (one.ahead == other.ahead).all()
    assert one.offset != other.offset


def test_equal_rows_give_equal_repairs() -> None:
    """There is no chance in a repair."""
    one, other = (mend(recent(1000, 1.0, 1.0)) for _ in range(2))
    assert one is not None
    assert other is not None
    assert (one.slope, one.offset, one.weights.tolist()) == (other.slope, other.offset, other.weights.tolist())


def test_the_surest_probability_has_finite_odds() -> None:
    """A forecast of 0 or 1 becomes large log odds, never infinite ones."""
    assert np.isfinite(odds_of(np.array([0.0, 0.5, 1.0]))).all()
