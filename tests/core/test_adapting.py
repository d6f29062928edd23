"""Outcomes since the training correct propensities as the conjugate update says; what is new borrows what is known."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy import stats

from service.core.adapting import SCENARIOS, Adapted, Adapting, Counted, Counts, Learned
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.exploration import Adaptive, Exploration, Explores
from service.core.strategy import Strategy
from tests.core.exploring import DAY_MS, Asked
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.worlds import EMPTY, HELLO, Case

STRENGTH = 40.0
PLAIN = Adaptive(3, DAY_MS, 30 * DAY_MS, STRENGTH)
BY_TIER = replace(PLAIN, segment="past.tier")
COUNTED = st.builds(
    lambda said, rate, came: Counted(said, rate * said, came),
    st.floats(1, 1000),
    st.floats(0.001, 1),
    st.floats(0, 100),
)


@cache
def shop(adaptive: Adaptive = PLAIN, policy: Explores = Explores.THOMPSON, cost: float = 0.5) -> Strategy:
    """Return a strategy of four offers, two of group "phones", one of group "plans" and one of none."""
    groups = ("phones", "phones", "plans", "")
    offers = tuple(
        replace(
            HELLO,
            index=index,
            id=f"offer-{index}",
            group=group,
            value=10.0,
            cost=cost,
            propensity=0.1,
            treatments=(replace(HELLO.treatments[0], placement="hero"),),
        )
        for index, group in enumerate(groups)
    )
    actions = (*offers, replace(HELLO, index=4))
    return replace(
        EMPTY, actions=actions, features=(), adaptive=adaptive, exploration=Exploration(policy, silence=True)
    )


def known(counts: Counts, adaptive: Adaptive = PLAIN, segment: str = "") -> Adapted:
    """Return what counts say of the shop's offers."""
    return Adapting(shop(adaptive), adaptive, scenarios=True).adapted(segment, counts)


_ASKED: dict[int, Asked] = {}


def plainly(strategy: Strategy) -> Asked:
    """Ask for somebody of whom nothing is known; each strategy is compiled once."""
    known = Known(NOW_MS, "full", (), {}, {})
    if id(strategy) not in _ASKED:
        case = Case((), known, Request("x", "web", ("hero",), {}))
        _ASKED[id(strategy)] = Asked(strategy, None, case, "x")
    return _ASKED[id(strategy)]


def asked(strategy: Strategy, counts: Counts, **context: str) -> Asked:
    """Ask for somebody, after these counts."""
    one, told = copy(plainly(strategy)), {SCHEMA.index[f"past.{name}"]: value for name, value in context.items()}
    values = tuple(told.get(index, value) for index, value in enumerate(one.snapshot.values))
    one.snapshot = structs.replace(one.snapshot, values=values)
    return one.knowing(Learned(one.engine.adapting, counts) if one.engine.adapting else None)


def test_before_any_outcome_the_models_word_stands() -> None:
    """Without counts every factor is 1, and propensities are the priors."""
    one = asked(shop(), {})
    assert known({}).factor.tolist() == [1.0] * 5
    assert [one.scores.propensity(index) for index in range(4)] == [0.1] * 4


@given(COUNTED)
def test_an_action_alone_gets_the_conjugate_update(counted: Counted) -> None:
    """The gamma's rate grows by what was expected and its shape by what came, from the weight of the prior."""
    adapted = known({("offer-3", ""): counted})
    weight = STRENGTH * counted.expected / counted.said
    assert adapted.shape[3] == pytest.approx(weight + counted.came)
    assert adapted.rate[3] == pytest.approx(weight + counted.expected)
    assert adapted.factor[3] == pytest.approx((weight + counted.came) / (weight + counted.expected))


@pytest.mark.parametrize("said", [5e-324, 1e-300, 1e-9])
def test_what_decayed_to_nearly_nothing_divides_to_no_infinity(said: float) -> None:
    """Every factor stays a number where decisions have all but decayed, and what was expected of them has not."""
    adapted = known({("offer-3", ""): Counted(said, 5.0, 1.0)})
    assert adapted.factor[3] == pytest.approx((STRENGTH + 1.0) / (STRENGTH + 5.0)), "no more than one outcome each"


@given(st.floats(1, 5000), st.floats(0, 0.5))
def test_with_a_prior_alone_it_is_the_beta_of_the_textbook(said: float, rate: float) -> None:
    """Where the prior is the same each time, the propensity is that of a beta-binomial: (k p + s) / (k + n)."""
    came = said * rate
    one = asked(shop(), {("offer-3", ""): Counted(said, 0.1 * said, came)})
    assert one.scores.propensity(3) == pytest.approx(min(1.0, (STRENGTH * 0.1 + came) / (STRENGTH + said)))


def test_a_cold_action_borrows_from_its_group_and_from_no_other() -> None:
    """What is known of one phone is believed of the other in part; plans and what has no group learn nothing of it."""
    adapted = known({("offer-0", ""): Counted(1000, 100, 200)})
    assert adapted.factor[0] == pytest.approx(2.0, abs=0.05)
    assert adapted.factor[1] == pytest.approx(1.5), "half-way to what the other phone is worth"
    assert adapted.factor[2] == adapted.factor[3] == 1.0
    assert adapted.rate[1] == pytest.approx(STRENGTH * 0.1), "what is borrowed makes nobody surer"


def test_a_segment_starts_from_the_others_and_leaves_them_by_its_own_outcomes() -> None:
    """A tier of which nothing is known gets what all others say; one that is known gets its own word."""
    counts = {("offer-3", "gold"): Counted(1000, 100, 200), ("offer-3", "basic"): Counted(1000, 100, 50)}
    gold, basic, fresh = (known(counts, BY_TIER, tier).factor[3] for tier in ("gold", "basic", "platinum"))
    assert gold == pytest.approx(2.0, abs=0.1)
    assert basic == pytest.approx(0.5, abs=0.1)
    assert fresh == pytest.approx((4 + 250) / (4 + 200))


def test_nothing_is_counted_twice() -> None:
    """A segment's own outcomes are not among what it borrows, nor an action's among those of its group."""
    alone = known({("offer-3", "gold"): Counted(100, 10, 30)}, BY_TIER, "gold")
    assert alone.factor[3] == pytest.approx((4 + 30) / (4 + 10))
    first = known({("offer-0", ""): Counted(100, 10, 30)})
    assert first.factor[0] == pytest.approx((4 + 30) / (4 + 10))


def test_the_segment_is_the_customers_own() -> None:
    """Two customers of different tiers get the propensities of their tiers; one of whom it is unknown, neither."""
    counts = {("offer-3", "gold"): Counted(1000, 100, 200), ("offer-3", "basic"): Counted(1000, 100, 50)}
    strategy = shop(BY_TIER)
    said = {tier: asked(strategy, counts, tier=tier).scores.propensity(3) for tier in ("gold", "basic")}
    assert said["gold"] == pytest.approx(0.2, abs=0.01)
    assert said["basic"] == pytest.approx(0.055, abs=0.01)
    assert 0.06 < asked(strategy, counts).scores.propensity(3) < 0.19
    assert asked(strategy, counts, tier="gold").entry(0.5).segment == "gold"
    assert asked(strategy, counts).entry(0.5).segment == ""


@given(COUNTED)
def test_a_propensity_is_never_more_than_one(counted: Counted) -> None:
    """However many more outcomes came than were expected, no probability passes 1, nor does its worth."""
    one = asked(shop(), {("offer-3", ""): replace_came(counted, 1e6)})
    assert one.scores.propensity(3) <= 1.0
    assert one.scores.net_value(3) == pytest.approx(one.scores.propensity(3) * 10.0 - 0.5)


def replace_came(counted: Counted, came: float) -> Counted:
    """Return a count with another number of outcomes."""
    return Counted(counted.said, counted.expected, came)


@given(COUNTED)
def test_the_net_value_is_made_of_the_corrected_propensity(counted: Counted) -> None:
    """net = corrected propensity x value - cost: the formula of the strategy, with what was learned."""
    one = asked(shop(), {("offer-2", ""): counted})
    assert one.scores.net_value(2) == pytest.approx(one.scores.propensity(2) * 10.0 - 0.5)
    assert bool(one.scores.worth >> 2 & 1) is (one.scores.net_value(2) > 0.0)


@pytest.mark.parametrize(("shape", "error"), [(0.5, 0.06), (1.0, 0.03), (4.0, 0.01), (50.0, 0.003)])
def test_scenarios_are_quantiles_of_the_gamma_distribution(shape: float, error: float) -> None:
    """The scenarios of an action are the quantiles of its gamma, within a small part of its deviation, mean exact."""
    rate = shape / 1.3
    adapting = Adapting(shop(), PLAIN, scenarios=True)
    made = adapting._made("", np.full(5, shape), np.full(5, rate)).scenarios[0]
    exact = stats.gamma(shape, scale=1.0 / rate)
    wanted = exact.ppf((np.arange(SCENARIOS) + 0.5) / SCENARIOS)
    assert np.abs(np.sort(made) - wanted)[2:-2].max() <= error * exact.std() * 3
    assert made.mean() == pytest.approx(1.3)


def test_actions_meet_their_quantiles_in_orders_of_their_own() -> None:
    """No two actions rise and fall together over the scenarios, or the luck of one would be the other's too."""
    scenarios = known({}).scenarios
    ranks = np.corrcoef(scenarios)
    assert np.abs(ranks - np.eye(5)).max() < 0.35


def test_thompson_says_what_is_sure_and_tries_what_is_not() -> None:
    """An offer that is known to be best is said nearly always; of two that nobody knows, each has a fair chance."""
    sure = {(f"offer-{n}", ""): Counted(20_000, 2_000, 4_000 if n == 1 else 2_000) for n in range(4)}
    one = asked(shop(), sure)
    assert one.engine.policy(one.request, one.judged, one.scores).chances[1] == 1.0
    fresh = asked(shop(), {})
    chances = fresh.engine.policy(fresh.request, fresh.judged, fresh.scores)
    assert all(0.1 < chances.chances[index] < 0.5 for index in range(4))


def test_thompson_tries_what_may_yet_be_worth_it_and_leaves_what_cannot() -> None:
    """An action that loses on average is tried as often as it wins in the scenarios; a sure loss never is."""
    doubtful = asked(shop(cost=1.2), {})
    found = doubtful.engine.policy(doubtful.request, doubtful.judged, doubtful.scores)
    assert doubtful.scores.worth & 0b1111 == 0
    assert found.silence > 0.05
    assert sum(found.chances.values()) > 0.3
    sure = {(f"offer-{n}", ""): Counted(50_000, 5_000, 500) for n in range(4)}
    one = asked(shop(cost=1.2), sure)
    assert one.engine.policy(one.request, one.judged, one.scores).silence == 1.0


def test_every_probability_of_thompson_is_a_count_of_scenarios() -> None:
    """Nothing is estimated: each probability is a whole number of 128ths."""
    one = asked(shop(), {("offer-0", ""): Counted(100, 10, 12)})
    found = one.engine.policy(one.request, one.judged, one.scores)
    for chance in (*found.chances.values(), found.silence):
        assert chance * SCENARIOS == pytest.approx(round(chance * SCENARIOS), abs=1e-9)


def test_a_strategy_that_does_not_adapt_ignores_what_was_learned() -> None:
    """Without the section there is nothing to learn with, and the scores are those of the model."""
    strategy = replace(shop(policy=Explores.NONE), adaptive=None)
    engine = Engine(strategy, None)
    assert engine.adapting is None
    assert asked(strategy, {}).scores.adjusted is None


def test_what_a_commit_counts_is_what_the_model_predicted() -> None:
    """The expected outcomes are those of the model or the prior: a correction would learn from itself."""
    one = asked(shop(policy=Explores.NONE), {("offer-3", ""): Counted(1000, 100, 300)})
    entry = one.entry(0.5)
    counting = one.engine.commit(entry, one.request).counting
    assert counting is not None
    assert counting.rows[0] == ("offer-3", "", 0.1)
    assert (counting.on, counting.within_ms, counting.half_life_ms) == (3, DAY_MS, 30 * DAY_MS)
    assert one.engine.adapting is not None
    assert counting.scope == one.engine.adapting.scope("")
    assert one.engine.adapting.scope("m@1") != counting.scope, "another model begins anew"
