"""Claims about lines above what happens anyway: they need few rows of what was said, and see nothing they may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.decisions import Decisions, Floats
from training.learning.anyway import Above, Anyway, Level, lift
from training.learning.choosing import Chooser, forward
from training.learning.learn import Plan, learn
from training.learning.learners import Learner, Line, Logistic, Showing
from training.learning.platt import log_losses, probability
from training.learning.pools import said, silent

from ...training.learning.world import chance, drawn
from .test_choosing import turned

SHOWING = Showing((), 0)
CUTS = [200, 400, 600, 800]


def anyway_of(decisions: Decisions, declared: float = 0.3) -> Anyway:
    """Return what happens of the first action where nothing is said."""
    own = said(decisions, {}).own(1, "offer-1")
    return Anyway(decisions, 1, own, silent(decisions, {}).own(1, "offer-1"), Logistic(0.1), declared)


def above(decisions: Decisions, strength: float = 0.01) -> Above:
    """Return a learner above what happens anyway."""
    anyway = anyway_of(decisions)
    return Above(strength, anyway.name, anyway)


def level(decisions: Decisions) -> Level:
    """Return what lifts what happens anyway."""
    anyway = anyway_of(decisions)
    return Level(anyway.name, anyway)


def loss(learner: Learner, log: Decisions, strangers: Decisions) -> float:
    """Return the log loss that is to be expected of strangers."""
    pool, truth = said(log, {}).own(1, "offer-1"), chance(strangers.x, 1, bent=False)
    logits = learner.fit(log.x[pool.places], pool, SHOWING).logits(strangers.x, 1)
    took, left = (log_losses(logits, np.full(len(truth), y)) for y in (1.0, 0.0))
    return float((truth * took + (1.0 - truth) * left).mean())


def test_few_rows_are_enough_above_what_happens_anyway() -> None:
    """With 150 rows said and 6,000 silent, it forecasts strangers better than any line of those 150 rows alone."""
    gains = []
    for seed in range(8):
        log, strangers = drawn(seed, (6000, 150)), drawn(100 + seed, (1, 4000))
        alone = min(loss(Logistic(strength), log, strangers) for strength in (0.001, 0.01, 0.1, 1.0))
        gains.append(alone - loss(above(log), log, strangers))
    assert np.mean(gains) > 2.0 * np.std(gains, ddof=1) / np.sqrt(len(gains))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), part=st.integers(1, 3), make=st.sampled_from([above, level]))
def test_no_outcome_of_later_is_seen(seed: int, part: int, make: Callable[[Decisions], Learner]) -> None:
    """Whatever comes of a part and later, said or not, that part is forecast the same; what came before matters."""
    log = drawn(seed, (500, 300))
    begin, end = CUTS[part - 1], CUTS[part]

    def forecast(decisions: Decisions) -> Floats:
        pool, learner = said(decisions, {}).own(1, "offer-1"), make(decisions)
        return forward(decisions.x[pool.places], pool, learner, CUTS, CUTS, SHOWING)[pool.places < end]

    plain, later = forecast(log), said(log, {}).own(1, "offer-1").places
    late = later[later < end] >= begin
    assert not np.isnan(plain[late]).any()
    np.testing.assert_array_equal(forecast(turned(log, np.arange(begin, 800))), plain)
    silent_before = np.flatnonzero((log.action == 0) & (np.arange(800) < begin))[::3]  # all would only turn the slope
    assert (forecast(turned(log, silent_before))[late] != plain[late]).any()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), who=st.integers(0, 59), make=st.sampled_from([above, level]))
def test_a_customer_is_forecast_from_others_alone(seed: int, who: int, make: Callable[[Decisions], Learner]) -> None:
    """Whatever came of all rows of a customer, of those of silence too, the customer's own are forecast the same."""
    log = drawn(seed, (400, 300), customers=60)
    own = log.customer == who

    def forecast(decisions: Decisions) -> Floats:
        pool = said(decisions, {}).own(1, "offer-1")
        return Chooser(decisions, SHOWING, trees=False).unseen(pool, make(decisions))

    mine = own[said(log, {}).own(1, "offer-1").places]
    plain, other, quiet = forecast(log), forecast(turned(log, own)), forecast(turned(log, own & (log.action == 0)))
    np.testing.assert_array_equal(other[mine], plain[mine])
    assert mine.all() or (quiet[~mine] != plain[~mine]).any() or not (own & (log.action == 0)).any()


def test_without_a_reason_to_bend_it_is_the_line_below_lifted() -> None:
    """Where nothing may differ, it is slope times what happens anyway and a level, in whatever units columns are."""
    log = drawn(13, (3000, 900))
    log = replace(log, x=log.x * np.array([10.0, 1.0, 0.1, 1.0, 100.0, 1.0]) + 3.0)
    learner, pool = above(log, strength=1e-8), said(log, {}).own(1, "offer-1")
    learner = replace(learner, anyway=replace(learner.anyway, line=Logistic(0.1)))
    below = learner.anyway.line_of(pool, SHOWING)
    assert below is not None
    found = learner.fit(log.x[pool.places], pool, SHOWING).logits(log.x, 1)
    assert np.corrcoef(found, below.logits(log.x, 1))[0, 1] > 0.99999


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rows=st.integers(0, 200),
    declared=st.floats(0.0, 1.0),
    wild=st.sampled_from([1.0, 5.0, 1000.0]),
    rate=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_the_level_is_between_what_is_declared_and_what_came(
    seed: int, rows: int, declared: float, wild: float, rate: float
) -> None:
    """The forecasts of what was said and of 20 rows more add up to what came and what was declared of those 20.

    What is said of rows beyond what silence reaches is what is said at its edge, however wild they are.
    """
    rng = np.random.default_rng(seed)
    quiet = rng.normal(-1.0, 1.0, 300)
    loud = wild * rng.normal(size=rows)
    y = (rng.random(rows) < rate).astype(float)
    offset = lift(loud, y, quiet, declared)
    held = np.clip(loud, quiet.min(), quiet.max())
    forecast = probability(held + offset).sum() + 20.0 * probability(quiet + offset).mean()
    assert forecast == pytest.approx(y.sum() + 20.0 * np.clip(declared, 0.001, 0.999), rel=1e-6)


@pytest.mark.parametrize("rows", [10, 40, 90])
@pytest.mark.parametrize("declared", [0.02, 0.8])
def test_the_declared_propensity_counts_for_twenty_rows_in_what_is_served(rows: int, declared: float) -> None:
    """What is served of a cold action lies where its rows and 20 of the declared propensity would put it."""
    served, wanted = [], []
    for seed in range(6):
        log = drawn(seed, (4000, rows))
        model = learn(log, Plan({}, forests=0, judged=False, declared={"offer-1": declared})).said["offer-1"]
        loud = log.action == 1
        mean = probability(model.platt.logits(model.fit.logits(log.x[loud], 1))).mean()
        served.append(float(mean))
        wanted.append((log.happened[loud, 1].sum() + 20.0 * declared) / (rows + 20.0))
    assert np.mean(served) == pytest.approx(np.mean(wanted), abs=0.05)


def test_a_cold_action_of_no_declared_propensity_borrows_from_its_group() -> None:
    """Nothing is declared by 0 or by silence: then the group's level is taken, not none at all."""
    log = drawn(3, (2000, 0, 900, 900))
    groups = {f"offer-{code}": "all" for code in (1, 2, 3)}
    for declared in ({}, {"offer-1": 0.0}):
        model = learn(log, Plan(groups, forests=0, judged=False, declared=declared)).said["offer-1"]
        assert model.choice.lender == "group all"
        assert probability(model.platt.logits(model.fit.logits(log.x, 1))).mean() > 0.2


@pytest.mark.parametrize("grouped", [False, True])
def test_an_action_that_is_new_learns_above_what_happens_anyway_or_from_its_group(grouped: bool) -> None:
    """Where all its rows are of the latest part nothing can be compared, and more rows are no reason to forget that."""
    log = drawn(9, (3000, 300, 600))
    late = np.flatnonzero(log.action == 1)
    order = np.concatenate((np.flatnonzero(log.action != 1), late))
    log = replace(log, x=log.x[order], action=log.action[order], happened=log.happened[order])
    if grouped:
        log.happened[log.action == 0] = np.nan  # nothing is known of silence
    groups = {"offer-1": "all", "offer-2": "all"} if grouped else {}
    plan = Plan(groups, forests=0, judged=False, declared={"offer-1": 0.3})
    choice = learn(log, plan).said["offer-1"].choice
    assert choice.pool == ("group all" if grouped else "offer-1")
    assert ("above what happens anyway" in choice.learner.name) is not grouped


def test_the_judged_model_knows_nothing_of_later_silence() -> None:
    """What happens without words in the latest fifth changes no forecast that judges a model; before, it does."""
    log = drawn(4, (700, 500))
    quiet, place = log.action == 0, np.arange(1200)

    def judged(decisions: Decisions) -> Floats:
        held_out = learn(decisions, Plan({}, forests=0, declared={"offer-1": 0.4})).said["offer-1"].held_out
        assert held_out is not None
        return held_out.probability

    plain = judged(log)
    np.testing.assert_array_equal(judged(turned(log, quiet & (place >= 960))), plain)
    assert (judged(turned(log, quiet & (place < 960) & (place % 3 == 0))) != plain).any()


def test_a_cold_action_with_a_declared_propensity_borrows_from_what_happens_anyway() -> None:
    """Never said, it is served at what is declared, in the order of who takes it anyway; else it is not served."""
    log = drawn(5, (4000, 0))
    learned = learn(log, Plan({}, forests=0, declared={"offer-1": 0.25}))
    model = learned.said["offer-1"]
    assert (model.choice.lender, model.choice.cold) == ("what happens anyway, lifted", "no rows")
    x = log.x[log.action == 0]
    logits = model.platt.logits(model.fit.logits(x, 1))
    assert probability(logits).mean() == pytest.approx(0.25)
    below = learned.silent["offer-1"]
    baseline = below.platt.logits(below.fit.logits(x, 1))
    assert np.corrcoef(logits, baseline)[0, 1] > 0.999
    without = learn(log, Plan({}, forests=0, declared={"offer-1": 0.0}))
    assert not without.said
    assert without.left_out["offer-1"] == "no rows"


@pytest.mark.parametrize("rows", [(900, 400), (900, 0, 400, 300)])
def test_a_line_says_what_its_pipeline_says(rows: tuple[int, ...]) -> None:
    """Weights on plain columns, of one action or of several, are those of the pipeline that is written and folded."""
    log = drawn(7, rows)
    pool = said(log, dict.fromkeys(log.actions, "all")).shared()[0] if len(rows) > 2 else said(log, {}).own(1, "one")
    learner: Learner = Logistic(0.1) if len(rows) > 2 else above(log)
    line = learner.fit(log.x[pool.places], pool, SHOWING)
    assert isinstance(line, Line)
    for code in pool.codes:
        np.testing.assert_allclose(line.logits(log.x, code), line.of(code).decision_function(log.x), atol=1e-9)


@pytest.mark.parametrize(("other", "often"), [(0.0, range(6, 9)), (1.5, range(1))])
def test_the_line_departs_from_what_happens_anyway_only_where_that_is_sure(other: float, often: range) -> None:
    """Where those take it who take it anyway, the cautious line is mostly chosen; where others do, one that bends."""
    assert sum(_nearest(seed, other) for seed in range(8)) in often


def _nearest(seed: int, other: float) -> bool:
    log = drawn(seed, (4000, 1500))
    loud = log.action == 1
    x, rng = log.x[loud], np.random.default_rng(seed)
    happened = log.happened.copy()
    logit = 1.2 * x[:, 0] - 0.8 * x[:, 2] + other * x[:, 4] - 0.5
    happened[loud, 1] = rng.random(loud.sum()) < probability(logit)
    told = replace(log, happened=happened)
    choice = learn(told, Plan({}, forests=0, judged=False, declared={"offer-1": 0.4})).said["offer-1"].choice
    return choice.learner.name == "logistic regression above what happens anyway, C=0.002"
