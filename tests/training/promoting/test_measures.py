"""Figures of two models on the same outcomes: what they are, how sure, and what the gate makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from training.decisions import Decisions
from training.metrics import calibration_error
from training.offpolicy.estimates import Estimate
from training.promoting.fairness import Group, Sides, code_of, fairness_table, widest
from training.promoting.gate import Criterion, enough, fair, not_worse, value_not_worse
from training.promoting.measures import Difference, Pair, calibration_errors, log_losses

_few = settings(max_examples=25, deadline=None)


def drawn(seed: int, rows: int = 600, persons: int = 200, blur: float = 0.0) -> Pair:
    """Draw outcomes of persons, a champion who knows their chances and a challenger who knows them blurred."""
    dice = np.random.default_rng(seed)
    customer = dice.integers(0, persons, rows)
    odds = dice.normal(-0.5, 1.0, persons)[customer]
    known, blurred = (1.0 / (1.0 + np.exp(-(odds + extra))) for extra in (0.0, blur * dice.normal(size=rows)))
    return Pair(blurred, known, (dice.random(rows) < known).astype(np.float64), customer)


@_few
@given(st.integers(0, 10_000), st.floats(0.0, 2.0))
def test_figures_are_those_of_the_textbook_and_turn_with_the_sides(seed: int, blur: float) -> None:
    """Log loss is scikit-learn's, the calibration error ours; with sides changed the difference changes its sign."""
    pair = drawn(seed, blur=blur)
    loss, error = log_losses(pair), calibration_errors(pair)
    assert loss.challenger == pytest.approx(log_loss(pair.outcome, pair.challenger), abs=1e-12)
    assert loss.champion == pytest.approx(log_loss(pair.outcome, pair.champion), abs=1e-12)
    assert error.challenger == calibration_error(pair.challenger, pair.outcome)
    turned = log_losses(replace(pair, challenger=pair.champion, champion=pair.challenger))
    assert (turned.difference, turned.low, turned.high) == pytest.approx((-loss.difference, -loss.high, -loss.low))
    assert loss.low <= loss.difference <= loss.high


def test_equal_models_differ_by_nothing_and_blurred_ones_by_their_interval() -> None:
    """No difference has no width; one who knows less is found worse."""
    same = replace(drawn(1), challenger=drawn(1).champion)
    assert (log_losses(same).low, log_losses(same).high) == (0.0, 0.0)
    assert (calibration_errors(same).low, calibration_errors(same).high) == (0.0, 0.0)
    worse = drawn(1, rows=4000, persons=1500, blur=1.0)
    assert log_losses(worse).low > 0.0
    assert calibration_errors(worse).low > 0.0


def test_the_interval_of_a_difference_covers_the_truth() -> None:
    """Of 200 draws of two equally blurred models, whose true difference is 0, about 95 % of intervals hold it."""
    held = 0
    for seed in range(200):
        pair = drawn(seed, blur=0.5)
        other = np.random.default_rng(10_000 + seed)
        odds = np.log(pair.champion / (1.0 - pair.champion)) + 0.5 * other.normal(size=len(pair.outcome))
        found = log_losses(replace(pair, champion=1.0 / (1.0 + np.exp(-odds))))
        held += found.low <= 0.0 <= found.high
    assert 180 <= held <= 199


def test_rows_of_one_person_make_nothing_surer() -> None:
    """Every row said ten times gives the same interval, to within the correction for few persons."""
    pair = drawn(3, rows=200, persons=200, blur=0.7)
    pair = replace(pair, customer=np.arange(200))
    own, other, outcome = (np.repeat(values, 10) for values in (pair.challenger, pair.champion, pair.outcome))
    ten = Pair(own, other, outcome, np.repeat(pair.customer, 10))
    once, often = log_losses(pair), log_losses(ten)
    assert (often.low, often.high) == pytest.approx((once.low, once.high), rel=1e-9)


def test_certain_forecasts_that_fail_are_finite() -> None:
    """0 and 1 cost much and not everything, so that the gate can still tell how much."""
    pair = Pair(np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.array([1.0, 0.0]), np.array([0, 1]))
    assert np.isfinite(log_losses(pair).difference)


JUDGED = {
    "better by its interval": ((-0.02, -0.03, -0.01), True, "better, by its 95 % interval"),
    "worse by its interval": ((0.02, 0.01, 0.03), False, "worse, by its 95 % interval"),
    "a little worse by chance": ((0.001, -0.01, 0.02), True, "no claim of better"),
    "a little better by chance": ((-0.001, -0.02, 0.01), True, "no claim of better"),
    "much worse, perhaps by chance": ((0.02, -0.01, 0.05), False, "log more"),
}


@pytest.mark.parametrize("what", JUDGED)
def test_the_gate_says_no_more_than_the_interval(what: str) -> None:
    """Of a figure where less is better, and turned round of a value where more is."""
    (difference, low, high), passed, words = JUDGED[what]
    found = not_worse("log loss", Difference(0.5 + difference, 0.5, difference, low, high), 0.01)
    assert (found.passed, words in found.words) == (passed, True)
    gain = Estimate(-difference, 0.01, -high, -low)
    value = value_not_worse(gain, Estimate(1.0, 0, 1, 1), Estimate(0.2, 0, 0, 0), "", 0.05, "EUR")
    assert (value.passed, words in value.words) == (passed, True)


def test_without_support_there_is_no_value_and_no_way_through() -> None:
    """A refusal of the estimators is the gate's refusal, in the same words."""
    found = value_not_worse(None, None, None, "Refused: too few.", 0.05, "EUR")
    assert (found.passed, found.words) == (False, "Refused: too few.")


def group(**more: object) -> Group:
    """Return a group whose forecast is right."""
    plain: dict[str, object] = {
        "field": "past.tier", "group": "gold", "decisions": 500, "known": 300, "rate": 0.25, "challenger": 0.25,
        "champion": 0.2, "challenger_says": 0.5, "champion_says": 0.4,
    }  # fmt: skip
    return Group(**{**plain, **more})  # type: ignore[arg-type]  # a table of fields


def test_only_this_very_table_counts_as_seen() -> None:
    """Its code changes with any figure that a person would read, and an old code opens nothing."""
    groups = (group(), group(group="basic"))
    codes = {code_of(groups)}
    for name in ("decisions", "rate", "challenger", "champion", "challenger_says", "champion_says"):
        codes.add(code_of((group(**{name: 0.125}), group(group="basic"))))
    assert len(codes) == 7
    assert fair(groups, code_of(groups), None).passed
    assert not fair(groups, "", None).passed
    assert not fair((group(rate=0.3), groups[1]), code_of(groups), None).passed


def test_a_widest_gap_counts_groups_of_which_enough_is_known() -> None:
    """A few people's rate is chance; where no group is large enough a bound says nothing, and the gate stays shut."""
    far = group(group="few", challenger=0.9, known=20)
    assert widest((group(), far)) == group()
    assert fair((group(), far), "", 0.01).passed
    assert not fair((group(challenger=0.3),), "", 0.01).passed
    assert not fair((far,), "", 1.0).passed


def test_groups_of_few_people_are_not_told() -> None:
    """Fewer than 30 decisions tell of persons, not of a group."""
    rows = 130
    gold = np.zeros(rows)
    gold[:20] = 1.0
    x = np.stack([gold, 1.0 - gold, np.zeros(rows)], axis=1)
    columns = ("past.tier=gold", "past.tier=basic", "past.tier?")
    none, whole = np.full(rows, np.nan), np.zeros(rows, dtype=np.int64)
    decisions = Decisions(
        whole, whole, columns, x, ("nothing",), whole, np.ones(rows), np.ones((rows, 1), bool), none[:, None], none
    )
    half = np.full(rows, 0.5)
    table = fairness_table(decisions, Sides(half, half, none, half, half), ("past.tier",))
    assert [(one.group, one.decisions, one.known, one.rate) for one in table] == [("basic", 110, 0, None)]


@pytest.mark.parametrize(
    ("rows", "outcomes", "passed"), [(300, 30, True), (299, 30, False), (900, 29, False), (300, 271, False)]
)
def test_too_little_to_judge_by_is_said(rows: int, outcomes: int, passed: bool) -> None:
    """Rows, outcomes, and rows without one: of each there must be enough."""
    found: Criterion = enough(rows, outcomes, "2026-10-01")
    assert (found.passed, "are needed" in found.words) == (passed, not passed)
