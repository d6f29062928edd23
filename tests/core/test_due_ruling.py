"""What becomes of a moment when its time comes, by what is known of the customer then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models.clock import Clock, clock_fields, zone_names
from models.context import ContextSchema, Scalar, TimeZone
from service.core.due_ruling import NO_CLOCK_AGAIN_MS, RETIRED, Dues, Ruled, Ruling, due
from service.core.loader import load_strategy
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.core.triggers import DAY_MS, Moment, Wait
from tests.core.telling_triggers import triggered, write_triggers
from tests.profile import cases
from tests.strategies import edited

HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def ms(text: str) -> int:
    """Return a moment in milliseconds."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


CLOSED_MS = ms("2026-06-01T15:00:00+02:00")
DUE_MS = ms("2026-06-02T10:00:00+02:00")
CLOSED = Moment("ticket-closed", "t-1", CLOSED_MS, CLOSED_MS, CLOSED_MS + 8 * HOUR_MS)


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the small strategy with triggers."""
    return triggered(tmp_path_factory.mktemp("triggered"))


def seen(strategy: Strategy, now_ms: int, level: str = "service", **facts: Scalar) -> Snapshot:
    """Return what is known of a customer at a moment."""
    values: list[Scalar | None] = [None] * len(strategy.schema.fields)
    for name, value in facts.items():
        values[strategy.schema.index[f"past.{name}"]] = value
    (agreed,) = (one for one in strategy.levels if one.id == level)
    return Snapshot(tuple(values), {}, now_ms, agreed, permitted=True)


def ruled(strategy: Strategy, now_ms: int, level: str = "service", moment: Moment = CLOSED, **facts: Scalar) -> Ruling:
    """Return what becomes of a moment."""
    return Dues(strategy).ruled(moment, seen(strategy, now_ms, level, **facts))


def test_it_is_said_from_its_minute_on_for_as_long_as_it_is_good(strategy: Strategy) -> None:
    """A millisecond before it is early, and when its time is up it is too late."""
    until_ms = DUE_MS + 12 * HOUR_MS
    found = [ruled(strategy, at, worst_score=9) for at in (DUE_MS - 1, DUE_MS, until_ms - 1, until_ms)]
    assert [one.ruled for one in found] == [Ruled.EARLY, Ruled.SAY, Ruled.SAY, Ruled.EXPIRED]
    assert found[0].again_ms == DUE_MS
    assert {(one.due_ms, one.until_ms) for one in found} == {(DUE_MS, until_ms)}
    assert [one.dropped for one in found] == [False, False, False, True]


def test_a_condition_must_be_known_to_hold(strategy: Strategy) -> None:
    """While it does not, or nobody knows, it is looked at again; the last time it is dropped, and says which it was."""
    late_ms = DUE_MS + 11 * HOUR_MS + 1
    waits = [ruled(strategy, DUE_MS, worst_score=3), ruled(strategy, DUE_MS)]
    assert {(one.ruled, one.again_ms, one.dropped) for one in waits} == {(Ruled.NOT_YET, DUE_MS + HOUR_MS, False)}
    dropped = [ruled(strategy, late_ms, worst_score=3), ruled(strategy, late_ms)]
    assert [(one.ruled, one.dropped) for one in dropped] == [(Ruled.CONDITION, True), (Ruled.UNKNOWN, True)]


def test_what_does_not_look_again_is_dropped_at_once(tmp_path: Path) -> None:
    """Without `look_again`, a condition that does not hold when it is due drops it."""
    text = (write_triggers(tmp_path) / "triggers.yaml").read_text(encoding="utf-8").replace("    look_again: 1h\n", "")
    plain = triggered_by(tmp_path, text)
    assert ruled(plain, DUE_MS, worst_score=3).ruled is Ruled.CONDITION
    assert ruled(plain, DUE_MS).ruled is Ruled.UNKNOWN


def triggered_by(folder: Path, text: str, **changes: str | None) -> Strategy:
    """Return the small strategy with these triggers."""
    return load_strategy(write_triggers(folder, text, **changes))


def test_who_has_not_agreed_to_its_purpose_hears_nothing(strategy: Strategy) -> None:
    """The purpose is asked first: without it nothing is looked at again either."""
    assert ruled(strategy, DUE_MS, "none", worst_score=9).ruled is Ruled.NO_CONSENT
    assert ruled(strategy, DUE_MS, "none").ruled is Ruled.NO_CONSENT
    assert "service" in ruled(strategy, DUE_MS, "none").sentence


def test_what_the_strategy_no_longer_has_is_dropped(strategy: Strategy) -> None:
    """A trigger that is gone, or out of force, is nobody's reason to speak."""
    assert ruled(strategy, DUE_MS, moment=replace(CLOSED, trigger="gone")) is RETIRED
    bought = Moment("bought-thrice", "", 0, 0, 0)
    last_ms = ms("2027-01-01T00:00:00+00:00")
    found = [ruled(strategy, at, "full", replace(bought, base_ms=at)).ruled for at in (last_ms - 1, last_ms)]
    assert found == [Ruled.SAY, Ruled.RETIRED]


def test_the_strategy_in_force_says_when(strategy: Strategy, tmp_path: Path) -> None:
    """A moment that was armed under another wait is due by the one of now."""
    text = (write_triggers(tmp_path) / "triggers.yaml").read_text(encoding="utf-8").replace('"10:00"', '"11:00"')
    later = triggered_by(tmp_path, text)
    assert ruled(later, DUE_MS, worst_score=9).again_ms == DUE_MS + HOUR_MS


def test_where_nobody_knows_the_customers_clock_it_waits_until_it_is_too_late(tmp_path: Path) -> None:
    """A zone that is none leaves the time of day unknown; that may be mended in time."""
    text = (write_triggers(tmp_path) / "triggers.yaml").read_text(encoding="utf-8")
    zone = "time_zone: {field: past.tier, default: Europe/Berlin}\n"
    fields = edited(
        "fields", "values: [basic, silver, gold, platinum]\n    purpose: personalization", "purpose: service"
    )
    lost = triggered_by(tmp_path, text, time_zone=zone, fields=fields)
    early = ruled(lost, DUE_MS, worst_score=9, tier="Nowhere/Land")
    assert (early.ruled, early.again_ms) == (Ruled.EARLY, DUE_MS + NO_CLOCK_AGAIN_MS)
    assert ruled(lost, DUE_MS, worst_score=9, tier="Europe/Berlin").ruled is Ruled.SAY
    assert ruled(lost, DUE_MS + 3 * DAY_MS, worst_score=9, tier="Nowhere/Land").ruled is Ruled.EXPIRED


# ----------------------------------------------------------------------------------------------- the customer's clock


def clock(zone: str) -> Clock:
    """Return the clock of customers who live in a zone."""
    found = Clock.of(ContextSchema.of((), clock_fields(), TimeZone("", zone)))
    assert found
    return found


def when(wait: Wait, base: str, zone: str = "Europe/Berlin") -> str:
    """Return when it is due, as the clock there shows it."""
    at_ms = due(wait, ms(base), clock(zone), ())
    assert at_ms is not None
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize(
    ("wait", "base", "zone", "wanted"),
    [
        (Wait(HOUR_MS), "2026-06-01T23:30:00+02:00", "Europe/Berlin", "2026-06-02T00:30:00+02:00"),
        (Wait(0, 600), "2026-06-01T10:00:00+02:00", "Europe/Berlin", "2026-06-01T10:00:00+02:00"),
        (Wait(0, 600), "2026-06-01T10:00:01+02:00", "Europe/Berlin", "2026-06-02T10:00:00+02:00"),
        (Wait(DAY_MS, 600), "2026-06-01T23:59:59+02:00", "Europe/Berlin", "2026-06-02T10:00:00+02:00"),
        (Wait(DAY_MS, 600), "2026-06-02T00:00:00+02:00", "Europe/Berlin", "2026-06-03T10:00:00+02:00"),
        (Wait(DAY_MS, 600), "2026-06-02T00:00:00+02:00", "America/New_York", "2026-06-02T10:00:00-04:00"),
        (Wait(-42 * DAY_MS, 510), "2026-07-13T12:00:00+02:00", "Europe/Berlin", "2026-06-01T08:30:00+02:00"),
        (Wait(DAY_MS, 600), "2026-03-28T12:00:00+01:00", "Europe/Berlin", "2026-03-29T10:00:00+02:00"),
        (Wait(DAY_MS, 150), "2026-03-28T12:00:00+01:00", "Europe/Berlin", "2026-03-29T03:30:00+02:00"),
        (Wait(DAY_MS, 150), "2026-10-24T12:00:00+02:00", "Europe/Berlin", "2026-10-25T02:30:00+02:00"),
        (Wait(7 * DAY_MS, 0), "2026-10-20T12:00:00+02:00", "Europe/Berlin", "2026-10-27T00:00:00+01:00"),
    ],
)
def test_a_time_of_day_is_that_of_the_customers_calendar(wait: Wait, base: str, zone: str, wanted: str) -> None:
    """Days are counted by the calendar; a minute that the clock skips comes an hour later, of two the first counts."""
    assert when(wait, base, zone) == wanted


@settings(max_examples=cases(300, 50_000), deadline=None)
@given(
    zone=st.sampled_from(sorted(zone_names())),
    at=st.datetimes(datetime(2000, 1, 2), datetime(2037, 1, 1)),  # noqa: DTZ001 - made aware below
    days=st.integers(-60, 60),
    minute=st.one_of(st.none(), st.integers(0, 1439)),
)
def test_nothing_is_due_before_it_is_looked_at(zone: str, at: datetime, days: int, minute: int | None) -> None:
    """Wherever the customer is: the exact moment is never before the earliest, and at most two days and a bit after."""
    wait, base_ms = Wait(days * DAY_MS, minute), int(at.replace(tzinfo=UTC).timestamp() * 1000)
    due_ms = due(wait, base_ms, clock(zone), ())
    assert due_ms is not None
    assert 0 <= due_ms - base_ms - wait.earliest_ms <= 2 * DAY_MS + 4 * HOUR_MS
    if minute is not None and days >= 0:
        assert due_ms >= base_ms


def test_an_exact_span_needs_no_clock() -> None:
    """Where no time of day is written, it is the same everywhere, and known of everybody."""
    assert due(Wait(HOUR_MS), 7, None, ()) == HOUR_MS + 7
    assert due(Wait(0, 600), 7, None, ()) is None


def test_a_day_is_the_customers(strategy: Strategy) -> None:
    """What was closed an hour after midnight there is of that day, though it is yesterday elsewhere."""
    here = timedelta(hours=9).seconds * 1000
    closed_ms = ms("2026-06-02T01:00:00+02:00")
    early = ruled(strategy, closed_ms + here, moment=replace(CLOSED, base_ms=closed_ms), worst_score=9)
    assert (early.ruled, early.due_ms) == (Ruled.EARLY, ms("2026-06-03T10:00:00+02:00"))
