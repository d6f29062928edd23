"""Claims about saying usual decisions in one step: it says what its twin in Python says, to the letter."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import Scalar
from service.core import answers, saying
from service.core.answers import Texts, chosen_plainly, nothing
from service.core.decision import Answer, Committed, Reason, ReasonCode
from service.core.engine import Engine
from service.core.memory import NOTHING_OFF, Switched
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.rules import Kind
from service.core.strategy import Action, Treatment
from tests.core.expressions import SCHEMA
from tests.core.test_engine import World, decide, decided
from tests.core.worlds import EMPTY, HELLO, PLACES, SLOTS

CASES = int(os.environ.get("TACT_SAYINGS", "90"))
compiled_only = pytest.mark.skipif(
    not saying.COMPILED and shutil.which("cc") is None, reason="there is no C compiler here, so only the twin is in use"
)
VALUES = tuple(range(len(SCHEMA.fields)))


def action(index: int, kind: Kind, slots: str) -> Action:
    """Return an action with words at every place, which are filled with what is known where there are slots."""
    otherwise = f"Sonst {index}." if "{p" in slots else ""
    treatments = tuple(Treatment(*place, f"Grüezi {index} {slots}", otherwise) for place in PLACES)
    return replace(HELLO, index=index, id=f"action-{index}", kind=kind, treatments=treatments, intents=("a", "b"))


ACTIONS = (HELLO, *(action(i, list(Kind)[i % 3], SLOTS[i % len(SLOTS)]) for i in range(1, 7)))
NAMES = [one.id for one in ACTIONS]
TEXTS = [
    Texts(replace(EMPTY, actions=ACTIONS, currency=currency, features=features), frozenset(NAMES[:5]))
    for currency in ("EUR", "₣")
    for features in (EMPTY.features, ())
]
WHY = [
    Reason(code, "A sentence.", "rule", ("past.spend",), until)
    for code, until in ((ReasonCode.PROMISED, 7), (ReasonCode.INSTEAD, None))
]

# ----------------------------------------------------------------------------------------------------------- any plans

sums = st.one_of(st.floats(-1e11, 1e11), st.integers(-(10**7), 10**7).map(lambda n: n / 8), st.just(-0.0))
odd_sums: st.SearchStrategy[Any] = st.floats() | st.integers() | st.just(1e12) | st.none()
odd_truths: st.SearchStrategy[Any] = st.sampled_from([0, 1, None, "yes", ""])


def candidates(odd: bool) -> st.SearchStrategy[Candidate]:
    """Draw candidates; odd ones may hold what no plan holds, or what the strategy lacks."""
    truths = st.booleans() | odd_truths if odd else st.booleans()
    names = st.sampled_from([*NAMES, "gone", ""] if odd else NAMES[1:])
    return st.builds(
        Candidate, names, sums, st.none() | st.just(0.25), sums | odd_sums if odd else sums, st.just(1.0), truths,
        st.sampled_from([None, *WHY]), truths,
    )  # fmt: skip


def plans(odd: bool) -> st.SearchStrategy[PlacementPlan]:
    """Draw the plan of a placement."""
    places = st.sampled_from([place for _, place in PLACES][: 9 if odd else 2])
    pools: st.SearchStrategy[Any] = st.integers(0, 10**6)
    held = st.none() | st.just(nothing("hero", (WHY[0],), "action-1", 9))
    if odd:
        pools = pools | st.sampled_from([True, -1, 2**70, 0.5, None])
    explored = st.booleans() | odd_truths if odd else st.booleans()
    ranked = st.lists(candidates(odd), min_size=0 if odd else 2, max_size=3).map(tuple)
    return st.builds(PlacementPlan, places, ranked, pools, explored, held)


@st.composite
def told(draw: st.DrawFn, odd: bool) -> tuple[Entry, Committed, Sequence[Scalar | None]]:
    """Draw a plan, what was committed of it, and the values for its words."""
    values = tuple(draw(st.sampled_from([None, 3, 2.5, "Ada", "", True])) for _ in SCHEMA.fields)
    placed: Sequence[PlacementPlan] = tuple(draw(st.lists(plans(odd), max_size=3)))
    channel, version = "web", draw(st.sampled_from([EMPTY.version, "earlier@1"]))
    ranks = st.integers(0, 1)
    off, filled = NOTHING_OFF, draw(st.sampled_from([values, (), VALUES]))
    if odd:
        ranks = st.one_of(ranks, st.sampled_from([-1, 3, True, 2**70]))
        channel = draw(st.sampled_from(["web", "email", "gone", ""]))
        off = draw(
            st.sampled_from([NOTHING_OFF, Switched(), Switched(frozenset(NAMES[:4])), Switched(everything=True)])
        )
        values = draw(st.sampled_from([values, values[:3], list(values)]))
        filled = draw(st.sampled_from([filled, values, list(filled), (1,)]))
        placed = draw(st.sampled_from([placed, list(placed)]))
    chosen = tuple(draw(ranks) for _ in range(len(placed) - (odd and draw(st.integers(0, 5)) == 0)))
    asks = draw(st.sampled_from([None, *WHY]))
    entry = Entry("d", "c", channel, 1, version, "", "full", (), asks, values, (), placed)  # type: ignore[arg-type]
    return entry, Committed(b"", b"", chosen, (), False, off), filled


def plainly(texts: Texts, entry: Entry, committed: Committed, values: Sequence[Scalar | None]) -> tuple[Answer, ...]:
    """Return what the twin says."""
    return chosen_plainly(entry, committed, texts, lambda key, ms: Reason(ReasonCode.CAP_REACHED, key), values)


def outcome(said: Callable[[], object]) -> str:
    """Return what is said, with every type and sign, or the kind of error."""
    try:
        return repr(said())
    except Exception as error:  # noqa: BLE001  # both must fail alike, whatever it is
        return type(error).__name__


@compiled_only
def test_where_there_is_a_compiler_it_is_compiled() -> None:
    """An installation on a machine with a compiler says usual decisions in one step."""
    assert saying.COMPILED


@compiled_only
@settings(max_examples=CASES, deadline=None)
@given(told(odd=False), st.sampled_from(TEXTS))
def test_the_usual_decision_is_said_in_one_step(
    asked: tuple[Entry, Committed, Sequence[Scalar | None]], texts: Texts
) -> None:
    """Whatever is worth saying, for whatever reason and of whichever strategy, the answers are those of the twin."""
    said = texts.told(*asked)
    assert said is not None
    assert repr(said) == repr(plainly(texts, *asked))


@settings(max_examples=CASES, deadline=None)
@given(told(odd=True), st.sampled_from(TEXTS))
def test_what_is_unusual_is_left_to_the_twin(
    asked: tuple[Entry, Committed, Sequence[Scalar | None]], texts: Texts
) -> None:
    """Of what no plan should hold, either nothing is said in one step, or what the twin says, errors included."""
    said = outcome(lambda: texts.told(*asked))
    assert said in ("None", outcome(lambda: plainly(texts, *asked)))


@settings(max_examples=CASES // 3, deadline=None)
@given(decided())
def test_decisions_that_were_made_are_said_alike(world: World) -> None:
    """Whatever was decided, it is said in one step unless a race took it, and as the twin says it."""
    strategy, model, case, draws = world
    engine = Engine(strategy, model)
    said, tell = [], engine._texts.told

    def tells(entry: Entry, committed: Committed, values: Sequence[Scalar | None]) -> tuple[Answer, ...] | None:
        said.append(tell(entry, committed, values))
        lost = [one for one, rank in zip(entry.placements, committed.chosen, strict=True) if rank < 0]
        assert (said[-1] is None) is any(one.suppression is None for one in lost) or not saying.COMPILED
        return None

    engine._texts.told = tells
    decision = decide(engine, case, draws)
    assert len(said) == 1
    assert said[0] is None or repr(said[0]) == repr(decision.answers)


# ------------------------------------------------------------------------------------------------------------- details


def plan_of(*candidates: Candidate, explored: bool = False, values: tuple[Any, ...] = VALUES) -> Entry:
    """Return a plan of one placement under the strategy of the first texts."""
    placed = (PlacementPlan("hero", candidates, 7, explored, None),)
    return Entry("d", "c", "web", 1, EMPTY.version, "", "full", (), None, values, (), placed)


def first(entry: Entry, texts: Texts = TEXTS[0]) -> Answer:
    """Return the one answer of a plan, said in one step."""
    said = texts.told(entry, Committed(b"", b"", (0,), (), False), VALUES)
    assert said is not None
    return said[0]


@compiled_only
def test_sums_are_written_as_python_writes_them() -> None:
    """Of any magnitude below a million millions, on both sides of 0, halves to the even hundredth."""
    rng = Random(5)
    worths = [0.0, -0.0, 0.005, 0.015, 0.125, 0.375, 2.675, -1e-320, 1e12 - 0.01, 999_999_999_999.9949, 0.995, 0.994999]
    for _ in range(20_000):
        drawn: float = struct.unpack("<d", rng.randbytes(8))[0]
        worths += [
            worth for worth in (drawn, rng.uniform(-100, 100), rng.randrange(2**40) / 2**20) if abs(worth) < 1e12
        ]
    assert len(worths) > 40_000
    for worth in worths:
        answer = first(plan_of(Candidate("action-1", 0.5, None, worth, 1.0, False)))
        assert answer.reasons[0].sentence.split(" ")[2] == f"{worth:.2f}"


@compiled_only
@pytest.mark.parametrize("worth", [1e12, -1e12, 1e300, float("inf"), float("-inf"), float("nan"), 5, True])
def test_other_sums_are_left_to_the_twin(worth: float) -> None:
    """What is too large to be exact in 64 bits, or no float at all, is nothing that is said in one step."""
    entry = plan_of(Candidate("action-1", 0.5, None, worth, 1.0, False))
    assert TEXTS[0].told(entry, Committed(b"", b"", (0,), (), False), VALUES) is None


@compiled_only
@pytest.mark.parametrize("off", [Switched(frozenset({"action-1"})), Switched(everything=True)], ids=["it", "all"])
def test_what_is_switched_off_by_now_is_left_to_the_twin(off: Switched) -> None:
    """A decision that is only repeated is not said in one step while something is switched off."""
    entry = plan_of(Candidate("action-1", 0.5, None, 1.0, 1.0, False))
    committed = Committed(b"", b"", (0,), (), True, off)
    assert TEXTS[0].told(entry, committed, VALUES) is None
    assert plainly(TEXTS[0], entry, committed, VALUES)[0].held_back == "action-1"


@compiled_only
def test_the_greeting_that_is_worth_nothing_greets() -> None:
    """The safe greeting that is worth no more than silence has the reason of a greeting, and otherwise that of all."""
    found = [first_reason("hello", worth) is answers.GREETED for worth in (-1.0, -0.0, 0.0, 0.01)]
    assert found == [True, True, True, False]
    assert first_reason("action-1", 0.0) is not answers.GREETED


def first_reason(name: str, worth: float) -> Reason:
    """Return the first reason for which an action of this worth is said."""
    placed = (PlacementPlan("greeting", (Candidate(name, 0.5, None, worth, 1.0, False),), 1, False, None),)
    entry = Entry("d", "c", "web", 1, EMPTY.version, "", "full", (), None, VALUES, (), placed)
    return first(entry).reasons[0]


@compiled_only
def test_nothing_is_kept_of_what_was_said() -> None:
    """However often something is said, or fails, no object is held for longer than it is used."""
    worth, names, failing = 12.5, EMPTY.features, plan_of(Candidate("action-2", 0.5, None, 1.0, 1.0, False))
    drawn = plan_of(Candidate("action-1", 0.5, 0.1, worth, 1.0, True, WHY[1]), explored=True)
    unusual = plan_of(Candidate("gone", 0.5, 0.1, worth, 1.0, True))
    committed, shared = Committed(b"", b"", (0,), (), False), (worth, WHY[1], ReasonCode.EXPLORATION, "hero", *names)

    def said() -> None:
        assert TEXTS[0].told(drawn, committed, VALUES) is not None
        assert TEXTS[0].told(unusual, committed, VALUES) is None
        with pytest.raises(IndexError):
            TEXTS[0].told(failing, committed, (1,))

    said()
    before = [sys.getrefcount(one) for one in (*shared, drawn, unusual, failing, committed, VALUES)]
    for _ in range(200):
        said()
    assert [sys.getrefcount(one) for one in (*shared, drawn, unusual, failing, committed, VALUES)] == before


@compiled_only
def test_what_says_it_refuses_other_arguments() -> None:
    """Made of anything but what it needs, it says so; an object that was not made says nothing."""
    made = saying._compiled.Saying
    arguments: list[tuple[Any, ...]] = [(), (1,) * 10, ((), (), 0, 0, "", "", {}, (), (), ())]
    for wrong in arguments:
        with pytest.raises((TypeError, ValueError)):
            made(*wrong)
    blank = made.__new__(made)
    assert blank.chosen(plan_of(), Committed(b"", b"", (), (), False), ()) is None
    with pytest.raises(TypeError):
        blank.chosen(1)
