"""A logged decision is made again from its entry alone, to the last byte."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from service.core.adapting import Learned
from service.core.again import Again, NotRepeatable, again
from service.core.engine import Engine
from service.core.memory import NOTHING_OFF, Switched
from service.core.plan import Entry, pack, unpack
from service.core.strategy import Strategy
from tests.core.exploring import exploring, learned
from tests.core.test_metamorphic import remembered, worlds
from tests.core.worlds import Case, models

World = tuple[Strategy, Any, Case, tuple[float, ...]]
EXAMPLES = int(os.environ.get("TACT_DECISIONS", "20"))


@st.composite
def switched(draw: st.DrawFn, strategy: Strategy) -> Switched:
    """Draw what operators have switched off: mostly nothing."""
    names = st.sampled_from([action.id for action in strategy.actions])
    some = st.builds(Switched, st.frozensets(names, min_size=1, max_size=3), st.just(value=False))
    return draw(st.one_of(st.just(NOTHING_OFF), st.just(NOTHING_OFF), some, st.just(Switched(everything=True))))


def logged(engine: Engine, case: Case, draws: tuple[float, ...], known: Learned | None = None) -> Entry:
    """Decide, and return the entry as it comes back from the log."""
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request, known)
    planned = engine.arbitrate("d" * 26, case.request, snapshot, judged, scores, draws)
    return unpack(pack(engine.check(planned, snapshot, judged.verdicts.vetoes).entry))


def same(engine: Engine, entry: Entry, case: Case) -> Again:
    """See that a decision is made again to the byte, with the verdicts of then; return it."""
    made = again(engine, entry)
    assert pack(made.entry) == pack(entry)
    seen = engine.see(case.known, case.request)
    first = engine.judge(seen, case.known, case.request)
    assert repr(made.snapshot.values) == repr(seen.values)
    assert made.judged == structs.replace(first, used=made.judged.used)
    return made


@settings(max_examples=EXAMPLES, deadline=None)
@given(world=worlds(), data=st.data())
def test_it_is_made_again_from_its_entry_alone(world: World, data: st.DataObject) -> None:
    """Whatever was known, remembered, used up and switched off: the same bytes, and the same verdicts."""
    strategy, model, case, draws = world
    off = data.draw(switched(strategy))
    engine = Engine(strategy, model)
    case = switched_off(case, off)
    same(engine, logged(engine, case, draws), case)


@settings(max_examples=EXAMPLES, deadline=None)
@given(strategy=exploring(), data=st.data())
def test_what_was_drawn_and_learned_by_then_is_made_again(strategy: Strategy, data: st.DataObject) -> None:
    """With exploration, control groups, what was learned between trainings, and a challenger."""
    case, draws = data.draw(remembered(strategy))
    model, challenger = data.draw(models(strategy)), data.draw(models(strategy))
    engine = Engine(strategy, model, challenger)
    same(engine, logged(engine, case, draws, data.draw(learned(engine))), case)


def switched_off(case: Case, off: Switched) -> Case:
    """Return a case in which this is switched off."""
    return replace(case, known=structs.replace(case.known, off=off))


@settings(max_examples=5, deadline=None)
@given(world=worlds())
def test_what_cannot_be_made_again_is_told(world: World) -> None:
    """An entry of before, of another strategy or model, of an unknown level or another form ends in words."""
    strategy, model, case, draws = world
    engine = Engine(strategy, model)
    entry = logged(engine, case, draws)
    wrong = {
        "before it was logged": structs.replace(entry, seen=None),
        "was made by other@1": structs.replace(entry, strategy="other@1"),
        "with other@2": structs.replace(entry, model="other@2"),
        "no consent level `gone`": structs.replace(entry, level="gone"),
        "another number of values": structs.replace(entry, values=entry.values[1:]),
    }
    for why, one in wrong.items():
        with pytest.raises(NotRepeatable, match=why):
            again(engine, one)
