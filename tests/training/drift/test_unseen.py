"""What a model is compared with are forecasts of rows that it had not seen: what it knows by heart is no measure."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from training.decisions import Decisions
from training.drift.alarms import Alarm
from training.drift.calibration import Habit
from training.drift.unseen import Habits, gaps_of, habits_told, unseen_of
from training.drift.watching import Past, look, sides_of
from training.folding import folded
from training.learning.arrays import estimators_of
from training.learning.learn import Learning, Plan, learn

HALVES = int(os.environ.get("TACT_HALVES", "2"))
ROWS, COLUMNS = 4000, 10
GAPS = {"edges": [0.1, 0.5], "gaps": [0.0, 0.1, -0.1], "variances": [0.01, 0.01, 0.01]}


def world(rows: int, seed: int) -> Decisions:
    """Return decisions of a world that stands still, with a bend that only trees can learn."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, COLUMNS))
    odds = 1.5 * np.sign(x[:, 0]) * np.sign(x[:, 1]) + 0.7 * x[:, 2] - 1.0
    happened = np.full((rows, 2), np.nan)
    happened[:, 1] = rng.random(rows) < 1.0 / (1.0 + np.exp(-odds))
    return Decisions(
        customer=np.arange(rows),
        at_ms=np.arange(rows) * 1000,
        columns=tuple(f"f{number}" for number in range(COLUMNS)),
        x=x,
        actions=("nothing", "offer"),
        action=np.ones(rows, dtype=np.int64),
        probability=np.ones(rows),
        allowed=np.ones((rows, 2), dtype=bool),
        happened=happened,
        worth=np.full(rows, np.nan),
    )


def halves(seed: int) -> tuple[Decisions, Decisions]:
    """Return two random halves of the decisions of one world, each in order of time."""
    everything = world(2 * ROWS, seed)
    mixed = np.random.default_rng(seed).permutation(2 * ROWS)
    return everything.part(np.sort(mixed[:ROWS])), everything.part(np.sort(mixed[ROWS:]))


def alarms(learning: Learning, then: Decisions, recent: Decisions, habits: Habits | None) -> tuple[Alarm, ...]:
    """Look at recent decisions, as `tact drift` does."""
    arrays = folded(*estimators_of(learning, then.actions), COLUMNS, "")
    return look(Past.of(sides_of(arrays, then), habits), sides_of(arrays, recent)).alarms


@pytest.mark.parametrize("seed", range(HALVES))
def test_trees_that_learned_one_half_raise_no_alarm_on_the_other(seed: int) -> None:
    """By what they missed on unseen rows the other half is as ever; by the rows they learned it would be an alarm."""
    one, other = halves(seed)
    learning = learn(one, Plan({}, judged=False))
    assert not learning.said["offer"].choice.learner.simple
    assert alarms(learning, one, other, habits_told(unseen_of(learning))) == ()
    assert alarms(learning, one, other, None) != ()


def test_a_world_that_moves_is_still_noticed() -> None:
    """Outcomes that come more often than before raise the alarms of forecasts, also of trees."""
    one, other = halves(0)
    learning = learn(one, Plan({}, judged=False))
    other.happened[:, 1] = np.maximum(other.happened[:, 1], np.random.default_rng(0).random(ROWS) < 0.2)
    found = alarms(learning, one, other, habits_told(unseen_of(learning)))
    assert {"base_rate", "forecast", "calibration"} <= {alarm.kind.value for alarm in found}


def test_gaps_come_back_from_a_manifest_as_they_were() -> None:
    """What is told of a model is what it missed, to nine digits."""
    rng = np.random.default_rng(0)
    forecast = rng.random(500)
    happened = (rng.random(500) < forecast).astype(float)
    said, silent = habits_told({"said": {"offer": gaps_of(forecast, happened)}, "silent": {}})
    wanted = Habit.from_forecasts(forecast, happened)
    assert silent == {}
    for name in ("edges", "gaps", "variances"):
        assert getattr(said["offer"], name) == pytest.approx(getattr(wanted, name), rel=1e-8)


def test_a_few_rows_without_an_outcome_do_not_prove_that_there_are_none() -> None:
    """The gap of 30 rows in which nothing happened is no better known than by 30 coins."""
    habit = Habit.from_forecasts(np.full(30, 0.05), np.zeros(30))
    assert habit.variances.sum() >= 0.05 * 0.95 / 30 * 0.999


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"said": {"offer": GAPS}},
        {"said": {"offer": GAPS | {"gaps": [0.0]}}, "silent": {}},
        {"said": {"offer": GAPS | {"edges": [0.5, 0.1]}}, "silent": {}},
        {"said": {"offer": GAPS | {"variances": [0.01, -0.01, 0.01]}}, "silent": {}},
        {"said": {"offer": GAPS | {"gaps": [0.0, 2.0, 0.0]}}, "silent": {}},
        {"said": {"offer": GAPS | {"more": 1}}, "silent": {}},
    ],
    ids=["a list", "one side", "too few", "no order", "negative", "beyond one", "more"],
)
def test_nonsense_is_refused(told: Any) -> None:  # noqa: ANN401  anything can stand in a file
    """Gaps that do not belong together are not used."""
    with pytest.raises(ValueError, match=r"."):
        habits_told(told)
