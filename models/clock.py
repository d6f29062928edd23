"""Hour and weekday where the customer is: fields that every strategy with a `time_zone` has.

The zones are those of the package tzdata, never the machine's: what serving saw is then what training computes.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass
from datetime import datetime
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
        name = None if self._zone is None else values[self._zone]
        zone = self._default if name is None else self._zones.get(str(name))
        try:
            at = None if zone is None else datetime.fromtimestamp(now_ms // 1000, zone)
        except _CALENDAR_ENDS:
            at = None
        values[self._hour] = None if at is None else at.hour
        values[self._weekday] = None if at is None else at.isoweekday()


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
