"""Claims about the customer's clock: hour and weekday where the customer is, the same in serving and in history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.clock import HOUR, NO_CLOCK, WEEKDAY, Clock, clock_fields, zone_names, zone_of
from models.context import Attribute, ContextSchema, Field, Purpose, Scalar, Source, TimeZone, ValueType
from models.documents import DocumentsRefused
from models.features import FeatureRefused, FeatureSpace
from models.history import as_of
from models.schema import load_context
from tests.folding import DETERMINISTIC

ZONE = Field(
    "past.time_zone",
    ValueType.STRING,
    Purpose.PERSONALIZATION,
    "",
    None,
    None,
    Attribute("past.time_zone", ValueType.STRING),
    7,
)


def schema(default: str = "", field: str = "past.time_zone") -> ContextSchema:
    """Return a schema of the zone's field and the clock."""
    return ContextSchema.of((), (ZONE, *clock_fields()), TimeZone(field, default))


def told(zone: str | None, moment: str | int, default: str = "") -> tuple[Scalar | None, Scalar | None]:
    """Return hour and weekday at a moment for a customer whose zone is this."""
    at_ms = moment if isinstance(moment, int) else int(datetime.fromisoformat(moment).timestamp() * 1000)
    values: list[Scalar | None] = [zone, None, None]
    clock = Clock.of(schema(default))
    assert clock is not None
    clock.fill(values, at_ms)
    assert values[0] == zone
    return values[1], values[2]


KNOWN_TIMES = [
    ("UTC", "2026-11-22T00:00:00Z", 0, 7),
    ("UTC", "2026-11-21T23:59:59.999Z", 23, 6),
    ("Europe/Berlin", "2026-07-01T22:30:00Z", 0, 4),
    ("Europe/Berlin", "2026-12-01T22:30:00Z", 23, 2),
    # The clock springs from 2 to 3, and in autumn the hour from 2 to 3 comes twice.
    ("Europe/Berlin", "2026-03-29T00:59:59.999Z", 1, 7),
    ("Europe/Berlin", "2026-03-29T01:00:00Z", 3, 7),
    ("Europe/Berlin", "2026-10-25T00:30:00Z", 2, 7),
    ("Europe/Berlin", "2026-10-25T01:30:00Z", 2, 7),
    ("Europe/Berlin", "2026-10-25T02:00:00Z", 3, 7),
    ("America/New_York", "2026-11-22T03:00:00Z", 22, 6),
    # Half hours, a quarter of an hour, and a summer time of half an hour.
    ("Asia/Kolkata", "2026-11-22T18:29:59Z", 23, 7),
    ("Asia/Kolkata", "2026-11-22T18:30:00Z", 0, 1),
    ("Asia/Kathmandu", "2026-11-22T18:14:59Z", 23, 7),
    ("Asia/Kathmandu", "2026-11-22T18:15:00Z", 0, 1),
    ("Australia/Lord_Howe", "2026-01-01T12:59:59Z", 23, 4),
    ("Australia/Lord_Howe", "2026-01-01T13:00:00Z", 0, 5),
    ("Australia/Lord_Howe", "2026-07-01T13:29:59Z", 23, 3),
    ("Australia/Lord_Howe", "2026-07-01T13:30:00Z", 0, 4),
    # Either side of the date line, and a Friday that Samoa never had.
    ("Pacific/Kiritimati", "2026-11-22T10:00:00Z", 0, 1),
    ("Pacific/Pago_Pago", "2026-11-22T10:00:00Z", 23, 6),
    ("Pacific/Apia", "2011-12-30T09:59:59Z", 23, 4),
    ("Pacific/Apia", "2011-12-30T10:00:00Z", 0, 6),
    # Names that were given up still are names; before zones there were local times to the second.
    ("Asia/Calcutta", "2026-11-22T18:30:00Z", 0, 1),
    ("Africa/Monrovia", "1970-06-01T00:44:29Z", 23, 7),
    ("Africa/Monrovia", "1970-06-01T00:44:30Z", 0, 1),
]


@pytest.mark.parametrize(("zone", "moment", "hour", "weekday"), KNOWN_TIMES)
def test_the_clock_tells_what_stands_on_the_wall(zone: str, moment: str, hour: int, weekday: int) -> None:
    """Hour and weekday are those where the customer is, through summer time, odd offsets and the date line."""
    assert told(zone, moment) == (hour, weekday)


@DETERMINISTIC
@given(st.sampled_from(sorted(zone_names())), st.integers(0, 4_102_444_800_000))
def test_every_zone_tells_its_offset_from_utc(zone: str, at_ms: int) -> None:
    """In every zone and at every moment until 2100, the wall clock is UTC plus an offset of at most 16 hours."""
    hour, weekday = told(zone, at_ms)
    utc = datetime.fromtimestamp(at_ms / 1000, UTC)
    offset = utc.astimezone(zone_of(zone)).utcoffset()
    assert offset is not None
    assert abs(offset) <= timedelta(hours=16)
    local = utc.replace(tzinfo=None) + offset
    assert (hour, weekday) == (local.hour, local.isoweekday())


def test_what_is_not_known_of_the_zone_is_told_by_the_default() -> None:
    """Without a zone of their own, customers live by the default; without a default, hour and weekday are unknown."""
    assert told(None, "2026-12-01T11:00:00Z", "Asia/Tokyo") == (20, 2)
    assert told("Europe/Berlin", "2026-12-01T11:00:00Z", "Asia/Tokyo") == (12, 2)
    assert told(None, "2026-12-01T11:00:00Z") == (None, None)


ODD_NAMES = (
    "", " ", "Mars/Olympus", "europe/berlin", "Europe", "Europe/", "Europe/Berlin ", "../zones", "/etc/localtime",
    "localtime", "Factory", "zone.tab", "Europe/../Europe/Berlin", "posix/Europe/Berlin", "+02:00", "CET\x00", "\ud800",
    "x" * 10_000,
)  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_no_zone_is_unknown(name: str) -> None:
    """A customer in a zone that does not exist is somewhere: neither hour nor weekday is known, default or not."""
    assert told(name, "2026-12-01T11:00:00Z", "Asia/Tokyo") == (None, None)
    assert zone_of(name) is None


@pytest.mark.parametrize("at_ms", [253_402_300_799_999, 10**18, -(10**18), -62_135_596_800_000])
def test_moments_outside_the_calendar_are_unknown_not_errors(at_ms: int) -> None:
    """Where a zone carries a moment beyond the year 9999 or before the year 1, there is no hour."""
    east, west = "Pacific/Kiritimati", "Pacific/Pago_Pago"
    assert (None, None) in (told(east, at_ms), told(west, at_ms))


def test_zones_are_those_of_the_package_not_of_the_machine() -> None:
    """A zone is read from tzdata, so that another machine with other zone files tells the same."""
    berlin = zone_of("Europe/Berlin")
    assert berlin is not None
    assert berlin is not ZoneInfo("Europe/Berlin")
    assert berlin.key == "Europe/Berlin"


def test_a_strategy_without_a_time_zone_has_no_clock() -> None:
    """Without the section there are neither fields nor a clock, and nothing costs anything."""
    assert Clock.of(ContextSchema.of((), (ZONE,))) is None


# ---------------------------------------------------------------------------------------------------------- documents

CONTEXT = """\
events:
  - {id: moved, says: They moved., attributes: {zone: string, rooms: {type: int, optional: true}}}
fields:
  - {id: past.zone, says: Where., type: string, purpose: personalization, max_age: 90d,
     fold: {kind: last, event: moved, attribute: zone}}
  - {id: past.rooms, says: Rooms., type: int, purpose: service, fold: {kind: last, event: moved, attribute: rooms}}
  - {id: present.zone, says: Where now., type: string, purpose: service, source: request}
"""


def context(folder: Path, *more: str) -> ContextSchema:
    """Load the context with more sections, each in a file of its own."""
    for number, text in enumerate((CONTEXT, *more)):
        (folder / f"{number}.yaml").write_text(text)
    return load_context(folder)


def test_the_clock_stands_behind_the_declared_fields(tmp_path: Path) -> None:
    """With a time zone, hour and weekday are fields as others are: whole numbers within bounds, for service."""
    loaded = context(tmp_path, "time_zone: {field: past.zone, default: Europe/Berlin}\n")
    assert loaded.time_zone == TimeZone("past.zone", "Europe/Berlin")
    assert [field.id for field in loaded.fields][3:] == [HOUR, WEEKDAY]
    hour, weekday = loaded.fields[3:]
    assert (hour.type, hour.purpose, hour.source, hour.fold) == (ValueType.INT, Purpose.SERVICE, Source.CLOCK, None)
    assert [(field.bounds.low, field.bounds.high) for field in (hour, weekday)] == [(0, 23), (1, 7)]


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("time_zone: {}", "the time_zone has neither `field` nor `default`"),
        ("time_zone: UTC", "the time_zone is `UTC`; write `key: value` pairs"),
        ("time_zone: [UTC]", "the time_zone is a list; write `key: value` pairs"),
        ("time_zone: {default: Europe/Berln}", "no known IANA time zone; did you mean `Europe/Berlin`?"),
        ("time_zone: {default: +02:00}", "`default` names `+02:00`, which is no known IANA time zone"),
        ("time_zone: {default: 2}", "`default` is `2`, which YAML reads as a number"),
        ("time_zone: {field: past.zon}", "`field` names `past.zon`, which is no known field; did you mean `past.zone`"),
        ("time_zone: {field: past.rooms}", "`past.rooms` is an int; name a field of type string"),
        ("time_zone: {field: present.hour}", "no known field"),
        ("time_zone: {zone: UTC, default: UTC}", "a time_zone has no key `zone`; known are `field`, `default`"),
    ],
)
def test_a_bad_time_zone_is_refused_in_words(section: str, why: str, tmp_path: Path) -> None:
    """Whoever writes the section wrongly reads what is wrong and what would be right, in one line."""
    with pytest.raises(DocumentsRefused) as caught:
        context(tmp_path, section + "\n")
    (problem,) = caught.value.problems
    assert why in str(problem)
    assert str(problem).startswith("1.yaml:1: ")


def test_the_section_stands_once(tmp_path: Path) -> None:
    """Two documents cannot both say whose clock counts."""
    with pytest.raises(DocumentsRefused, match=r"2.yaml:1: the section `time_zone` stands in 1.yaml:1 already"):
        context(tmp_path, "time_zone: {default: UTC}\n", "time_zone: {default: UTC}\n")


def test_the_fields_of_the_clock_cannot_be_declared(tmp_path: Path) -> None:
    """Who declares the hour as a field of their own is told that it is built in."""
    own = "fields:\n  - {id: present.hour, says: H., type: int, purpose: service, source: request}\n"
    with pytest.raises(DocumentsRefused) as caught:
        context(tmp_path, own)
    assert [str(problem) for problem in caught.value.problems] == [
        "1.yaml:2: `present.hour` is built in, by the section `time_zone`; remove it here"
    ]


# ----------------------------------------------------------------------------------------------------------- training


class Moved:
    """An event of the context above."""

    type = "moved"

    def __init__(self, number: int, customer: str, at_ms: int, zone: str) -> None:
        self.id, self.customer, self.at_ms, self.attributes = str(number), customer, at_ms, {"zone": zone}


def test_history_tells_the_hour_where_the_customer_then_was(tmp_path: Path) -> None:
    """Before, between and long after two moves, the hour of a past moment is that of the zone known then."""
    loaded = context(tmp_path, "time_zone: {field: past.zone, default: UTC}\n")
    noon = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp() * 1000)
    day = 86_400_000
    events = [Moved(1, "a", noon, "Asia/Tokyo"), Moved(2, "a", noon + day, "Nowhere"), Moved(3, "b", 0, "Asia/Tokyo")]
    moments = [("a", noon), ("a", noon + 1), ("a", noon + 2 * day), ("a", noon + 92 * day)]
    found = as_of(loaded, [HOUR], events, moments)
    assert [values[3] for values in found] == [12, 21, None, 12]
    assert all(value is None for values in found for place, value in enumerate(values) if place != 3)


def test_history_takes_the_zone_that_came_with_the_request(tmp_path: Path) -> None:
    """Where the zone comes with requests, training sees the hour of the zone that came with each."""
    loaded = context(tmp_path, "time_zone: {field: present.zone}\n")
    noon = int(datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp() * 1000)
    given = [{2: "Asia/Tokyo"}, {}, {2: "America/New_York"}]
    found = as_of(loaded, [HOUR, WEEKDAY], [], [("a", noon)] * 3, given)
    assert found == [(None, None, None, 21, 1), (None,) * 5, (None, None, None, 7, 1)]


def test_models_see_the_clock_and_a_change_of_it_is_another_feature(tmp_path: Path) -> None:
    """Hour and weekday are features like any number; another default is another meaning, so another hash."""
    berlin, tokyo = (FeatureSpace.of(schema(default), (HOUR, WEEKDAY)) for default in ("Europe/Berlin", "Asia/Tokyo"))
    assert berlin.columns == ("present.hour", "present.hour?", "present.weekday", "present.weekday?")
    elsewhere = FeatureSpace.of(schema("Europe/Berlin", ""), (HOUR, WEEKDAY))
    assert len({berlin.hash, tokyo.hash, elsewhere.hash}) == 3
    with pytest.raises(FeatureRefused, match="write the section `time_zone`"):
        FeatureSpace.of(ContextSchema.of((), (ZONE,)), (HOUR,))
    assert "time_zone" in NO_CLOCK


def test_the_example_of_the_guide_is_one(tmp_path: Path) -> None:
    """What docs/strategies.md shows of short and long memory and of the clock can be copied and loads as it is."""
    guide = (Path(__file__).parents[2] / "docs" / "strategies.md").read_text(encoding="utf-8")
    section = guide.partition("### Short memory beside long\n")[2]
    (tmp_path / "shown.yaml").write_text(section.partition("```yaml\n")[2].partition("```")[0])
    shown = load_context(tmp_path)
    assert {"present.interest_now", "past.interest", HOUR, WEEKDAY} <= shown.index.keys()
    assert {shown.fields[shown.index[name]].max_age_ms for name in ("past.interest", "present.views_10m")} == {
        None, 600_000,
    }  # fmt: skip


QUARTER_MS = 900_000
LIVELY = ("Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo", "UTC")
"""Zones that move their clocks at midnight, at two, by half an hour, or not at all."""


_any_second = st.integers(1_500_000_000, 1_800_000_000)
_full_hour = st.integers(416_667, 500_000).map(lambda hours: hours * 3_600)


@given(st.sampled_from(LIVELY), _any_second | _full_hour, st.integers(0, 23))
@example("UTC", 1_790_006_400, 16)
def test_the_next_hour_is_the_first_at_which_the_clock_turns_to_it(zone: str, now_s: int, hour: int) -> None:
    """Going on by quarters of an hour, no earlier one shows that hour for the first time, or passes over it."""
    clock = Clock.of(schema())
    assert clock is not None
    found = clock.next_hour([zone, None, None], hour, now_s * 1000)
    assert found is not None
    step = (now_s * 1000 // QUARTER_MS + 1) * QUARTER_MS
    while not _turns(zone, step, hour):
        step += QUARTER_MS
    assert found == step


def _turns(zone: str, at_ms: int, hour: int) -> bool:
    before, after = told(zone, at_ms - 1)[0], told(zone, at_ms)[0]
    assert isinstance(before, int)
    assert isinstance(after, int)
    passed = {(before + 1 + hours) % 24 for hours in range((after - before) % 24)} if after != (before - 1) % 24 else ()
    return hour in passed


def test_nobody_knows_the_next_hour_of_a_zone_that_is_none() -> None:
    """Where the customer's clock is unknown, or ends, so is the moment at which it shows anything."""
    clock = Clock.of(schema())
    assert clock is not None
    assert clock.next_hour(["Mars/Olympus", None, None], 8, 0) is None
    assert clock.next_hour([None, None, None], 8, 0) is None
    assert clock.next_hour(["UTC", None, None], 8, 253_402_300_799_999) is None
