"""What is recorded about a customer besides decisions: events to fold, consent, outcomes. Frozen values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from msgspec import Struct

from models.context import Purpose
from models.folds import Operation
from service.core.triggers import NO_CHANGES, Change

SAID_BYTES = 2
"""How long the digest of what an event says is."""


@dataclass(frozen=True, slots=True)
class EventToFold:
    """One event of one customer, ready to be folded; an event id is folded once a customer.

    `said` is a digest, of 2 bytes, of all that was sent, by which another event under the same id is known; empty for
    one that is not to be compared. `type` is what those hear of it who listen. `changes` is what it arms
    and cancels.
    """

    event_id: str
    occurred_ms: int
    operations: tuple[Operation, ...]
    said: bytes = b""
    type: str = ""
    changes: tuple[Change, ...] = NO_CHANGES


class Happened(Struct, frozen=True):
    """An event of one id as it is kept for the journey: its type, the purpose that lets it be told, when it happened
    and when it arrived (ms).
    """

    type: str
    purpose: Purpose
    at_ms: int
    arrived_ms: int


class EventFate(IntEnum):
    """What became of an event in the store."""

    REPEATED = 0
    STORED = 1
    ERASED = 2
    CONFLICT = 3


class ConsentRecord(Struct, frozen=True, array_like=True):
    """What a customer agreed to: the level, the channels for contact unasked, when (ms) and where.

    `given_ms` of one that is to be set is 0 where it is given now, by the store's clock. `arrived_ms` is when the store
    took it in; 0 before that. `origin` is the host that told it.
    """

    level: str
    channels: tuple[str, ...]
    given_ms: int
    source: str
    arrived_ms: int = 0
    origin: str = ""


class Agreed(Struct, frozen=True):
    """The consent that holds, unset when none can be read, and the changes that led to it, the oldest first."""

    consent: ConsentRecord | None
    changes: tuple[ConsentRecord, ...] = ()


class OutcomeRecord(Struct, frozen=True):
    """What came of one action of one decision. `kind` and `amount` as in the public contract.

    `at_ms` is unset when it happened now: repeating it without a time is then the same outcome.
    """

    decision_id: str
    action: str
    kind: int
    at_ms: int | None
    amount: float


class OutcomeStatus(IntEnum):
    """What became of an outcome; the numbers are those of the public contract."""

    STORED = 1
    REPEATED = 2
    UNKNOWN_DECISION = 4
    CONFLICT = 5


class Came(Struct, frozen=True):
    """What became of an outcome, and of its decision: the customer that it was made for, by which version of a
    strategy (empty where that cannot be read), and whether it reserved uses of caps for the action.

    Empty where nothing was recorded.
    """

    status: OutcomeStatus
    customer: str = ""
    strategy: str = ""
    reserved: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """One person: the id that everything is decided under, and the aliases with the moments (ms) of their links."""

    id: str
    aliases: tuple[tuple[str, int], ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """All ids of the person, the one that is decided under first."""
        return (self.id, *(alias for alias, _ in self.aliases))
