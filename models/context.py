"""What a strategy says about a customer's context: events, fields, and how events fold into fields.

Serving and training read the same declarations, so a feature means the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from zlib import crc32

Scalar = bool | int | float | str | tuple[str, ...]
"""A value of a field or attribute: timestamps are whole milliseconds since 1970 in UTC."""


class ValueType(StrEnum):
    """The type of a field or attribute."""

    BOOL = "bool"
    INT = "int"
    DOUBLE = "double"
    STRING = "string"
    TIMESTAMP = "timestamp"
    STRINGS = "strings"


class Tense(StrEnum):
    """Whether a field says what the customer did, is doing, or is likely to do."""

    PAST = "past"
    PRESENT = "present"
    PREDICTED = "predicted"


class Purpose(StrEnum):
    """What a customer must have agreed to before a field may be read."""

    SERVICE = "service"
    PERSONALIZATION = "personalization"
    PROFILING = "profiling"

    @property
    def group(self) -> str:
        """The letter under which the store keeps the fields of this purpose together."""
        return {"service": "s", "personalization": "p", "profiling": "f"}[self.value]


class Source(StrEnum):
    """Where the value of a field comes from."""

    EVENTS = "events"
    REQUEST = "request"
    CLOCK = "clock"
    SUPPLY = "supply"
    MODEL = "model"
    MEMORY = "memory"


class Told(StrEnum):
    """Whether words may name what is known: customers expect it; or it may steer decisions and is never said."""

    EXPECTED = "expected"
    INFERRED = "inferred"
    SENSITIVE = "sensitive"


class Audience(StrEnum):
    """To whom it is explained that a field was looked at, and what it was: each is told what those before it are."""

    CUSTOMER = "customer"
    AGENT = "agent"
    AUDITOR = "auditor"


class FoldKind(StrEnum):
    """How events become the value of a field."""

    LAST = "last"
    FIRST = "first"
    COUNT = "count"
    SUM = "sum"
    MIN = "min"
    MAX = "max"
    OPEN = "open"
    DISTINCT = "distinct"
    RECENT = "recent"
    WINDOW_COUNT = "window_count"
    WINDOW_SUM = "window_sum"
    RATE = "rate"
    DECAY = "decay"
    SINCE = "since"
    MODEL = "model"
    """What a model wrote; no strategy declares it as a fold of events: `source: model` says it."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One typed attribute of an event, or the bounds of a request field."""

    name: str
    type: ValueType
    optional: bool = False
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()


class CustomerData(StrEnum):
    """The kinds of customer data: what customers tell us, what we hold of them, how we perform for them."""

    TOLD = "told"
    HELD = "held"
    PERFORMED = "performed"


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event that a customer can have.

    `stage` is the part of the customer's journey that it belongs to, and `data` the kind of customer data that it is;
    they decide nothing, and are unset where the documents do not say.
    """

    id: str
    says: str
    attributes: tuple[Attribute, ...]
    stage: str = ""
    data: CustomerData | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """How one event type (for open sets: two) folds into one field.

    `where` restricts to events whose attributes equal these values. `attribute` is the attribute that is folded,
    unset for counts, windows of counts, rates and times. `window_ms` and `half_life_ms` are milliseconds, and so is
    `per_ms`, the unit of time of a rate. `keep` bounds the number of remembered items of the kinds that remember items.
    """

    kind: FoldKind
    event: str
    attribute: str | None = None
    where: tuple[tuple[str, Scalar], ...] = ()
    closed_by: str | None = None
    closed_key: str | None = None
    window_ms: int = 0
    half_life_ms: int = 0
    keep: int = 64
    per_ms: int = 0


@dataclass(frozen=True, slots=True)
class Supplied:
    """Which item a field counts, and where: at the fixed `place`, or at the one that the field `place_from` names."""

    item: str
    place: str
    place_from: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the context. `fold` is unset for fields that the store does not keep for a customer; then
    `given_by` says who gives them.

    `max_age_ms` is the age beyond which the value is unknown; unset means that it never grows stale.
    `bounds` checks values that come with a request and names the categories of text. `supplied` says what a field of
    the supply counts. `told` says whether words may name the value; what models write is inferred. `told_to` is the
    audience that is written; without one it follows from what the field is (`audience`). `known_as` is what customers
    are told it is, such as "your open tickets"; empty for what it `says`.
    """

    id: str
    type: ValueType
    purpose: Purpose
    says: str
    fold: Fold | None
    max_age_ms: int | None
    bounds: Attribute
    key: int
    given_by: Source = Source.REQUEST
    supplied: Supplied | None = None
    told: Told = Told.EXPECTED
    told_to: Audience | None = None
    known_as: str = ""

    @property
    def audience(self) -> Audience:
        """To whom explanations tell the field: what is sensitive to auditors, what is inferred or a stock to agents."""
        if self.told_to is not None:
            return self.told_to
        if self.told is Told.SENSITIVE:
            return Audience.AUDITOR
        inferred = self.told is Told.INFERRED or self.source is Source.MODEL
        return Audience.AGENT if inferred or self.supplied is not None else Audience.CUSTOMER

    @property
    def source(self) -> Source:
        """Where the value comes from."""
        if self.fold is None:
            return self.given_by
        return Source.MODEL if self.fold.kind is FoldKind.MODEL else Source.EVENTS

    @property
    def tense(self) -> Tense:
        """Past, present or predicted: the part of the id before the dot."""
        return Tense(self.id.partition(".")[0])


@dataclass(frozen=True, slots=True)
class TimeZone:
    """Whose clock tells hour and weekday: the zone that the field `field` names, else `default`; either may be empty.

    Zones are IANA names, such as Europe/Berlin.
    """

    field: str
    default: str


@dataclass(frozen=True, slots=True)
class ContextSchema:
    """All events and fields of a strategy. A field's position in `fields` is its index in a snapshot.

    With a `time_zone` the fields of the clock are among them; models/clock.py tells their values. `stages` are those of
    the customer's journey, in their order.
    """

    events: Mapping[str, EventType]
    fields: tuple[Field, ...]
    index: Mapping[str, int] = field(default_factory=dict)
    time_zone: TimeZone | None = None
    stages: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        events: tuple[EventType, ...],
        fields: tuple[Field, ...],
        time_zone: TimeZone | None = None,
        stages: tuple[str, ...] = (),
    ) -> ContextSchema:
        """Index events and fields by id."""
        return cls({e.id: e for e in events}, fields, {f.id: i for i, f in enumerate(fields)}, time_zone, stages)


def field_key(field_id: str) -> int:
    """Return the 16-bit key under which the store keeps a field; strategies with two equal keys are refused."""
    return crc32(field_id.encode()) & 0xFFFF
