"""What is told of a decision is how it came about: the stages, what fell where, and what a score is made of."""

from __future__ import annotations

import os
from itertools import islice
from math import isclose, prod
from random import Random

import pytest
from msgspec.structs import replace

from service.core.again import again
from service.core.answers import SHOWN
from service.core.engine import Engine
from service.core.explained import Depth, Explanation, Fate, Passed, Stage
from service.core.plan import unpack
from tests.core.telling import STRATEGIES, decisions, made_by, real

DECISIONS = int(os.environ.get("TACT_DECISIONS", "24"))


def explained(name: str) -> list[Explanation]:
    """Return explanations of decisions by a strategy."""
    found = islice(decisions(real(name), Random(name)), max(1, DECISIONS // len(STRATEGIES)))
    return [decision.explanation for _, _, decision in found if decision.explanation is not None]


def at(fate: Fate, placement: str) -> Passed | None:
    """Return how far an action came at a placement."""
    return next((passed for passed in fate.placements if passed.placement == placement), None)


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_stage_leaves_a_part_of_what_the_one_before_it_left(name: str) -> None:
    """The stages come in their order, none leaves more than the one before, and at most one action is said."""
    for told in explained(name):
        for story in told.placements:
            assert [stage for stage, _ in story.stages] == list(Stage)
            left = [actions for _, actions in story.stages]
            assert left == sorted(left, reverse=True)
            assert left[-1] == (1 if story.action else 0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_action_came_as_far_as_what_forbids_it_let_it(name: str) -> None:
    """The stages count exactly the actions that passed them; what nothing forbids passes the judgement and the caps,
    and what is said instead of an action is named where it was beaten.
    """
    beaten = 0
    for told in explained(name):
        for at_place, story in enumerate(told.placements):
            before = [other.action for other in told.placements[:at_place]]
            passed = [one.stage or 0 for fate in told.fates if (one := at(fate, story.placement))]
            assert [(stage, sum(last >= stage for last in passed)) for stage in Stage] == list(story.stages)
            for fate in told.fates:
                one = at(fate, story.placement)
                if one is None or one.stage is None:
                    continue
                assert fate.vetoes or one.stage >= Stage.CAPPED
                assert (one.stage is Stage.SAID) is (fate.action == story.action)
                lost = Stage.SCORED <= one.stage < Stage.SAID
                assert one.beaten_by == (story.action if lost and fate.action not in before else "")
                if lost and fate.action in before:
                    assert SHOWN in fate.vetoes
                beaten += bool(one.beaten_by)
                if one.stage in (Stage.CAPPED, Stage.SCORED) and fate.net_value is not None:
                    assert (fate.net_value > 0.0) is (one.stage is Stage.SCORED)
    assert beaten or name != "demo"


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_net_value_is_what_its_parts_make(name: str) -> None:
    """The parts of a score make its net value by the formula that the contract states."""
    scored = weighted = 0
    for told in explained(name):
        for fate in told.fates:
            if (score := fate.score) is None:
                continue
            earned = score.propensity * (score.value - score.reward) - (score.baseline or 0.0) * score.value
            net = score.lever * prod(weight.factor for weight in score.weights) * earned - score.cost
            assert isclose(net, score.net_value, abs_tol=1e-9)
            assert score.net_value == fate.net_value
            scored += 1
            weighted += bool(score.weights)
    assert scored
    assert weighted or name != "demo"


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_rule_that_holds_back_did_not_permit(name: str) -> None:
    """Each rule that is told to hold an action back is among its reasons, and its condition holds for a guardrail, does
    not hold for what permits, or is not known.
    """
    strategy, checked = real(name), 0
    guardrails = {rule.id for rule in strategy.guardrails}
    for told in explained(name):
        for fate in told.fates:
            for check in fate.checks:
                assert check.rule in {reason.rule for reason in fate.vetoes}
                assert check.holds is None or check.holds is (check.rule in guardrails)
                assert check.comparisons or check.holds is not None
                checked += 1
    assert checked


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_is_told_later_what_was_told_at_once(name: str) -> None:
    """Made again from its log entry, a decision is explained as it was when it was made; only the caps that were not
    used up are not known any more.
    """
    dice = Random(f"later {name}")
    engine = Engine(real(name), None)
    for _ in range(max(1, DECISIONS // len(STRATEGIES))):
        made, committed = made_by(engine, dice)
        at_once = engine.explainer.explained(made, committed)
        later = engine.explainer.explained(again(engine, unpack(committed.entry)), committed, later=True)
        assert later.placements == at_once.placements
        assert later.fields == at_once.fields
        for before, after in zip(at_once.fates, later.fates, strict=True):
            used_up = tuple(cap for cap in before.caps if cap.frees_ms is not None)
            assert after == replace(before, caps=used_up)


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_made_for_customers_alone_tells_them_the_same(name: str) -> None:
    """Without the fates that only others are told, a customer is told the same of each decision."""
    dice, engine = Random(f"customers {name}"), Engine(real(name), None)
    for _ in range(max(1, DECISIONS // len(STRATEGIES))):
        made, committed = made_by(engine, dice)
        whole, said = (engine.explainer.explained(made, committed, said_only=only) for only in (False, True))
        assert (whole.fates == (), said.fates) == (False, ())
        answers, depths = engine.answer(committed, made.entry).answers, engine.explainer.depths
        told = [depths.explanation(one, answers, depths.at(Depth.CUSTOMER)) for one in (whole, said)]
        assert told[0] == told[1]


def test_of_many_actions_those_are_told_to_the_bottom_that_are_asked_for() -> None:
    """With names only these are told, to the bottom."""
    engine = Engine(real("demo"), None)
    made, committed = made_by(engine, Random(1))
    told = engine.explainer.explained(made, committed, only=("fibre-upgrade", "nobody"))
    assert [fate.action for fate in told.fates] == ["fibre-upgrade"]
