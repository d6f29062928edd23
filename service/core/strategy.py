"""The strategy as plain frozen values, as the documents say it and before it is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from models.context import ContextSchema, Purpose


class Kind(StrEnum):
    """What an action is: a greeting, an offer that sells, or a message that does not."""

    GREETING = "greeting"
    OFFER = "offer"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Treatment:
    """An action in a channel's form, at one placement."""

    channel: str
    placement: str
    text: str


@dataclass(frozen=True, slots=True)
class Consumes:
    """What an action takes when it is said: units of what the field `supply` counts.

    They are held for `hold_ms` milliseconds, and for good when the customer accepts. Below `throttle_below` units only
    a share of the customers is offered the action: what is left over that number.
    """

    supply: str
    units: int
    hold_ms: int
    throttle_below: int


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can be said.

    `value` is earned and `reward` is paid when the outcome happens, `cost` is paid whenever it is said, all in the
    strategy's currency. `propensity` is the prior probability of the outcome, used when no model knows the action.
    """

    index: int
    id: str
    kind: Kind
    intents: tuple[str, ...]
    group: str
    tags: tuple[str, ...]
    says: str
    treatments: tuple[Treatment, ...]
    value: float
    reward: float
    cost: float
    lever: float
    propensity: float
    consumes: Consumes | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """Which actions a rule is about: within a part any one fits, and every part that is not empty must fit."""

    ids: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    intents: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A CEL expression over the context and where it stands, for errors. An empty `source` means always."""

    source: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A rule that forbids the selected actions while its condition holds, or while that cannot be known."""

    id: str
    says: str
    forbid: Selector
    when: Condition
    instead: Selector | None = None


@dataclass(frozen=True, slots=True)
class Eligibility:
    """A rule that the selected actions need: they are permitted only while its condition is known to hold."""

    id: str
    says: str
    permit: Selector
    when: Condition


class Per(StrEnum):
    """What a cap is counted for, apart from the customer."""

    ACTION = "action"
    CHANNEL = "channel"
    PLACEMENT = "placement"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many of the selected actions per customer (and per `per`) within a rolling window of milliseconds."""

    id: str
    says: str
    count: Selector
    at_most: int
    within_ms: int
    per: tuple[Per, ...] = ()


@dataclass(frozen=True, slots=True)
class Weight:
    """Multiplies the net value's revenue part of the selected actions while its condition is known to hold."""

    id: str
    says: str
    boost: Selector
    factor: float
    when: Condition


class DemandKind(StrEnum):
    """How an event wants something."""

    VIEW = "view"
    CART = "cart"


@dataclass(frozen=True, slots=True)
class DemandRule:
    """An event that says that something is wanted.

    Item and place are fixed, or held by the attribute that `item_from` and `place_from` name; the place may be unknown.
    `units_from` names the attribute with the number of units; without it, it is one.
    """

    id: str
    says: str
    event: str
    kind: DemandKind
    item: str
    item_from: str
    place: str
    place_from: str
    units_from: str


@dataclass(frozen=True, slots=True)
class ConsentLevel:
    """A named set of purposes."""

    id: str
    says: str
    purposes: tuple[Purpose, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """Where things are said. `permission` is true where contact is unasked and so needs the customer's permission."""

    id: str
    placements: tuple[str, ...]
    permission: bool


@dataclass(frozen=True, slots=True)
class Strategy:
    """One immutable version of everything that the documents say.

    `version` is `name@` and the first 12 hexadecimal digits of the SHA-256 over all documents. The first consent
    level is the lowest and the one of unknown customers. `safe_greeting` is the action that is said when nothing is
    known. `explore` is the probability of exploration. `features` are the field ids that models see.
    """

    name: str
    version: str
    says: str
    currency: str
    schema: ContextSchema
    levels: tuple[ConsentLevel, ...]
    channels: tuple[Channel, ...]
    actions: tuple[Action, ...]
    guardrails: tuple[Guardrail, ...]
    eligibility: tuple[Eligibility, ...]
    caps: tuple[Cap, ...]
    weights: tuple[Weight, ...]
    safe_greeting: str
    explore: float
    features: tuple[str, ...]
    demand: tuple[DemandRule, ...] = ()
