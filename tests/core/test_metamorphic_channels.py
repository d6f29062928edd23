"""What was said on one channel is said on all others, as long as the promise holds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.core.engine import Engine
from service.core.rules import Condition, Promise, Selector, Weight
from service.core.strategy import Strategy, Treatment
from tests.core.expressions import NOW_MS
from tests.core.remembering import Person, said
from tests.core.test_metamorphic import several
from tests.core.worlds import HOUR_MS, PLACES, Case, cases, strategies

STORY = Promise("story", "One story.", Selector(), HOUR_MS, (), ())
ALWAYS = Condition("", "rules.yaml", 1)


@several
@given(strategies(), cases(), st.floats(0, 1, exclude_max=True), st.sampled_from(PLACES), st.integers(0, HOUR_MS - 1))
def test_another_channel_tells_the_same_story(
    strategy: Strategy, case: Case, draw: float, place: tuple[str, str], later_ms: int
) -> None:
    """What was said on one channel is said on any other, or nothing, as long as the promise holds; whatever the rules
    permit, and though another action is worth a hundred times as much by then.
    """
    strategy = replace(strategy, promises=(STORY,), caps=(), cool_offs=())
    if later_ms % 2:
        strategy = replace(strategy, guardrails=(), eligibility=())  # then nothing but the promise has a say
    person, facts = Person(), {strategy.schema.fields[i].id: v for i, v in case.request.context.items()}
    first = said(person.ask(Engine(strategy, None), "web", "hero", draw=draw, facts=facts))
    others = tuple(action.id for action in strategy.actions if action.id not in first)
    by_then = Weight("by-then", "", Selector(ids=others), 100.0, ALWAYS)
    engine = Engine(replace(strategy, weights=(by_then,)), None)
    answer = said(person.ask(engine, *place, at_ms=NOW_MS + later_ms, draw=draw / 2, facts=facts))
    assert first == [""] or answer in (first, [""])
    again = said(person.ask(engine, "web", "hero", at_ms=NOW_MS + later_ms, draw=draw, facts=facts))
    assert first == [""] or again in (first, [""])
    assert first == [""] or again == first or strategy.guardrails


@st.composite
def anything_anywhere(draw: st.DrawFn) -> Strategy:
    """Draw a strategy that may say each of its actions everywhere, to anybody, and is glad to."""
    strategy = draw(strategies())
    actions = tuple(
        replace(
            action,
            treatments=tuple(Treatment(*place, f"text {action.index}") for place in PLACES),
            value=max(action.value, 1.0),
            propensity=max(action.propensity, 0.1),
            lever=1.0,
            cost=0.0,
            reward=0.0,
        )
        for action in strategy.actions
    )
    return replace(
        strategy, actions=actions, guardrails=(), eligibility=(), caps=(), cool_offs=(), promises=(STORY,), weights=()
    )


@several
@given(anything_anywhere(), st.permutations(PLACES), st.floats(0, 1, exclude_max=True), st.integers(0, HOUR_MS - 1))
def test_a_channel_that_could_tell_another_story_tells_the_same(
    strategy: Strategy, places: list[tuple[str, str]], draw: float, later_ms: int
) -> None:
    """Where all may be said everywhere and all others are worth a thousand times as much by then, what was said
    first is said at every place.
    """
    person = Person()
    first = said(person.ask(Engine(strategy, None), *places[0], draw=draw))
    others = tuple(action.id for action in strategy.actions if action.id not in first)
    by_then = Weight("by-then", "", Selector(ids=others), 1000.0, ALWAYS)
    engine = Engine(replace(strategy, weights=(by_then,)), None)
    for place in places:
        stranger = Person("somebody-else")
        assert said(stranger.ask(engine, *place, at_ms=NOW_MS + later_ms)) != first, "without a promise it is another"
        assert said(person.ask(engine, *place, at_ms=NOW_MS + later_ms, draw=draw)) == first != [""]
