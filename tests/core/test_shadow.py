"""A challenger is asked about every decision and logged with it; it never changes one, however broken it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.features import FeatureSpace
from models.propensity import Folded
from service.core import plan
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.plan import Entry
from service.core.shadow import agreement
from service.core.strategy import Treatment
from tests.core.expressions import NOW_MS, SCHEMA
from tests.core.test_engine import EXAMPLES, World, decide, decided
from tests.core.worlds import EMPTY, HELLO, Case, models

some = settings(max_examples=max(15, EXAMPLES // 4), deadline=None)


@st.composite
def contested(draw: st.DrawFn) -> tuple[World, Folded]:
    """Draw what a decision depends on, and a challenger."""
    world = draw(decided())
    challenger = draw(models(world[0]))
    assume(challenger is not None)
    assert challenger is not None
    return world, replace(challenger, version="rival@0123456789ab")


def planned(engine: Engine, case: Case, draws: tuple[float, ...]) -> Entry:
    """Return the plan of one decision."""
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    return engine.arbitrate("d", case.request, snapshot, judged, engine.score(snapshot, judged, case.request), draws)


@some
@given(contested())
def test_no_challenger_changes_an_answer(contest: tuple[World, Folded]) -> None:
    """With a challenger beside it a decision is the same, and so is its entry but for what the challenger said."""
    (strategy, model, case, draws), challenger = contest
    alone, beside = Engine(strategy, model), Engine(strategy, model, challenger)
    assert decide(alone, case, draws, explain=True) == decide(beside, case, draws, explain=True)
    entry = planned(beside, case, draws)
    assert entry.shadow is not None
    assert plan.pack(plan.unpack(plan.pack(entry))) == plan.pack(entry)
    assert plan.pack(structs.replace(entry, shadow=None)) == plan.pack(planned(alone, case, draws))


@some
@given(contested())
def test_a_shadow_says_what_the_challenger_would_have_said(contest: tuple[World, Folded]) -> None:
    """Its candidates are those of an engine in which it decides, and it scores all that was planned instead."""
    (strategy, model, case, draws), challenger = contest
    entry = planned(Engine(strategy, model, challenger), case, draws)
    own = planned(Engine(strategy, challenger), case, draws)
    assert entry.shadow is not None
    assert entry.shadow.failed == ""
    for told, real, wanted in zip(entry.shadow.placements, entry.placements, own.placements, strict=True):
        said = [(c.action, c.propensity, c.baseline, c.net_value, c.probability) for c in wanted.candidates]
        assert [(s.action, s.propensity, s.baseline, s.net_value, s.probability) for s in told][: len(said)] == said
        scored = {one.action for one in told}
        assert scored == {c.action for c in (*wanted.candidates, *real.candidates)}
        assert len(scored) == len(told)
    engine = Engine(strategy, challenger)
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    chances = engine.policy(case.request, judged, engine.score(snapshot, judged, case.request)).chances
    exact = {strategy.actions[index].id: chance for index, chance in chances.items()}
    for one in entry.shadow.placements[0] if own.placements[0].candidates else ():
        assert one.probability == pytest.approx(exact.get(one.action, 0.0), abs=1e-12)
    first = tuple(placed.candidates[0].action if placed.candidates else "" for placed in own.placements)
    assert entry.shadow.first == first
    mine = tuple(placed.candidates[0].action if placed.candidates else "" for placed in entry.placements)
    assert agreement(entry) == ("same" if first == mine else "other")


def rival(columns: int) -> Folded:
    """Return a challenger of one action over so many columns."""
    one, none = np.ones((1, columns)), np.zeros(1)
    space = FeatureSpace.of(SCHEMA, EMPTY.features)
    return Folded("rival@0123456789ab", space.hash, ("hello",), one, none, one, none, np.array([True]))


@pytest.mark.parametrize("what", ["numbers that are none", "columns that it was not made for"])
@some
@given(world=decided())
def test_a_broken_challenger_is_told_and_not_felt(world: World, what: str) -> None:
    """One that cannot be asked leaves its kind of failure in the entry, and the answer is the same."""
    strategy, model, case, draws = world
    columns = len(FeatureSpace.of(SCHEMA, strategy.features).columns)
    wrong = what.startswith("columns")
    found = rival(columns + wrong)
    challenger = found if wrong else replace(found, weights=found.weights * np.nan, bias=found.bias * np.nan)
    beside = Engine(strategy, model, challenger)
    assert decide(Engine(strategy, model), case, draws) == decide(beside, case, draws)
    entry = planned(beside, case, draws)
    assert entry.shadow is not None
    if wrong:
        assert (entry.shadow.failed, entry.shadow.placements) == ("ValueError", ())
        assert agreement(entry) == "failed"


def opposed(odds: tuple[float, ...]) -> Folded:
    """Return a model of offers that are as likely as these log odds say, whoever is asked about."""
    space = FeatureSpace.of(SCHEMA, EMPTY.features)
    shape, count = (len(odds), len(space.columns)), len(odds)
    names = tuple(f"offer-{number}" for number in range(1, count + 1))
    none, never = np.zeros(count), np.zeros(count, dtype=np.bool_)
    return Folded(
        "rival@0123456789ab", space.hash, names, np.zeros(shape), np.array(odds), np.zeros(shape), none, never
    )


def test_what_was_planned_instead_has_the_challengers_own_probability() -> None:
    """The champion's candidates, which the challenger puts last, stand there with its share of exploring them."""
    offers = tuple(
        replace(
            HELLO, index=number, id=f"offer-{number}", value=10.0, treatments=(Treatment("web", "hero", "An offer"),)
        )
        for number in range(1, 7)
    )
    strategy = replace(EMPTY, actions=(HELLO, *offers), explore=0.5)
    rising = tuple(float(number) for number in range(6))
    engine = Engine(strategy, opposed(rising), opposed(rising[::-1]))
    case = Case((), Known(NOW_MS, "full", (), {}, {}), Request("someone", "web", ("hero",), {}))
    entry = planned(engine, case, (0.99,))
    assert entry.shadow is not None
    chances = {one.action: one.probability for one in entry.shadow.placements[0]}
    assert [c.action for c in entry.placements[0].candidates] == ["offer-6", "offer-5"]
    assert list(chances) == ["offer-1", "offer-2", "offer-6", "offer-5"]
    assert chances["offer-1"] == pytest.approx(0.5 + 0.5 / 6)
    assert chances["offer-6"] == chances["offer-5"] == pytest.approx(0.5 / 6)
    assert agreement(entry) == "other"


def test_at_the_second_placement_only_what_is_left_is_explored() -> None:
    """What the challenger said at the first placement has no share at the second, where the champion says it."""
    places = (Treatment("web", "hero", "An offer"), Treatment("web", "greeting", "An offer"))
    offers = tuple(replace(HELLO, index=n, id=f"offer-{n}", value=10.0, treatments=places) for n in range(1, 7))
    strategy = replace(EMPTY, actions=(HELLO, *offers), explore=0.5)
    rising = tuple(float(number) for number in range(6))
    case = Case((), Known(NOW_MS, "full", (), {}, {}), Request("someone", "web", ("hero", "greeting"), {}))
    for own in ((0.0, 1.0, 2.0, 3.0, 5.0, 4.0), rising[::-1]):
        engine = Engine(strategy, opposed(rising), opposed(own))
        entry = planned(engine, case, (0.99, 0.99))
        assert entry.shadow is not None
        first, second = entry.shadow.placements
        taken = first[0].action
        chances = {one.action: one.probability for one in second}
        assert chances.get(taken, 0.0) == 0.0
        assert chances[second[0].action] == pytest.approx(0.5 + 0.5 / 6)
        for one in second[1:]:
            assert one.probability == pytest.approx(0.0 if one.action == taken else 0.5 / 6)
    # the champion says offer-5 second, which this challenger said first: it stands there without a share
    engine = Engine(strategy, opposed(rising), opposed((0.0, 1.0, 2.0, 3.0, 5.0, 4.0)))
    entry = planned(engine, case, (0.99, 0.99))
    assert entry.shadow is not None
    assert entry.placements[1].candidates[0].action == "offer-5"
    assert entry.shadow.first[0] == "offer-5"
