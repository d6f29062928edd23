"""Hour and weekday where the customer is: fields that every strategy with a `time_zone` has.

The zones are those of the package tzdata, never the machine's: what serving saw is then what training computes.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from models.context import Attribute, ContextSchema, Field, Purpose, Scalar, Source, ValueType, field_key

HOUR, WEEKDAY = "present.hour", "present.weekday"
BUILT_IN = (HOUR, WEEKDAY)
NO_CLOCK = (
    "is told by the customer's clock, and no document says which that is; write the section `time_zone`, such as"
    " time_zone: {field: past.time_zone, default: Europe/Berlin}"
)
"""What is wrong with the use of a field of the clock in a strategy without a time zone."""

_CALENDAR_ENDS = (OverflowError, ValueError, OSError)  # before the year 1, after 9999, or beyond the machine's reach


def clock_fields() -> tuple[Field, ...]:
    """Return the fields of the clock, in the order in which they stand at the end of a schema."""
    return (
        _field(HOUR, "The hour of the day where the customer is, 0 to 23.", 0, 23),
        _field(WEEKDAY, "The day of the week where the customer is, 1 (Monday) to 7 (Sunday).", 1, 7),
    )


def _field(name: str, says: str, low: int, high: int) -> Field:
    bounds = Attribute(name, ValueType.INT, False, low, high)
    key = field_key(name)  # never used: the store keeps no clock
    return Field(name, ValueType.INT, Purpose.SERVICE, says, None, None, bounds, key, Source.CLOCK)


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells hour and weekday from what else is known of a customer.

    The zone is the one that the zone's field names, the default while that is unknown. A name that is no zone leaves
    both unknown, for the customer is somewhere else than the default says.

    >>> from models.context import ContextSchema, TimeZone
    >>> schema = ContextSchema.of((), clock_fields(), TimeZone("", "Asia/Kathmandu"))
    >>> values = [None, None]
    >>> Clock.of(schema).fill(values, 1_790_000_000_000)
    >>> values
    [19, 1]
    """

    _hour: int
    _weekday: int
    _zone: int | None
    _zones: Mapping[str, ZoneInfo]
    _default: ZoneInfo | None
    _days: dict[ZoneInfo, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)
    """The day that was told last for each zone: most moments are in the same one as the moment before."""

    @classmethod
    def of(cls, schema: ContextSchema) -> Clock | None:
        """Return the clock of a schema, or None where it has no time zone.

        All zones are read here where customers may be anywhere, so that telling the time later reads no file.
        """
        named = schema.time_zone
        if named is None:
            return None
        zone = schema.index.get(named.field)
        zones = {} if zone is None else _zones()
        default = zone_of(named.default) if named.default else None
        return cls(schema.index[HOUR], schema.index[WEEKDAY], zone, zones, default)

    @property
    def tells(self) -> tuple[int, int]:
        """Return the indexes of the fields that it fills."""
        return self._hour, self._weekday

    @property
    def looks_at(self) -> tuple[int, ...]:
        """Return the indexes of the fields that it depends on."""
        return () if self._zone is None else (self._zone,)

    def fill(self, values: MutableSequence[Scalar | None], now_ms: int) -> None:
        """Write hour and weekday at a moment (ms) into values that follow the schema's fields; None is unknown."""
        at = self._told(values, now_ms)
        values[self._hour] = None if at is None else at.hour
        values[self._weekday] = None if at is None else at.isoweekday()

    def day(self, values: Sequence[Scalar | None], now_ms: int) -> tuple[int, int] | None:
        """Return when the day of a moment (ms) began there and when the next one begins (ms); None where it is unknown.

        A midnight that the clock skips is the moment at which it skips it; one that it tells twice is the first.
        """
        zone = self._where(values)
        if zone is None:
            return None
        told = self._days.get(zone)
        if told is None or not told[0] <= now_ms < told[1]:
            try:
                told = self._days[zone] = _day(datetime.fromtimestamp(now_ms // 1000, zone))
            except _CALENDAR_ENDS:
                return None
        return told

    def next_hour(self, values: Sequence[Scalar | None], hour: int, now_ms: int) -> int | None:
        """Return the next moment (ms) after one at which the clock shows that hour (0 to 23) there; None for unknown.

        An hour that the clock skips comes when it skips it; one that it shows twice is the first.
        """
        at = self._told(values, now_ms)
        if at is None:
            return None
        try:
            today = datetime(at.year, at.month, at.day, hour, tzinfo=at.tzinfo)
            days = (today + timedelta(days=days) for days in (0, 1, 2))
            return next((told for day in days if (told := _ms(day)) > now_ms), None)
        except _CALENDAR_ENDS:
            return None

    def minute_on(self, values: Sequence[Scalar | None], at_ms: int, days: int, minute: int) -> int | None:
        """Return when (ms) the clock there shows a minute of the day, so many days of the calendar after (or before)
        the day of a moment; None for unknown.

        A minute that the clock skips comes by as much later as it skips; one that it shows twice is the first.
        """
        at = self._told(values, at_ms)
        if at is None:
            return None
        try:
            day = datetime(at.year, at.month, at.day, minute // 60, minute % 60, tzinfo=at.tzinfo)
            return _ms(day + timedelta(days=days))
        except _CALENDAR_ENDS:
            return None

    def _told(self, values: Sequence[Scalar | None], now_ms: int) -> datetime | None:
        zone = self._where(values)
        try:
            return None if zone is None else datetime.fromtimestamp(now_ms // 1000, zone)
        except _CALENDAR_ENDS:
            return None

    def _where(self, values: Sequence[Scalar | None]) -> ZoneInfo | None:
        name = None if self._zone is None else values[self._zone]
        return self._default if name is None else self._zones.get(str(name))


def _day(at: datetime) -> tuple[int, int]:
    began = datetime(at.year, at.month, at.day, tzinfo=at.tzinfo)
    return _ms(began), _ms(began + timedelta(days=1))  # by the calendar, however long this day is


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return the name of every zone that there is."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()) - {"Factory"}


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo | None:
    """Return the zone of an IANA name, or None where there is no such zone."""
    if name not in zone_names():
        return None
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@lru_cache(maxsize=1)
def _zones() -> Mapping[str, ZoneInfo]:
    return {name: zone for name in sorted(zone_names()) if (zone := zone_of(name))}
