"""The strategy as plain frozen values, as the documents say it and before it is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from models.context import ContextSchema, Purpose, Scalar, ValueType
from models.values import RanksBy
from service.core.actionable import ACTIONABLE, Actionable
from service.core.exploration import Adaptive, Control, Exploration
from service.core.invariants import Invariant
from service.core.rules import Cap, CoolOff, Eligibility, Exemption, Guardrail, Kind, Promise, Weight
from service.core.triggers import Trigger


@dataclass(frozen=True, slots=True)
class Worded:
    """The words of one language (a BCP 47 tag in small letters): a text that may have slots, such as
    `{past.first_name}`, and what is said `otherwise`, where a slot cannot be filled; that is empty without slots.
    """

    language: str
    text: str
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Treatment:
    """An action in a channel's form, at one placement.

    `text` and `otherwise` are as in `Worded`, in the strategy's default language, or in the first that is written;
    `languages` holds the words of every language where they are written in several, that one included.
    """

    channel: str
    placement: str
    text: str
    otherwise: str = ""
    languages: tuple[Worded, ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """Which field tells the language that a customer prefers, and the language (BCP 47) of those who tell none."""

    field: str
    default: str


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
    attributes: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True)
class ActionAttribute:
    """A typed property of actions that conditions may compare with what is known of the customer, as `action.NAME`."""

    name: str
    type: ValueType
    says: str


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
    known. `explore` is the probability of exploration. `features` are the field ids that models see. `household` is the
    id of the field that names the customer's household, empty where there is none. `language` says in whose words
    things are said where texts are written in several languages. `exploration`, `control` and `adaptive` are set where
    the strategy declares more than the even share `explore`. `ranks_by` says what net values are made of. `invariants`
    are what is proven of it, and decide nothing; `actionable` is what may be told of as what would change an answer.
    `triggers` say what becomes due of itself, and when.
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
    attributes: tuple[ActionAttribute, ...] = ()
    cool_offs: tuple[CoolOff, ...] = ()
    promises: tuple[Promise, ...] = ()
    exemptions: tuple[Exemption, ...] = ()
    household: str = ""
    language: Language | None = None
    exploration: Exploration | None = None
    control: Control | None = None
    adaptive: Adaptive | None = None
    ranks_by: RanksBy = RanksBy.FORMULA
    invariants: tuple[Invariant, ...] = ()
    actionable: Actionable = ACTIONABLE
    triggers: tuple[Trigger, ...] = ()
