"""What is drawn is drawn with exactly the probability that is logged, and only among what may be said."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.core import plan
from service.core.adapting import Relearned
from service.core.arbitrate import NO_EXPLORATION, Arbiter
from service.core.decision import Known, ReasonCode, Request
from service.core.distribution import Distribution
from service.core.engine import Engine
from service.core.exploration import Control, Exploration, Explores, Group
from service.core.exploring import Explorer, group_of, picked
from service.core.selection import bits
from service.core.strategy import Strategy
from tests.core.exploring import ADAPTIVE, Asked, asked, exploring, name_of
from tests.core.expressions import NOW_MS
from tests.core.worlds import EMPTY, HELLO, Case, cases, models, shuffled, strategies

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "24")) // 4
several = settings(max_examples=EXAMPLES, deadline=None)
SWEEP = 128


@several
@given(asked())
def test_the_probabilities_of_all_candidates_and_of_nothing_add_up_to_one(one: Asked) -> None:
    """Whatever the policy, the group and the learning: for this person, for people in no group, and over everyone."""
    for place in range(len(one.request.placements)):
        for whose in ("person", "main", "everyone"):
            found = one.engine.policy(one.request, one.judged, one.scores, place, whose)
            assert all(chance >= 0.0 for chance in (*found.chances.values(), found.silence))
            assert sum(found.chances.values()) + found.silence == pytest.approx(1.0, abs=1e-12)
            assert sum(found.vector(len(one.engine.strategy.actions))) + found.silence == pytest.approx(1.0, abs=1e-12)


@several
@given(asked())
def test_only_what_may_be_said_has_a_probability(one: Asked) -> None:
    """No policy and no control group gives a chance to what a guardrail, a cap or anything else holds back."""
    for place, survivors in enumerate(one.judged.survivors):
        found = one.engine.policy(one.request, one.judged, one.scores, place, "everyone")
        assert {index for index, chance in found.chances.items() if chance} <= set(bits(survivors))


@several
@given(asked(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_the_independent_check_agrees_with_everything_that_is_drawn(one: Asked, first: float, second: float) -> None:
    """Exploration and control groups never plan what the second implementation of the guardrails forbids."""
    entry = one.entry(*(first, second)[: len(one.request.placements)])
    assert not one.engine.check(entry, one.snapshot).objections


@several
@given(asked())
def test_what_is_logged_is_how_often_it_is_drawn(one: Asked) -> None:
    """Over an even sweep of the dice everything comes first as often as the odds in its log entry say."""
    plans = [one.first((step + 0.5) / SWEEP) for step in range(SWEEP)]
    assume(plans[0].policy)
    drawn = Counter(name_of(placed) for placed in plans)
    assert len({placed.odds for placed in plans}) == 1
    odds = {one.action: one.probability for one in plans[0].odds}
    assert drawn.keys() <= odds.keys()
    assert sum(odds.values()) == pytest.approx(1.0, abs=1e-12)
    for action, probability in odds.items():
        assert drawn[action] / SWEEP == pytest.approx(probability, abs=1.01 / SWEEP)
    for placed in plans:
        for candidate in placed.candidates:
            assert candidate.probability == odds.get(candidate.action, 0.0)


@several
@given(asked())
def test_the_policy_of_an_engine_is_what_its_log_entries_say(one: Asked) -> None:
    """The distribution that evaluations ask for is the one that a decision draws from and logs."""
    names, logged = one.engine.strategy.actions, one.first(0.5)
    for whose, key in (("person", "probability"), ("everyone", "everyone")):
        found = one.engine.policy(one.request, one.judged, one.scores, 0, whose)  # type: ignore[arg-type]
        told = {names[index].id: chance for index, chance in found.chances.items() if chance} | {
            "nothing": found.silence
        }
        odds = {one.action: getattr(one, key) for one in logged.odds}
        assert {name: chance for name, chance in odds.items() if chance} == {k: v for k, v in told.items() if v}


@several
@given(strategies(), cases(), st.data())
def test_the_policy_of_a_strategy_that_only_explores_evenly_is_what_it_logs(
    strategy: Strategy, case: Case, data: st.DataObject
) -> None:
    """`explore` draws as ever, logs no odds, and its policy has the probabilities of its candidates."""
    one = Asked(strategy, data.draw(models(strategy)), case, "somebody")
    found = one.engine.policy(one.request, one.judged, one.scores)
    first = [one.first((step + 0.5) / 64) for step in range(64)]
    assert all(placed.policy == "" and placed.odds == () for placed in first)
    for placed in first:
        for candidate in placed.candidates:
            index = next(action.index for action in strategy.actions if action.id == candidate.action)
            assert found.chances.get(index, 0.0) == pytest.approx(candidate.probability, abs=1e-12)


@several
@given(asked(), st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_a_log_entry_is_enough_to_decide_again(one: Asked, first: float, second: float) -> None:
    """What was learned by then stands in the entry: with its dice another engine plans the same bytes."""
    entry = one.entry(*(first, second)[: len(one.request.placements)])
    logged = plan.unpack(plan.pack(entry))
    again = Engine(one.engine.strategy, one.model)
    learned = Relearned(again.adapting, logged) if again.adapting else None
    scores = again.score(one.snapshot, one.judged, one.request, learned)
    assert plan.pack(again.arbitrate("d", one.request, one.snapshot, one.judged, scores, logged.draws)) == plan.pack(
        entry
    )


@several
@given(exploring(), cases(), st.randoms(), st.floats(0, 1, exclude_max=True), st.data())
def test_the_order_of_actions_decides_no_draw(
    strategy: Strategy, case: Case, random: Random, draw: float, data: st.DataObject
) -> None:
    """Writing the actions in another order changes nothing that is drawn, and no probability."""
    model = data.draw(models(strategy))
    order = list(range(len(strategy.actions)))
    random.shuffle(order)
    plans = [Asked(one, model, case, "somebody").first(draw) for one in (strategy, shuffled(strategy, order))]
    assert name_of(plans[0]) == name_of(plans[1])
    assert {(o.action, round(o.probability, 12), round(o.everyone, 12)) for o in plans[0].odds} == {
        (o.action, round(o.probability, 12), round(o.everyone, 12)) for o in plans[1].odds
    }


@pytest.mark.parametrize("policy", list(Explores), ids=str)
def test_real_dice_fall_as_the_odds_say(policy: Explores) -> None:
    """Of 20,000 decisions with random dice the counts are within chance of the probabilities that were logged."""
    one = _offers(Exploration(policy, 0.1 if policy is not Explores.NONE else 0.0, 1.0, policy is not Explores.NONE))
    dice, odds = Random(7), {}
    drawn: Counter[str] = Counter()
    for _ in range(20_000 if policy is Explores.EPSILON_GREEDY else 5_000):
        placed = one.first(dice.random())
        drawn[name_of(placed)] += 1
        odds = {one.action: one.probability for one in placed.odds}
    total = drawn.total()
    assert drawn.keys() == {action for action, chance in odds.items() if chance}
    for action, chance in odds.items():
        assert abs(drawn[action] - total * chance) <= 4.5 * (total * chance * (1 - chance)) ** 0.5


def test_softmax_weighs_by_the_net_value_over_the_temperature() -> None:
    """The odds of two actions are e to the power of their difference over the temperature, those of nothing at 0."""
    one = _offers(Exploration(Explores.SOFTMAX, 0.0, 2.0, True))
    found = one.engine.policy(one.request, one.judged, one.scores)
    net = [one.scores.net_value(index) for index in range(3)]
    weights = [2.718281828459045 ** (value / 2.0) for value in (*net, 0.0)]
    wanted = [weight / sum(weights) for weight in weights]
    assert [found.chances[index] for index in range(3)] == pytest.approx(wanted[:3])
    assert found.silence == pytest.approx(wanted[3])


@pytest.mark.parametrize("draw", [0.01, 0.35, 0.6, 0.95])
@pytest.mark.parametrize("group", [None, Group.RANDOM], ids=["most people", "random group"])
def test_behind_what_was_drawn_stands_the_best_of_the_rest(group: Group | None, draw: float) -> None:
    """Whatever is drawn first is ranked once; should it be bound at commit, the best of all others is said."""
    one = _offers(Exploration(Explores.SOFTMAX, 0.0, 50.0, silence=False), CONTROL, _member(group, CONTROL))
    order = [candidate.action for candidate in one.first(draw).candidates]
    if not order:
        assert group is Group.RANDOM
        return
    assert len(set(order)) == len(order) > 1
    assert order[1] == ("offer-2" if order[0] != "offer-2" else "offer-1")


@several
@given(asked(), st.floats(0, 1, exclude_max=True))
def test_no_candidate_is_ranked_twice(one: Asked, draw: float) -> None:
    """One that is bound at commit would otherwise be tried again instead of the next best."""
    for placed in one.entry(*[draw] * len(one.request.placements)).placements:
        named = [candidate.action for candidate in placed.candidates]
        assert len(set(named)) == len(named)


def test_a_softmax_of_huge_values_does_not_overflow() -> None:
    """A temperature of nearly nothing says the best, and no number is lost on the way."""
    one = _offers(Exploration(Explores.SOFTMAX, 0.0, 1e-6, True))
    found = one.engine.policy(one.request, one.judged, one.scores)
    assert max(found.chances.values()) == 1.0
    assert found.silence == 0.0


# ------------------------------------------------------------------------------------------------------ control groups


def test_groups_have_the_shares_that_are_declared() -> None:
    """Of 50,000 people as many are in each group as was declared, within chance, and everybody always in the same."""
    control = Control(0.02, 0.05, "small")
    people = [f"customer-{number}" for number in range(50_000)]
    groups = Counter(group_of(person, control) for person in people)
    assert groups[Group.RANDOM] == pytest.approx(1000, abs=140)
    assert groups[Group.HOLDOUT] == pytest.approx(2500, abs=220)
    assert [group_of(person, control) for person in people[:500]] == [
        group_of(person, control) for person in people[:500]
    ]


def test_another_salt_draws_other_groups() -> None:
    """Who is in the holdout of one strategy is in that of another no more often than anybody."""
    one, other = Control(0.0, 0.2, "one"), Control(0.0, 0.2, "other")
    held = [person for person in (f"customer-{n}" for n in range(20_000)) if group_of(person, one)]
    assert sum(group_of(person, other) is not None for person in held) / len(held) == pytest.approx(0.2, abs=0.03)


def test_a_longer_share_keeps_who_was_in_the_holdout() -> None:
    """A holdout that grows keeps its people, so that what was measured of them goes on."""
    small, large = Control(0.0, 0.05, "s"), Control(0.0, 0.1, "s")
    for person in (f"customer-{n}" for n in range(5_000)):
        if group_of(person, small) is Group.HOLDOUT:
            assert group_of(person, large) is Group.HOLDOUT


def _member(group: Group | None, control: Control) -> str:
    return next(name for name in (f"person-{n}" for n in range(10_000)) if group_of(name, control) is group)


CONTROL = Control(0.2, 0.2, "salt")


def test_the_holdout_is_told_nothing_and_the_reason_is_said() -> None:
    """Nobody in the holdout gets an offer, whatever the dice; the log says that it was certain."""
    one = _offers(Exploration(Explores.EPSILON_GREEDY, 0.5), CONTROL, _member(Group.HOLDOUT, CONTROL))
    for step in range(16):
        placed = one.first(step / 16)
        assert placed.policy == "holdout"
        assert not placed.candidates
        assert placed.suppression is not None
        assert [reason.code for reason in placed.suppression.reasons] == [ReasonCode.CONTROL_GROUP]
        assert placed.suppression.held_back == "offer-2"
        assert {one.action: one.probability for one in placed.odds if one.probability} == {"nothing": 1.0}


def test_people_of_the_random_group_get_everything_evenly() -> None:
    """In the random group everything that may be said, and nothing, have the same chance, whatever they are worth."""
    one = _offers(Exploration(Explores.NONE), CONTROL, _member(Group.RANDOM, CONTROL), costs=(0.0, 500.0, 0.0))
    odds = {one.action: one.probability for one in one.first(0.3).odds}
    assert odds == pytest.approx({"offer-0": 0.25, "offer-1": 0.25, "offer-2": 0.25, "nothing": 0.25})
    assert one.first(0.3).policy == "control"


def test_over_everyone_the_groups_are_drawn_as_well() -> None:
    """The probability over people is the mixture of the policy and both groups, the same for members and others."""
    found = []
    for group in (None, Group.RANDOM, Group.HOLDOUT):
        one = _offers(Exploration(Explores.NONE), CONTROL, _member(group, CONTROL))
        found.append({odds.action: odds.everyone for odds in one.first(0.3).odds if odds.everyone})
    wanted = {"offer-0": 0.05, "offer-1": 0.05, "offer-2": 0.6 + 0.05, "nothing": 0.2 + 0.05}
    assert found == [pytest.approx(wanted)] * 3


def test_a_greeting_stands_in_for_nothing_where_the_customer_is_here() -> None:
    """Who calls is greeted in the holdout too, and the greeting has the probability that nothing would have."""
    strategy = _strategy(Exploration(Explores.NONE), CONTROL)
    here = replace(HELLO, index=3, value=0.0, treatments=(replace(HELLO.treatments[0], placement="hero"),))
    strategy = replace(strategy, actions=(*strategy.actions[:3], here))
    one = Asked(strategy, None, _case(), _member(Group.HOLDOUT, CONTROL))
    placed = one.first(0.5)
    assert name_of(placed) == "hello"
    assert placed.candidates[0].probability == 1.0
    assert one.engine.policy(one.request, one.judged, one.scores).silence == 0.0


@pytest.mark.parametrize("group", [Group.RANDOM, Group.HOLDOUT], ids=str)
def test_what_was_promised_and_what_rules_ask_for_is_no_experiment(group: Group) -> None:
    """Members of control groups get promises kept, and are helped where a rule asks for help, like everybody."""
    one = _offers(Exploration(Explores.EPSILON_GREEDY, 0.3, silence=True), CONTROL, member := _member(group, CONTROL))
    explorer = Explorer(one.engine.strategy, Arbiter(one.engine.strategy, None))
    asked_for = explorer.distribution(0b111, 0b010, one.scores, member)
    assert (asked_for.policy, asked_for.chances, asked_for.silence) == ("epsilon_greedy", {1: 1.0}, 0.0)
    kept = explorer.distribution(0b111, 0b010, one.scores, member, promised=0b101)
    assert (kept.chances, kept.silence) == ({2: 1.0}, 0.0)
    assert explorer.everyone(0b111, 0b010, one.scores, member).chances == {1: 1.0}
    for draw in (0.0, 0.5, 0.99):
        assert explorer.rank(0b111, 0, one.scores, member, draw, 3, promised=0b001).ranking.order[0] == 0


def test_cases_are_decided_without_dice_and_groups() -> None:
    """Whoever asks what is best, such as the cases of a strategy, hears that also of a member of the holdout."""
    one = _offers(Exploration(Explores.EPSILON_GREEDY, 0.5, silence=True), CONTROL, _member(Group.HOLDOUT, CONTROL))
    placed = one.first(NO_EXPLORATION)
    assert [name_of(placed), placed.candidates[0].probability, placed.policy] == ["offer-2", 1.0, ""]


# ------------------------------------------------------------------------------------------------------------- the draw


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True))
def test_a_draw_always_falls_on_something_that_has_a_chance(weights: list[float], draw: float) -> None:
    """Rounding never draws what has no chance, and never nothing where nothing has none."""
    assume(sum(weights) > 1e-9)
    chances = {index: weight / sum(weights) for index, weight in enumerate(weights)}
    index = picked(Distribution("greedy", chances, 0.0), draw)
    assert index is not None
    assert chances[index] > 0.0


def _strategy(exploration: Exploration, control: Control | None = None, costs: tuple[float, ...] = ()) -> Strategy:
    offers = tuple(
        replace(
            HELLO,
            index=index,
            id=f"offer-{index}",
            value=2.0 + index,
            cost=costs[index] if costs else 0.0,
            treatments=(replace(HELLO.treatments[0], placement="hero"),),
        )
        for index in range(3)
    )
    adaptive = ADAPTIVE if exploration.policy is Explores.THOMPSON else None
    actions = (*offers, replace(HELLO, index=3))
    return replace(EMPTY, actions=actions, exploration=exploration, control=control, adaptive=adaptive, features=())


def _case() -> Case:
    return Case((), Known(NOW_MS, "full", (), {}, {}), Request("x", "web", ("hero",), {}))


def _offers(
    exploration: Exploration,
    control: Control | None = None,
    customer: str = "somebody",
    costs: tuple[float, ...] = (),
) -> Asked:
    """Return three offers, the last of which is worth most, to somebody of whom nothing forbids any."""
    return Asked(_strategy(exploration, control, costs), None, _case(), customer)
