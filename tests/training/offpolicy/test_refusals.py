"""A log that cannot tell what a policy is worth says so, in words that name what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.offpolicy.test_formulas import generated
from training.decisions import Decisions
from training.offpolicy.estimates import Method, Verdict
from training.offpolicy.evaluation import evaluate


def _only(log: Decisions, code: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    policy = np.zeros((len(log), len(log.actions)))
    policy[:, code] = 1.0
    return policy


def test_an_action_that_was_not_allowed_then_has_no_value() -> None:
    """A policy that says what the log could not say is refused, with the action and the share of what it says."""
    log, policy, _ = generated(1, 2_000, 4)
    kept = (log.action != 2) | (np.arange(len(log)) >= 1_000)
    log, policy = log.part(kept), policy[kept]
    first = log.at_ms < 1_000
    log.allowed[first, 2] = False
    arm = evaluate(log, {"arm": policy}).arm("arm")
    share = float(policy[first, 2].sum() / len(log))
    assert arm.support.lacking == pytest.approx(share)
    assert arm.support.refusal.startswith(f"Refused: {share:.1%} of what the policy says was never said by the log")
    assert f"a2 ({share:.1%})" in arm.support.refusal
    assert arm.values == {}


def test_a_log_without_chance_tells_only_of_itself() -> None:
    """Where everything was said with certainty, another policy is refused, and the logged one has its value."""
    log, _, _ = generated(2, 2_000, 3)
    log.probability[:] = 1.0
    same = np.zeros((len(log), 3))
    same[np.arange(len(log)), log.action] = 1.0
    found = evaluate(log, {"other": np.full((len(log), 3), 1.0 / 3.0), "same": same})
    assert "66.7% of what the policy says" in found.arm("other").support.refusal
    assert found.arm("same").support.refusal == ""
    assert found.arm("same").values[Method.IPS].value == pytest.approx(float(log.worth.mean()))
    assert found.difference("same", "other") is None


def test_an_action_that_was_never_said_though_allowed_is_found_by_its_weights() -> None:
    """A log that claims to allow an action and never says it gives itself away: its weights do not add up."""
    log, _, _ = generated(3, 3_000, 4)
    log = log.part(log.action != 3)
    arm = evaluate(log, {"arm": 0.9 * _only(log, 1) + 0.1 * _only(log, 3)}).arm("arm")
    action, share = arm.support.actions[0]
    assert (action, round(share, 6)) == ("a3", 0.1)
    assert "a3 (10.0%)" in arm.support.refusal


def test_a_sound_log_is_not_refused_for_the_luck_of_its_draws() -> None:
    """Of 100 generated logs with support everywhere none is refused."""
    refused = []
    for seed in range(100):
        log, policy, _ = generated(seed, 600, 4)
        refused += [evaluate(log, {"arm": policy}, np.zeros(policy.shape)).arm("arm").support.refusal]
    assert [words for words in refused if words] == []


def test_a_rare_action_is_not_refused_for_the_luck_of_few_rows() -> None:
    """Where each of many actions is said a few times by chance, those that came out less often are no lack."""
    for seed in range(10):
        log, _, _ = generated(seed, 300, 40)
        log.action[:] = np.random.default_rng(seed).integers(0, 40, 300)
        log.probability[:] = 1.0 / 40.0
        arm = evaluate(log, {"arm": np.full((300, 40), 1.0 / 40.0)}, np.zeros((300, 40))).arm("arm")
        assert (arm.support.lacking, arm.support.refusal) == (0.0, "")


def test_a_policy_that_the_log_hardly_ever_agrees_with_is_refused() -> None:
    """Where the log says of a policy no more than a few customers would, there is no interval to speak of."""
    log, _, _ = generated(4, 60, 4)
    arm = evaluate(log, {"arm": _only(log, 1)}).arm("arm")
    assert arm.support.customers < 30
    assert "30 are the fewest that an interval is made of" in arm.support.refusal


def test_a_log_of_unknown_worth_is_refused() -> None:
    """Without a decision whose worth is known there is no value."""
    log, policy, _ = generated(4, 60, 4)
    log.worth[:] = np.nan
    found = evaluate(log, {"arm": policy})
    assert found.arm("arm").support.refusal == "Refused: there is no decision whose worth is known."
    assert np.isnan(found.logged.value)


def test_effective_sizes_and_the_largest_weight_are_told() -> None:
    """A policy that is the log's own counts every decision fully; one that differs counts fewer, and larger weights."""
    log, _, _ = generated(5, 2_000, 4)
    log.probability[:] = 0.25
    found = evaluate(log, {"own": np.full((2_000, 4), 0.25), "one": _only(log, 1)})
    own, one = found.arm("own").support, found.arm("one").support
    assert (round(own.effective, 6), round(own.largest, 6)) == (2_000.0, 1.0)
    assert (round(one.effective, 6), round(one.largest, 6)) == (float((log.action == 1).sum()), 4.0)


def test_better_is_claimed_only_where_the_interval_says_so() -> None:
    """A difference whose interval holds 0 is undecided; one that does not is better or worse, by its sign."""
    log, _, _ = generated(6, 3_000, 3)
    log.probability[:] = 1.0 / 3.0
    log.action[:] = np.random.default_rng(0).integers(0, 3, len(log))
    log.worth[:] = np.where(log.action == 2, 5.0, 0.0) + np.random.default_rng(1).normal(size=len(log))
    found = evaluate(log, {"good": _only(log, 2), "bad": _only(log, 0), "as bad": _only(log, 1)})
    verdicts = {
        (one, other): over.verdict
        for one, other in (("good", "bad"), ("bad", "good"), ("bad", "as bad"))
        if (over := found.difference(one, other)) is not None
    }
    assert verdicts == {
        ("good", "bad"): Verdict.BETTER,
        ("bad", "good"): Verdict.WORSE,
        ("bad", "as bad"): Verdict.UNDECIDED,
    }
