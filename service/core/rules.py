"""The rules of a strategy as plain frozen values: what they are about, when they hold, and what then follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What an action is: a greeting, an offer that sells, or a message that does not."""

    GREETING = "greeting"
    OFFER = "offer"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Valid:
    """When a rule is in force: from one moment on and before another (ms since 1970); None is no bound."""

    from_ms: int | None = None
    until_ms: int | None = None


ALWAYS = Valid()


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
    """A rule that forbids the selected actions while its condition holds, or while that cannot be known.

    `quiet` is set where the rule is a section of quiet hours: from which hour of the customer's day it forbids (0 to
    23), and the hour at which that ends (0 to 24, on the next day where it is not later); unset where it ends at no
    one hour.
    """

    id: str
    says: str
    forbid: Selector
    when: Condition
    instead: Selector | None = None
    owner: str = ""
    valid: Valid = ALWAYS
    quiet: tuple[int, int] | None = None


class Layer(StrEnum):
    """What a rule that permits is about: may they ever have it, does it fit now, is it right for them."""

    ELIGIBILITY = "eligibility"
    APPLICABILITY = "applicability"
    SUITABILITY = "suitability"


@dataclass(frozen=True, slots=True)
class Eligibility:
    """A rule of one layer that the selected actions need: they are permitted only while its condition is known to hold.

    While it is known not to hold, what it asks for `instead` is preferred.
    """

    id: str
    says: str
    permit: Selector
    when: Condition
    layer: Layer = Layer.ELIGIBILITY
    instead: Selector | None = None
    owner: str = ""
    valid: Valid = ALWAYS


class Per(StrEnum):
    """What contacts are counted for, apart from the customer; an action with several intents counts for each."""

    ACTION = "action"
    CHANNEL = "channel"
    PLACEMENT = "placement"
    GROUP = "group"
    INTENT = "intent"


class Counts(StrEnum):
    """What uses a cap up: what was decided, or of that only what was shown or clicked in the end."""

    DECIDED = "decided"
    SHOWN = "shown"
    CLICKED = "clicked"


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many of the selected actions per customer (and per `per`) within a rolling window of milliseconds.

    With `daily` it is the calendar day where the customer is, and `within_ms` is the longest that one lasts. Where not
    what was decided `counts`, a decision reserves a use for `hold_ms`, and gives it back unless that comes. With
    `household` all customers of a household count together.
    """

    id: str
    says: str
    count: Selector
    at_most: int
    within_ms: int
    per: tuple[Per, ...] = ()
    daily: bool = False
    counts: Counts = Counts.DECIDED
    hold_ms: int = 0
    household: bool = False
    instead: Selector | None = None
    owner: str = ""
    valid: Valid = ALWAYS


class Answered(StrEnum):
    """How a customer says no: to this, for now, or for good."""

    REFUSED = "refused"
    NOT_NOW = "not_now"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class CoolOff:
    """After such answers the selected actions rest: for the first duration (ms) after the first answer, for the next
    one after the next, and for the last one after all others; for good where there is none, which `permanent` says.

    `per` says what rests: the action that was answered, all of its group, all of its intents, or, where it is empty,
    everything that is selected. Answers older than `forget_ms` do not count any more.
    """

    id: str
    says: str
    about: Selector
    after: tuple[Answered, ...]
    durations_ms: tuple[int, ...]
    forget_ms: int
    per: tuple[Per, ...] = (Per.ACTION,)
    permanent: bool = False
    owner: str = ""
    valid: Valid = ALWAYS


@dataclass(frozen=True, slots=True)
class Promise:
    """A consistency rule: of the selected actions (of each `per`: group or intent) the one that was said is kept to, on
    all channels, for `for_ms`, until one of the `material` fields changes, or until it is taken or refused.
    """

    id: str
    says: str
    keep: Selector
    for_ms: int
    per: tuple[Per, ...]
    material: tuple[str, ...]
    owner: str = ""
    valid: Valid = ALWAYS


CONTACT_PERMISSION = "contact-permission"
"""What an exemption names to let actions through without permission to contact on a channel; no rule has this id."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """Actions to which the named rules do not apply, and no others: guardrails, permitting rules, caps, cool-offs by
    id, or `CONTACT_PERMISSION`. Consent to offers, supply and the switch hold for every action.
    """

    id: str
    says: str
    actions: Selector
    exempt_from: tuple[str, ...]
    owner: str = ""
    valid: Valid = ALWAYS


@dataclass(frozen=True, slots=True)
class Weight:
    """Multiplies the net value's revenue part of the selected actions while its condition is known to hold.

    That the weight is in force is a part of the condition.
    """

    id: str
    says: str
    boost: Selector
    factor: float
    when: Condition
    owner: str = ""
    valid: Valid = ALWAYS
