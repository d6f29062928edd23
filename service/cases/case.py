"""A case as plain frozen values: who the customer is, what went before, what is asked, and what should come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.context import Scalar
from service.core.memory import NOTHING_OFF, Switched
from service.core.rules import Answered, Selector

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody that several cases are about: the consent, where contact is permitted, and facts by field index."""

    id: str
    level: str
    permits: tuple[str, ...]
    facts: Mapping[int, Scalar]


@dataclass(frozen=True, slots=True)
class Said:
    """What was said before: how long ago (ms), where, and whether it was shown and clicked.

    `then` holds the facts that were others when it was said; None was unknown. With `elsewhere` it was said to somebody
    else of the customer's household.
    """

    action: str
    ago_ms: int
    channel: str
    placement: str
    shown: bool = True
    clicked: bool = False
    then: Mapping[int, Scalar | None] = field(default_factory=dict)
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Replied:
    """How the customer answered something before, how long ago (ms); `how` is unset for a yes."""

    action: str
    how: Answered | None
    ago_ms: int


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of the customer, so long (ms) before now, with those of its attributes that matter."""

    event: str
    ago_ms: int
    attributes: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a case asks for.

    `gets` maps placements to an action, or to nothing as an empty text. `held_back` selects actions of which none may
    be had. `because` is the rule that must be the reason: of each that is held back, or else of the answers. `until_ms`
    is for how long (ms from now) that holds, and the answers hold all `words`.
    """

    gets: Mapping[str, str]
    held_back: Selector | None
    because: str
    until_ms: int | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One question to the strategy and the answer that is wanted; `says` says both in a sentence. Times are in ms.

    With a `trigger` nobody asks: by what `happened` it must be due, and is then for what is wanted; or, with `not_due`,
    it must not be.
    """

    says: str
    file: str
    line: int
    customer: Customer
    channel: str
    placements: tuple[str, ...]
    now_ms: int
    wanted: Wanted
    said: tuple[Said, ...] = ()
    replied: tuple[Replied, ...] = ()
    off: Switched = NOTHING_OFF
    happened: tuple[Happened, ...] = ()
    trigger: str = ""
    not_due: bool = False
