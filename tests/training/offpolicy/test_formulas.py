"""Off-policy values are those of the Open Bandit Pipeline (obp), whose formulas are written out here as it has them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.decisions import NOTHING, Decisions
from training.offpolicy.estimates import Method, difference, value
from training.offpolicy.evaluation import evaluate
from training.offpolicy.tally import Tally

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

CLOSE = 1e-9


def generated(seed: int, rows: int, actions: int) -> tuple[Decisions, Floats, Floats]:
    """Return a generated log, a policy and a model's worths of every action."""
    dice = np.random.default_rng(seed)
    logging = dice.dirichlet(np.ones(actions) * 2.0, size=rows)
    action = np.array([dice.choice(actions, p=row) for row in logging])
    names = (NOTHING, *(f"a{code}" for code in range(1, actions)))
    log = Decisions(
        customer=dice.integers(0, max(rows // 3, 1), rows),
        at_ms=np.arange(rows),
        columns=("x",),
        x=dice.normal(size=(rows, 1)),
        actions=names,
        action=action,
        probability=logging[np.arange(rows), action],
        allowed=np.ones((rows, actions), dtype=np.bool_),
        happened=np.full((rows, actions), np.nan),
        worth=dice.normal(size=rows) * 10.0 + action,
    )
    return log, dice.dirichlet(np.ones(actions) * 0.5, size=rows), dice.normal(size=(rows, actions)) * 5.0


# obp: rewards by round; `action_dist` and `estimated_rewards_by_reg_model` have the shape (rounds, actions, positions)


def obp_ipw(reward: Floats, action: Whole, position: Whole, pscore: Floats, action_dist: Floats) -> Floats:
    """InverseProbabilityWeighting."""
    iw = action_dist[np.arange(action.shape[0]), action, position] / pscore
    return np.asarray(reward * iw)


def obp_snipw(reward: Floats, action: Whole, position: Whole, pscore: Floats, action_dist: Floats) -> Floats:
    """SelfNormalizedInverseProbabilityWeighting."""
    iw = action_dist[np.arange(action.shape[0]), action, position] / pscore
    return np.asarray(reward * iw / iw.mean())


def obp_dm(position: Whole, action_dist: Floats, estimated: Floats) -> Floats:
    """DirectMethod."""
    rounds = np.arange(position.shape[0])
    return np.asarray(np.average(estimated[rounds, :, position], weights=action_dist[rounds, :, position], axis=1))


def obp_dr(
    reward: Floats, action: Whole, position: Whole, pscore: Floats, action_dist: Floats, estimated: Floats
) -> Floats:
    """DoublyRobust."""
    rounds = np.arange(action.shape[0])
    iw = action_dist[rounds, action, position] / pscore
    baseline = np.average(estimated[rounds, :, position], weights=action_dist[rounds, :, position], axis=1)
    return np.asarray(baseline + iw * (reward - estimated[rounds, action, position]))


def by_obp(log: Decisions, policy: Floats, q: Floats) -> dict[Method, float]:
    """Return what obp estimates."""
    position, dist, estimated = np.zeros(len(log), dtype=np.int64), policy[:, :, None], q[:, :, None]
    return {
        Method.IPS: float(obp_ipw(log.worth, log.action, position, log.probability, dist).mean()),
        Method.SNIPS: float(obp_snipw(log.worth, log.action, position, log.probability, dist).mean()),
        Method.DM: float(obp_dm(position, dist, estimated).mean()),
        Method.DR: float(obp_dr(log.worth, log.action, position, log.probability, dist, estimated).mean()),
    }


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), rows=st.integers(5, 400), actions=st.integers(2, 12))
def test_every_value_is_that_of_obp(seed: int, rows: int, actions: int) -> None:
    """On generated logs of any size, all four values agree with obp's formulas to 1e-9."""
    log, policy, q = generated(seed, rows, actions)
    tally = Tally(("arm",), log.actions)
    tally.add(log, {"arm": policy}, q)
    for method, wanted in by_obp(log, policy, q).items():
        assert value(tally, "arm", method).value == pytest.approx(wanted, abs=CLOSE, rel=CLOSE), method


@settings(max_examples=20, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 299), max_size=6))
def test_values_do_not_depend_on_how_a_log_is_cut(seed: int, cuts: list[int]) -> None:
    """Rows that come in batches, whoever they are about, give the values and errors of all at once."""
    log, policy, q = generated(seed, 300, 4)
    whole, parts = Tally(("arm",), log.actions), Tally(("arm",), log.actions)
    whole.add(log, {"arm": policy}, q)
    edges = [0, *sorted(set(cuts)), 300]
    for low, high in pairwise(edges):
        parts.add(log.part(slice(low, high)), {"arm": policy[low:high]}, q[low:high])
    for method in Method:
        one, other = value(whole, "arm", method), value(parts, "arm", method)
        assert (one.value, one.error) == pytest.approx((other.value, other.error), abs=CLOSE)


def test_a_difference_is_that_of_the_values_and_paired() -> None:
    """A difference is the difference of both values, and surer than they are where both policies are alike."""
    log, policy, q = generated(7, 400, 4)
    almost = 0.98 * policy + 0.02 / 4
    found = evaluate(log, {"one": policy, "other": almost}, q)
    for method in Method:
        over = difference(found.tally, "one", "other", method)
        one, other = value(found.tally, "one", method), value(found.tally, "other", method)
        assert over.value == pytest.approx(one.value - other.value, abs=CLOSE)
        assert over.error < one.error / 2.0


def test_a_decision_of_unknown_worth_counts_for_nothing() -> None:
    """Rows whose worth is not known are left out and counted."""
    log, policy, q = generated(3, 200, 3)
    log.worth[:50] = np.nan
    tally, rest = Tally(("arm",), log.actions), Tally(("arm",), log.actions)
    tally.add(log, {"arm": policy}, q)
    rest.add(log.part(slice(50, None)), {"arm": policy[50:]}, q[50:])
    assert (tally.rows, tally.unknown) == (150, 50)
    assert [value(tally, "arm", one) for one in Method] == [value(rest, "arm", one) for one in Method]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(lambda policy: policy * 0.9, "negative or do not sum to 1", id="sums to less"),
        pytest.param(lambda policy: policy - np.array([[0.5, -0.5, 0.0]]), "negative or do", id="negative"),
        pytest.param(lambda policy: policy * np.nan, "negative or do not sum", id="no numbers"),
        pytest.param(lambda policy: policy[:, :2], r"has the shape \(20, 2\), not \(20, 3\)", id="another shape"),
    ],
)
def test_what_is_no_policy_is_refused(wrong: Callable[[Floats], Floats], words: str) -> None:
    """A matrix whose rows are no probabilities is refused by name."""
    log, policy, q = generated(3, 20, 3)
    with pytest.raises(ValueError, match=f"the policy of arm .*{words}"):
        Tally(("arm",), log.actions).add(log, {"arm": wrong(policy)}, q)
