"""Intervals hold what they promise on the synthetic world, whose truth is known."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from tests.training.offpolicy.world import OFFERS, TRAITS, Floats, Tastes, same_as_world
from training.offpolicy.estimates import Estimate, Intervals, Method, value
from training.offpolicy.evaluation import evaluate

RUNS = int(os.environ.get("TACT_COVERAGE_RUNS", "400"))
PEOPLE, ROWS_EACH, NOISE = 400, 3, 2.0
CLAIMING = (Method.IPS, Method.SNIPS, Method.DR)
TASTES = Tastes.of(*OFFERS)


def _softmax(z: Floats) -> Floats:
    odds = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _logging(traits: Floats) -> Floats:
    return 0.05 + 0.7 * _softmax(np.concatenate((np.zeros((len(traits), 1)), traits[:, :5]), axis=1))


def _target(traits: Floats) -> Floats:
    """Return a policy that knows something of the traits, and so differs much from what was logged."""
    tech, thrift, travel, warmth = traits[:, 0], traits[:, 1], traits[:, 2], traits[:, 5]
    return _softmax(2.0 * np.stack((0.0 * tech, 1.5 * tech, thrift, 2.0 * travel, tech - thrift, warmth), axis=1))


def _truth() -> tuple[float, float]:
    traits = np.random.default_rng(99).normal(size=(400_000, len(TRAITS)))
    expected = TASTES.expected(traits)
    return float((_target(traits) * expected).sum(axis=1).mean()), float(expected.mean())


def _run(seed: int) -> dict[tuple[str, Method], Estimate]:
    dice = np.random.default_rng(seed)
    traits = dice.normal(size=(PEOPLE, len(TRAITS)))
    log = TASTES.log(traits, ROWS_EACH, _logging(traits), dice, NOISE)
    target = _target(traits)[log.customer]
    found = evaluate(log, {"target": target, "random": np.full(target.shape, 1.0 / 6.0)})
    over = {("difference", one): found.difference("target", "random", one) for one in CLAIMING}
    values = {("value", one): found.arm("target").values[one] for one in CLAIMING}
    return values | {name: estimate for name, estimate in over.items() if estimate is not None}


def test_the_world_of_these_tests_is_the_demo_world() -> None:
    """What actions truly earn here is what the demo world says of the same traits."""
    assert same_as_world(TASTES, np.random.default_rng(0).normal(size=(50, len(TRAITS)))) < 1e-9


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """On the synthetic world, 95 % intervals of IPS, SNIPS and DR, and of differences, cover the truth in 93 to 97 %
    of 400 runs.
    """
    truth, of_random = _truth()
    wanted = {"value": truth, "difference": truth - of_random}
    covered = Counter(
        name
        for seed in range(1, RUNS + 1)
        for name, one in _run(seed).items()
        if one.low <= wanted[name[0]] <= one.high
    )
    shares = {name: covered[name] / RUNS for name in ((what, one) for what in wanted for one in CLAIMING)}
    assert {name: share for name, share in shares.items() if not 0.93 <= share <= 0.97} == {}


def test_an_interval_that_forgets_whose_rows_they_are_is_too_narrow() -> None:
    """Where one person's rows are alike, counting them as independent gives half the error that there is."""
    dice = np.random.default_rng(5)
    traits = dice.normal(size=(300, len(TRAITS)))
    log = TASTES.log(traits, 12, _logging(traits), dice, 20.0)
    policy = _logging(traits)[log.customer]
    by_person = evaluate(log, {"same": policy}).arm("same").values[Method.IPS]
    log.customer[:] = np.arange(len(log))
    by_row = evaluate(log, {"same": policy}).arm("same").values[Method.IPS]
    assert by_row.value == pytest.approx(by_person.value)
    assert by_row.error < 0.5 * by_person.error


def test_a_sure_thing_is_sure_however_often_people_are_asked() -> None:
    """Where every decision earned the same, the log's own value has no error, though some were asked 40 times."""
    dice = np.random.default_rng(6)
    traits = dice.normal(size=(60, len(TRAITS)))
    log = TASTES.log(traits, 40, _logging(traits), dice, NOISE)
    log = log.part(dice.random(len(log)) < log.customer / 60.0)
    log.worth[:] = 5.0
    found = evaluate(log, {"own": _logging(traits)[log.customer]}, np.full((len(log), 6), 5.0))
    for method, one in found.arm("own").values.items():
        if method is not Method.IPS:
            assert (one.value, one.error) == pytest.approx((5.0, 0.0)), method
    assert (found.logged.value, found.logged.error) == pytest.approx((5.0, 0.0))


def test_drawing_customers_gives_about_the_same_interval() -> None:
    """The bootstrap over customers agrees with the influences on every method, and its seed repeats it."""
    dice = np.random.default_rng(8)
    traits = dice.normal(size=(800, len(TRAITS)))
    log = TASTES.log(traits, 2, _logging(traits), dice, NOISE)
    found = evaluate(log, {"target": _target(traits)[log.customer]})
    for method in Method:
        plain = value(found.tally, "target", method)
        drawn = value(found.tally, "target", method, Intervals(draws=2_000, seed=1))
        again = value(found.tally, "target", method, Intervals(draws=2_000, seed=1))
        assert drawn == again
        assert drawn.high - drawn.low == pytest.approx(plain.high - plain.low, rel=0.1)
        assert abs(drawn.low - plain.low) < 0.2 * plain.error + 0.1 * (plain.high - plain.low)


def test_a_wrong_model_is_corrected_by_the_log() -> None:
    """With a model of worths that is plainly wrong, DM is wrong and DR still covers the truth."""
    truth, _ = _truth()
    dice = np.random.default_rng(21)
    traits = dice.normal(size=(3_000, len(TRAITS)))
    log = TASTES.log(traits, 2, _logging(traits), dice, NOISE)
    wrong = np.full((len(log), 6), 30.0)
    values = evaluate(log, {"target": _target(traits)[log.customer]}, wrong).arm("target").values
    assert values[Method.DR].low <= truth <= values[Method.DR].high
    assert abs(values[Method.DM].value - truth) > 20.0


def test_a_good_model_makes_surer_values() -> None:
    """Where worths can be learned from what is known, DR needs less data than IPS for the same sureness."""
    dice = np.random.default_rng(4)
    traits = dice.normal(size=(2_000, len(TRAITS)))
    log = TASTES.log(traits, 2, _logging(traits), dice, NOISE)
    values = evaluate(log, {"target": _target(traits)[log.customer]}).arm("target").values
    assert values[Method.DR].error < 0.8 * values[Method.IPS].error
