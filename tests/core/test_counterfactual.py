"""What would change an answer: what is found changes it when it is done, and nothing smaller does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.propensity import Folded
from service.core.actionable import Actionable, Fact
from service.core.again import Again, again
from service.core.changes import Scene
from service.core.counterfactual import (
    ALLOWED_CHANGES,
    Change,
    ChangeKind,
    Counterfactual,
    Goal,
    NoSuchGoal,
    Seeker,
    Verdict,
    counterfactual,
)
from service.core.decision import Known, Reason, Request
from service.core.engine import Engine
from service.core.plan import pack, unpack
from service.core.rules import Condition, Eligibility, Kind, Selector
from service.core.strategy import Strategy, Treatment
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.otherwise import actionable, asked, axes, consented_only, decided, effort, first, least, sayable
from tests.core.small_worlds import FACTS, MOMENTS, WAIT_MS, small_world
from tests.core.test_metamorphic import worlds
from tests.core.worlds import EMPTY, HELLO, Case

EXAMPLES = int(os.environ.get("TACT_DECISIONS", "15"))
World = tuple[Strategy, Folded | None, Case, tuple[float, ...]]


@settings(max_examples=EXAMPLES, deadline=None)
@given(world=worlds(), can=actionable(), data=st.data())
def test_what_is_found_changes_the_answer_when_it_is_done(world: World, can: Actionable, data: st.DataObject) -> None:
    """Done to what the store and the caller say and decided anew, an action wins, or loses, as it was to."""
    strategy, model, case, draws = world
    engine = Engine(replace(strategy, actionable=can), model)
    if not (goals := sayable(strategy, case.request)):
        return
    goal = data.draw(st.sampled_from(goals))
    goal = Goal(goal.action, data.draw(st.sampled_from([True, True, False])), goal.placement)
    if logged := data.draw(st.booleans()):
        case = consented_only(engine, case)
    made = decided(engine, case, draws)
    would = counterfactual(engine, of_log(engine, made) if logged else made, goal)
    place = case.request.placements.index(goal.placement)
    then = first(decided(engine, asked(case, would.changes), draws), place)
    assert then == would.then
    assert ((then == goal.action) is goal.wins) is (would.verdict in (Verdict.FOUND, Verdict.ALREADY))
    assert bool(would.changes) is (would.verdict is Verdict.FOUND)
    assert effort(would.changes, made.snapshot.now_ms).wait_ms <= can.wait_ms


def of_log(engine: Engine, made: Again) -> Again:
    """Return a decision as it is made again from its log entry."""
    return again(engine, unpack(pack(made.entry)))


def searched() -> Iterator[tuple[int, Engine, Case, tuple[float, ...], Counterfactual]]:
    """Search in small worlds, one after another, for what an answer lacks."""
    for seed in count():
        random = Random(seed)
        strategy, model, case, draws = small_world(random)
        if not (goals := sayable(strategy, case.request)):
            continue
        engine, goal = Engine(strategy, model), random.choice(goals)
        goal = Goal(goal.action, random.random() < 0.8, goal.placement)
        case = consented_only(engine, case)
        would = Seeker(engine).counterfactual(of_log(engine, decided(engine, case, draws)), goal)
        if would.verdict is not Verdict.ALREADY:
            yield seed, engine, case, draws, would


def test_no_smaller_change_does_it() -> None:
    """Of every combination of every change, at every moment that matters, none that does it asks for less."""
    found = 0
    for seed, engine, case, draws, would in searched():
        goal, best = would.goal, least(engine, case, draws, would.goal, MOMENTS)
        assert would.verdict is (Verdict.NONE if best is None else Verdict.FOUND), (seed, would, best)
        if best is not None:
            place = case.request.placements.index(goal.placement)
            then = first(decided(engine, asked(case, would.changes), draws), place)
            assert then == would.then, (seed, would)
            assert (then == goal.action) is goal.wins, (seed, would)
            assert len(would.changes) == best[0].changes, (seed, would, best)
            assert effort(would.changes, NOW_MS) <= best[0], (seed, would, best)
            found += 1
        if found == EXAMPLES:
            return


def test_what_stands_is_removed_by_no_change() -> None:
    """Where nothing lets an action win, every reason that is told against it holds whatever one changes."""
    told = 0
    for seed, engine, case, draws, would in searched():
        if would.verdict is Verdict.NONE and would.goal.wins:
            assert would.stands or would.ahead, seed
            place = case.request.placements.index(would.goal.placement)
            against = reasons(engine, decided(engine, case, draws), would.goal.action, place)
            if not would.ahead and would.stands[0].rule:
                assert set(would.stands) <= set(against), seed
                alone = [(change,) for axis in axes(engine.strategy, case, MOMENTS) for change in axis]
                for changes in alone:
                    then = reasons(engine, decided(engine, asked(case, changes), draws), would.goal.action, place)
                    assert {one.rule for one in would.stands} & {one.rule for one in then}, (seed, changes)
            told += 1
        if told == EXAMPLES:
            return


def reasons(engine: Engine, made: Again, action: str, place: int) -> tuple[Reason, ...]:
    """Return the reasons against an action at a placement."""
    index = next(one.index for one in engine.strategy.actions if one.id == action)
    vetoes = (*made.judged.verdicts.vetoes, *made.judged.capped[place])
    return tuple(veto.reason for veto in vetoes if veto.mask >> index & 1)


# ----------------------------------------------------------------------------------------------------- how far, and why


def of_the_kind(kind: ChangeKind | None) -> tuple[Engine, Case, tuple[float, ...], Counterfactual]:
    """Return the first search whose only change is of a kind, or that finds none."""
    for _, engine, case, draws, would in searched():
        if (would.changes[0].kind if len(would.changes) == 1 else None) is kind:
            return engine, case, draws, would
    raise AssertionError


def test_what_is_ruled_out_is_not_asked_for() -> None:
    """Without waiting, consent, permission and facts nothing is within reach, and it is told how far was looked."""
    for kind in ChangeKind:
        engine, case, draws, would = of_the_kind(kind)
        bound = Engine(replace(engine.strategy, actionable=Actionable((), 0, consent=False, permission=False)), None)
        made = of_log(bound, decided(bound, case, draws))
        none = counterfactual(bound, made, would.goal)
        assert none.verdict in (Verdict.NONE, Verdict.ALREADY)
        assert none.looked.facts == none.looked.levels == ()
        assert (none.looked.until_ms, none.looked.permission, none.looked.tries < 3) == (None, False, True)


def test_a_search_that_may_not_go_on_says_so() -> None:
    """With one try it is given up, and nothing is claimed of what was not looked at."""
    for _, engine, case, draws, would in searched():
        if len(would.changes) > 1:
            made = of_log(engine, decided(engine, case, draws))
            assert counterfactual(engine, made, would.goal, tries=1).verdict is Verdict.GAVE_UP
            assert counterfactual(engine, made, would.goal, most=1).verdict is Verdict.NONE
            return


def test_how_far_was_looked_is_told() -> None:
    """Which facts, until when, which levels: an honest answer says where its reach ends."""
    for _, engine, case, draws, would in searched():
        made = decided(engine, case, draws)
        names = {fact.field for fact in engine.strategy.actionable.facts}
        assert set(would.looked.facts) <= names
        assert would.looked.until_ms == made.snapshot.now_ms + WAIT_MS
        assert would.looked.permission is not made.snapshot.permitted
        if would.looked.levels and would.looked.facts:
            return


def test_of_another_consent_it_is_told_what_is_not_known() -> None:
    """Who has not agreed to more is asked to, and the fields that nobody knows of then are named."""
    for _, engine, case, draws, would in searched():
        if [change.kind for change in would.changes] == [ChangeKind.CONSENT] and would.assumes:
            seen = engine.see(case.known, case.request)
            fields = {engine.strategy.schema.fields[engine.strategy.schema.index[name]] for name in would.assumes}
            assert all(field.purpose not in seen.level.purposes for field in fields)
            assert draws
            return


EITHER = "past.open_tickets == 0 || past.spend >= 2.5 || past.last_seen < now - duration('1h')"


def of_three_ways(*facts: Fact) -> tuple[Engine, Case]:
    """Return a strategy whose one offer needs closed tickets, some spending, or an hour without a visit."""
    offer = replace(HELLO, id="offer", kind=Kind.OFFER, treatments=(Treatment("web", "hero", "An offer"),))
    rule = Eligibility("either", "One of three.", Selector(ids=("offer",)), Condition(EITHER, "rules.yaml", 1))
    strategy = replace(
        EMPTY,
        actions=(offer,),
        eligibility=(rule,),
        safe_greeting="offer",
        features=(),
        actionable=Actionable(facts, WAIT_MS),
    )
    told = {"past.open_tickets": 3, "past.spend": 0.0, "past.last_seen": NOW_MS}
    context = {SCHEMA.index[name]: value for name, value in told.items()}
    known = Known(NOW_MS, "full", (), {}, {})
    return Engine(strategy, None), Case((), known, Request("someone", "web", ("hero",), context))


CLOSE, SPEND = (fact for fact in FACTS if fact.field in ("past.open_tickets", "past.spend"))


@pytest.mark.parametrize(
    ("facts", "changed"),
    [((CLOSE, SPEND), "past.spend"), ((SPEND, CLOSE), "past.spend"), ((CLOSE,), "past.open_tickets"), ((), "")],
    ids=["fewest steps", "in any order", "steps before waiting", "waiting"],
)
def test_of_several_ways_the_least_is_told(facts: tuple[Fact, ...], changed: str) -> None:
    """One step of one fact before three of another, whichever stands first, and either before an hour's wait."""
    engine, case = of_three_ways(*facts)
    would = counterfactual(engine, of_log(engine, decided(engine, case, (0.5,))), Goal("offer"))
    assert [change.field for change in would.changes] == [changed]
    assert would.changes[0].until_ms == (None if changed else NOW_MS + 3_600_001)


def test_a_fact_that_may_not_be_read_changes_nothing() -> None:
    """What the consent keeps away stays unknown, whatever it becomes; with the consent to it, it counts."""
    engine, case = of_three_ways(SPEND)
    case = replace(case, known=structs.replace(case.known, level="service"))
    made = of_log(engine, decided(engine, consented_only(engine, case), (0.5,)))
    spent = Change(ChangeKind.FACT, "", "past.spend", None, 7.0, 1)
    agreed = Change(ChangeKind.CONSENT, "", level="personal")
    index = SCHEMA.index["past.spend"]
    seen = [Scene(engine, made).seen(changes).snapshot.values[index] for changes in ([spent], [spent, agreed])]
    assert seen == [None, 7.0]


@pytest.mark.parametrize(
    ("goal", "most", "why"),
    [
        (Goal("action-99"), 3, "there is no action `action-99`"),
        (Goal("action-1", True, "sofa"), 3, "placement `sofa` was not asked for"),
        (Goal("action-0"), 0, "0 changes together cannot be looked for; ask for 1 to 4"),
        (Goal("action-0"), ALLOWED_CHANGES + 1, "5 changes together"),
    ],
    ids=["action", "placement", "no change", "too many changes"],
)
def test_a_goal_that_there_is_not_is_refused_in_words(goal: Goal, most: int, why: str) -> None:
    """What is wrong is named, with what would be right."""
    _, engine, case, draws, _ = next(searched())
    with pytest.raises(NoSuchGoal, match=why):
        counterfactual(engine, of_log(engine, decided(engine, case, draws)), goal, most)


def test_an_action_without_words_there_is_no_goal() -> None:
    """It could not be said whatever changes, and that is an answer of its own."""
    for _, engine, case, draws, _ in searched():
        lacking = {a.id for a in engine.strategy.actions} - {
            one.action for one in sayable(engine.strategy, case.request)
        }
        if lacking:
            with pytest.raises(NoSuchGoal, match="has no words for any placement that was asked for on channel"):
                counterfactual(engine, of_log(engine, decided(engine, case, draws)), Goal(min(lacking)))
            return
