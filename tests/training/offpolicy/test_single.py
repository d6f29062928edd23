"""The arms that need no strategy: nothing, random, and the best single action, which others choose."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.offpolicy.test_formulas import generated
from training.decisions import Decisions
from training.offpolicy.single import FEWEST_SAID, BestSingle, always_nothing, evenly
from training.offpolicy.worths import PARTS, Worths


def _even(rows: int = 4_000, actions: int = 4) -> Decisions:
    log, _, _ = generated(1, rows, actions)
    log.action[:] = np.random.default_rng(0).integers(0, actions, rows)
    log.probability[:] = 1.0 / actions
    log.worth[:] = np.random.default_rng(1).normal(size=rows) + np.where(log.action == 2, 3.0, 0.0)
    return log


def _chosen(log: Decisions, permitted: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> BestSingle:
    worths = Worths(1, len(log.actions))
    worths.add(log)
    single = BestSingle(log.actions, worths)
    single.add(log, permitted, worths.expected(log))
    return single


def test_the_action_that_earns_most_is_found() -> None:
    """Where one action earns most, it is the best one for every part, and its policy says it where it may be said."""
    log = _even()
    permitted = np.ones((len(log), 4), dtype=np.bool_)
    permitted[:1_000, 2] = False
    single = _chosen(log, permitted)
    best = single.best()
    assert best is not None
    assert best.tolist() == [2] * PARTS
    policy = single.policy(log, permitted, best)
    assert policy[:1_000, 0].sum() == 1_000
    assert policy[1_000:, 2].sum() == 3_000


def test_what_may_seldom_be_said_counts_for_seldom() -> None:
    """An action that earns much and may be said to a few is not better than one that earns less and may be always."""
    log = _even()
    log.worth[log.action == 1] += 1.0
    permitted = np.ones((len(log), 4), dtype=np.bool_)
    permitted[400:, 2] = False
    best = _chosen(log, permitted).best()
    assert best is not None
    assert best.tolist() == [1] * PARTS


def test_what_the_log_does_not_carry_is_no_candidate() -> None:
    """An action that was hardly ever said, or could not be, is not chosen; where there is no other, none is."""
    log = _even()
    log = log.part((log.action != 2) | (np.cumsum(log.action == 2) < FEWEST_SAID))
    best = _chosen(log, np.ones((len(log), 4), dtype=np.bool_)).best()
    assert best is not None
    assert 2 not in best
    log = _even()
    log.probability[:] = 1.0
    assert _chosen(log, np.ones((len(log), 4), dtype=np.bool_)).best() is None


def test_nobody_is_valued_by_what_they_taught() -> None:
    """What is expected of a person's rows does not change when what they earned does."""
    log = _even(600)
    whose = log.customer == log.customer[0]
    changed = log.part(np.arange(len(log)))  # a copy
    changed.worth[:] = np.where(whose, 1_000.0, log.worth)
    expected = []
    for one in (log, changed):
        worths = Worths(1, 4)
        worths.add(one)
        expected.append(worths.expected(one))
    assert expected[0][whose] == pytest.approx(expected[1][whose])
    assert abs(expected[0][~whose] - expected[1][~whose]).max() > 1.0


def test_worths_are_learned_from_what_is_known() -> None:
    """A worth that is linear in what is known is found for every action, and an unsaid action has about the mean."""
    dice = np.random.default_rng(3)
    log = _even(6_000)
    log.worth[:] = 2.0 * log.action + (log.action + 1.0) * log.x[:, 0] + dice.normal(size=len(log)) * 0.1
    worths = Worths(1, 5)
    worths.add(log)
    q = worths.expected(log)
    for code in range(4):
        assert q[:, code] == pytest.approx(2.0 * code + (code + 1.0) * log.x[:, 0], abs=0.2)
    assert q[:, 4] == pytest.approx(np.full(len(log), log.worth.mean()), abs=0.2)


def test_random_is_even_over_what_may_be_said() -> None:
    """Each permitted action has the same probability, nothing has all of it where none is permitted."""
    permitted = np.array([[True, True, False, True], [True, False, False, False]])
    assert evenly(permitted).tolist() == [[0.0, 0.5, 0.0, 0.5], [1.0, 0.0, 0.0, 0.0]]
    assert always_nothing(2, 3).tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
