"""Hour and weekday in formulas are what the real clock shows where the customer is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest
import z3

from models.bounds import YEAR_2000_MS, YEAR_2100_MS
from models.clock import HOUR, WEEKDAY, Clock, zone_names
from models.context import ContextSchema, Scalar, TimeZone, ValueType
from service.core.cel import check_condition
from service.proving.symbols import Symbols
from service.proving.zones import REPRESENTATIVE, offset_ms, offsets_ms, unchanged
from tests.core.expressions import NOW_MS, field
from tests.proving.customers import ALL, LEVELS, NOTHING, found, in_world, of_clock, written

DAY_MS = 86_400_000
ZONE = field("past.time_zone", ValueType.STRING)
CLOCKS = {
    "default": of_clock(TimeZone("", "Europe/Berlin")),
    "zone": of_clock(TimeZone("past.time_zone", ""), ZONE),
    "both": of_clock(TimeZone("past.time_zone", "America/St_Johns"), ZONE),
}
ZONES = ("Europe/Berlin", "Asia/Kathmandu", "America/New_York", "Nowhere/At_All", "UTC", "Pacific/Chatham")


def told(schema: ContextSchema, zone: str | None, now_ms: int) -> list[Scalar | None]:
    """Return the values of a customer of whom nothing but the zone and the clock is known."""
    values: list[Scalar | None] = [None] * len(schema.fields)
    if zone is not None and "past.time_zone" in schema.index:
        values[schema.index["past.time_zone"]] = zone
    clock = Clock.of(schema)
    assert clock is not None
    clock.fill(values, now_ms)
    return values


@pytest.mark.parametrize("name", CLOCKS)
def test_what_a_real_clock_shows_is_in_the_world(name: str) -> None:
    """Wherever customers are and whenever it is, hour and weekday of the real clock are possible; no other is, once
    the facts about that clock are told.
    """
    schema, random = CLOCKS[name], Random(3)
    at = check_condition("past.time_zone == 'Nowhere/At_All'", schema) if name != "default" else None
    named = [check_condition(f"past.time_zone == '{zone}'", schema).node for zone in ZONES] if at else []
    symbols = Symbols(schema, LEVELS, named)
    for zone in (None, "Europe/Berlin", "Nowhere/At_All", random.choice(ZONES)):
        now_ms = random.randrange(YEAR_2000_MS, YEAR_2100_MS)
        values = told(schema, zone, now_ms)
        assert in_world(symbols, values, now_ms), (zone, now_ms)
        for wrong in _wrong(schema, values):
            assert not in_world(symbols, wrong, now_ms), (zone, now_ms)
        hour = values[schema.index[HOUR]]
        if isinstance(hour, int):
            values[schema.index[HOUR]] = (hour + 1) % 24
            assert not _after_lemmas(symbols, values, now_ms), (zone, now_ms)


def _wrong(schema: ContextSchema, values: Sequence[Scalar | None]) -> Iterator[list[Scalar | None]]:
    """Yield what the real clock does not show: half a day later, or nothing; or something where it shows nothing."""
    hour = values[schema.index[HOUR]]
    for wrong in ((hour + 12) % 24, None) if isinstance(hour, int) else (5,):
        other = list(values)
        other[schema.index[HOUR]] = wrong
        other[schema.index[WEEKDAY]] = None if wrong is None else values[schema.index[WEEKDAY]] or 1
        yield other


def _after_lemmas(symbols: Symbols, values: Sequence[Scalar | None], now_ms: int) -> bool:
    solver = symbols.solver()
    solver.add(*symbols.pinned(values, now_ms), symbols.at_level(ALL.id))
    while solver.check() == z3.sat:
        lemma = symbols.lemma(solver.model())
        if lemma is None:
            return True
        solver.add(lemma)
    return False


QUESTIONS: list[tuple[str, str, str, bool]] = [
    ("default", "present.hour > 23", "it is never 24 o'clock", False),
    ("default", "present.weekday == 0", "weekdays count from 1", False),
    ("default", "present.hour == 3 && present.weekday == 7", "a Sunday at three", True),
    ("default", "present.hour == 12 && now < timestamp('2026-06-01T09:00:00Z') && now > "
     "timestamp('2026-06-01T00:00:00Z')", "noon before nine", False),
    ("default", "present.hour == 12 && now < timestamp('2026-06-01T11:00:00Z') && now > "
     "timestamp('2026-06-01T00:00:00Z')", "noon before eleven in summer", True),
    ("default", "present.hour == 2 && now >= timestamp('2026-03-29T00:00:00Z') && now < "
     "timestamp('2026-03-29T12:00:00Z')", "the hour that summer time skips", False),
    ("default", "present.weekday == 1 && now >= timestamp('2026-06-06T00:00:00Z') && now < "
     "timestamp('2026-06-07T00:00:00Z')", "a Monday on a Saturday", False),
    ("zone", "present.hour == 5 && past.time_zone == 'Nowhere/At_All'", "the hour in no zone", False),
    ("zone", "present.hour == 5 && past.time_zone != 'Europe/Berlin'", "the hour elsewhere", True),
]  # fmt: skip


@pytest.mark.parametrize(("name", "source", "said", "possible"), QUESTIONS, ids=[said for *_, said, _ in QUESTIONS])
def test_hours_and_weekdays_agree_with_the_moment(name: str, source: str, said: str, possible: bool) -> None:
    """Clocks go together with the moment and the zone, and what is found is what the real clock shows."""
    schema = CLOCKS[name]
    world = written(source, schema=schema, attributes=False)
    models = list(found(world, world.asked[0].formula.holds))
    assert bool(models) is possible
    for model in models:
        values, now_ms = world.symbols.values(model), world.symbols.now_ms(model)
        zone = values[schema.index["past.time_zone"]] if "past.time_zone" in schema.index else None
        assert told(schema, None if zone is None else str(zone), now_ms) == list(values)


def test_a_zone_that_is_no_zone_is_told_apart_by_a_fact_at_a_time() -> None:
    """Where conditions look into the names of zones, z3 does not know all of them: facts rule out what is none."""
    world = written("present.hour == 5 && past.time_zone.startsWith('Europe')", schema=CLOCKS["both"], attributes=False)
    solver = world.symbols.solver()
    solver.add(world.asked[0].formula.holds)
    for _ in range(3):
        assert solver.check() == z3.sat
        zone = world.symbols.values(solver.model())[0]
        assert zone not in zone_names()
        lemma = world.symbols.lemma(solver.model())
        assert lemma is not None
        solver.add(lemma)
        assert solver.check(z3.Const("past.time_zone", z3.StringSort()) == z3.StringVal(str(zone))) == z3.unsat


def test_no_clock_is_read_without_consent_to_the_service() -> None:
    """Where nothing may be read, neither may the clock."""
    symbols = Symbols(CLOCKS["default"], (NOTHING, ALL), [])
    for level, known in ((NOTHING, False), (ALL, True)):
        for name in (HOUR, WEEKDAY):
            solver = symbols.solver()
            solver.add(symbols.at_level(level.id), symbols.known(name))
            assert (solver.check() == z3.sat) is known
    solver = symbols.solver()
    solver.add(symbols.at_level(NOTHING.id))
    assert solver.check() == z3.sat
    assert symbols.lemma(solver.model()) is None


def test_a_clock_stays_as_it_is_until_it_is_changed() -> None:
    """The span in which a zone's clock is as far from UTC ends where the clock is changed, or after a year."""
    summer = 1_774_746_000_000  # 29 March 2026, 01:00 UTC
    since, until = unchanged("Europe/Berlin", summer - DAY_MS)
    assert until == summer
    assert offset_ms("Europe/Berlin", since) == offset_ms("Europe/Berlin", until - 1) == 3_600_000
    assert offset_ms("Europe/Berlin", until) == 7_200_000
    since, until = unchanged("UTC", summer)
    assert until - since > 700 * DAY_MS


@pytest.mark.parametrize("at_ms", [YEAR_2000_MS + 200 * DAY_MS, NOW_MS, NOW_MS + 170 * DAY_MS])
def test_some_zone_stands_for_every_distance_from_utc(at_ms: int) -> None:
    """There is a customer at every distance from UTC that there is at a moment."""
    offsets = {offset_ms(zone, at_ms) for zone in zone_names()}
    assert offsets <= {offset_ms(zone, at_ms) for zone in REPRESENTATIVE}


def test_a_zone_has_every_distance_that_it_ever_has() -> None:
    """No clock shows what the solver was not told, whenever it is."""
    random = Random(5)
    for zone in REPRESENTATIVE:
        told = offsets_ms(zone, YEAR_2000_MS, YEAR_2100_MS)
        assert {offset_ms(zone, random.randrange(YEAR_2000_MS, YEAR_2100_MS)) for _ in range(100)} <= set(told)
