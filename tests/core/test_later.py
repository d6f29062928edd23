"""What would be known later: exactly so where the states are at hand, and never wrongly where only values are."""

from __future__ import annotations

from functools import cache
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST
from models.context import FoldKind, Scalar
from service.core.again import Again, again
from service.core.engine import Engine
from service.core.later import Later, ages
from service.core.plan import pack, unpack
from service.core.strategy import ConsentLevel
from tests.core.otherwise import decided
from tests.core.test_seeing import HOUR_MS, MOMENTS, Seen, asked, histories, known_from, named, strategy
from tests.core.worlds import Case
from tests.folding import DETERMINISTIC

FEW = settings(DETERMINISTIC, max_examples=40)
WAITS = st.sampled_from([0, 1, HOUR_MS // 3, HOUR_MS, 3 * HOUR_MS, 5 * HOUR_MS, 5 * HOUR_MS + 1, 30 * HOUR_MS])


@cache
def engine() -> Engine:
    """Return an engine over a field of every kind."""
    return Engine(strategy(), None)


def made(events: list[Seen], now_ms: int, level: str = "full") -> Again:
    """Decide about somebody to whom only what was before happened."""
    known = known_from([event for event in events if event.at_ms < now_ms], level)
    return decided(engine(), Case((), known, asked(now_ms)), (0.5,))


def looked(decision: Again, at_ms: int, level: ConsentLevel) -> tuple[Scalar | None, ...]:
    """Return what serving would see at another moment."""
    known = known_from([], level.id)
    groups = {letter: group for letter, group in decision.known.groups.items() if letter in _letters(level)}
    return engine().see(type(known)(at_ms, level.id, (), groups, {}), asked(at_ms)).values


def _letters(level: ConsentLevel) -> set[str]:
    return {purpose.group for purpose in level.purposes}


@FEW
@given(histories(), MOMENTS, WAITS)
def test_with_the_states_a_later_moment_is_seen_as_serving_would_see_it(
    events: list[Seen], now_ms: int, wait_ms: int
) -> None:
    """Every field, the clock's too, to the last digit; and nothing is a guess."""
    decision = made(events, now_ms)
    found = Later(engine(), decision).at(decision.snapshot.level, now_ms + wait_ms)
    assert found.snapshot.values == looked(decision, now_ms + wait_ms, decision.snapshot.level)
    assert found.guessed == frozenset()
    assert found.snapshot.now_ms == now_ms + wait_ms


@FEW
@given(histories(), MOMENTS, WAITS)
def test_from_values_alone_nothing_is_reckoned_wrongly(events: list[Seen], now_ms: int, wait_ms: int) -> None:
    """What is not told to be a guess is what serving would see then; before any time has passed nothing is a guess."""
    decision = made(events, now_ms)
    logged = again(engine(), unpack(pack(decision.entry)))
    found = Later(engine(), logged).at(logged.snapshot.level, now_ms + wait_ms)
    wanted = looked(decision, now_ms + wait_ms, decision.snapshot.level)
    fields = engine().strategy.schema.fields
    for index, (reckoned, seen) in enumerate(zip(found.snapshot.values, wanted, strict=True)):
        if index not in found.guessed:
            assert _alike(reckoned, seen), (fields[index].id, reckoned, seen)
    assert not found.guessed or wait_ms
    assert all(ages(fields[index]) for index in found.guessed)


def _alike(one: Scalar | None, other: Scalar | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return one == other and type(one) is type(other)


def test_what_passes_is_known_to_have_passed() -> None:
    """After a window's length it is empty, after its age a value is unknown, and what is left halves."""
    events = [Seen("e", "seen", 1_790_000_000_000, {"word": "a", "amount": 8.0, "zone": "Europe/Berlin"})]
    now_ms = events[0].at_ms + 1
    decision = again(engine(), unpack(pack(made(events, now_ms).entry)))
    index = engine().strategy.schema.index
    later = Later(engine(), decision)

    def value(kind: str, end: str, hours: int) -> tuple[Scalar | None, bool]:
        found = later.at(decision.snapshot.level, now_ms + hours * HOUR_MS)
        place = index[named(kind, end)]
        return found.snapshot.values[place], place in found.guessed

    assert value("window_count", "_ever", 2) == (1, True)
    assert value("window_count", "_ever", 3) == (0, False)
    assert value("last", "_fresh", 5) == ("a", True)
    assert value("last", "_fresh", 6) == (None, False)
    assert value("last", "_ever", 600) == ("a", False)
    assert value("since", "_ever", 12)[0] == pytest.approx(0.5, abs=1e-6)
    halved, whole = value("decay", "_ever", 2), value("decay", "_ever", 0)
    assert halved[0] == pytest.approx(whole[0] / 2.0)  # type: ignore[operator]  # a number
    assert not halved[1]


@FEW
@given(histories(), MOMENTS)
def test_a_wider_consent_names_what_nobody_knows_of_here(events: list[Seen], now_ms: int) -> None:
    """A log of a narrow consent has no more than that; what a wider one would let be read is told to be unknown."""
    decision = made(events, now_ms, "service")
    full = next(level for level in engine().strategy.levels if level.id == "full")
    found = Later(engine(), decision).at(full, now_ms)
    fields = engine().strategy.schema.fields
    wider = {index for index, field in enumerate(fields) if field.purpose not in decision.snapshot.level.purposes}
    assert found.guessed == {index for index in wider if found.snapshot.values[index] is None}
    assert found.snapshot.level is full


def test_every_kind_of_fold_that_ages_by_itself_is_known() -> None:
    """A new kind of fold has to say what waiting does to it."""
    plain = {field.fold.kind for field in strategy().schema.fields if field.fold and field.id.endswith("_ever")}
    aging = {f.fold.kind for f in strategy().schema.fields if f.fold and f.id.endswith("_ever") and ages(f)}
    windows = {FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE}
    assert aging == {*windows, FoldKind.SINCE, FoldKind.DECAY}
    assert plain - aging == set(FoldKind) - aging
    assert LAST_CHANNEL not in strategy().schema.index
    assert MINUTES_SINCE_LAST not in strategy().schema.index
