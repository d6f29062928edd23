"""Moments that are due, as consumers are given them, and how they end. Frozen values only.

What arms and cancels a moment is told by service/core/triggers.py; this is what becomes of it then.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from service.core.decision import Answer, Decision
from service.core.triggers import Arm, Begun, Cell, Moment, armed

DELIVERIES = 5
"""How often a moment is given out of which nobody says a word; after that it waits for somebody to look after it."""
PUT_OFF_AT_FIRST_MS = 5_000
PUT_OFF_AT_MOST_MS = 600_000


class Ended(StrEnum):
    """How a moment ended."""

    SAID = "said"
    """A consumer has said it."""
    SUPPRESSED = "suppressed"
    """Nothing might be said for it, and not later either."""
    GONE = "gone"
    """Its reason was gone: its condition did not hold, or it was cancelled under another id of the person."""
    LATE = "late"
    """Nobody could say it while it was good."""
    REFUSED = "refused"
    """The consumer would not say it."""


class State(Struct, frozen=True, omit_defaults=True, rename={
    "channel": "c", "begun": "b", "ended_ms": "x", "done_ms": "e", "times": "t", "within_ms": "w", "due_ms": "d",
    "how": "h", "given": "n", "failed": "f", "rounds": "r", "decision": "i", "sent": "s", "dead": "y",
}):  # fmt: skip
    """What is kept of one trigger and key of a customer: what it comes to, and how far it got.

    `given` says how often it was given out without being finished, `failed` how often that was when a consumer said
    last that it failed, `rounds` how often it was put off to be decided anew, `sent` how often it was sent since it
    was armed or put off, `decision` by which decision last, `how` how it ended last, `dead` that nobody
    could finish it. Moments are milliseconds since 1970; 0 for none.
    """

    channel: str = ""
    begun: tuple[Begun, ...] = ()
    ended_ms: int = 0
    done_ms: int = 0
    times: int = 0
    within_ms: int = 0
    due_ms: int = 0
    how: str = ""
    given: int = 0
    failed: int = 0
    rounds: int = 0
    decision: str = ""
    sent: int = 0
    dead: bool = False

    @property
    def cell(self) -> Cell:
        """What its events come to."""
        return Cell(self.begun, self.ended_ms, self.done_ms)

    def moment_of(self, name: Name, of_all: Cell) -> Moment | None:
        """Return the moment that this is armed for, dead or not; None for none. `of_all` is what all keys came to."""
        arm = Arm(name.trigger, name.key, 0, 0, 0, self.times, self.within_ms)
        return armed(name.trigger, name.key, self.cell, arm, of_all) if self.begun else None


NOTHING = State()


class Name(Struct, frozen=True):
    """What a moment is known by: the id that its events came in under, its trigger and key, and its channel."""

    customer: str
    trigger: str
    key: str
    channel: str


class Lent(Struct, frozen=True):
    """A moment that is lent to one consumer until the loan ends, with what is kept of it."""

    name: Name
    loan: str
    state: State

    @property
    def run(self) -> str:
        """What its decision is called, so that one that is given out again is decided and counted once."""
        begun = self.state.begun[0]
        return f"{self.name.trigger}|{self.name.key}|{begun.at_ms}|{begun.base_ms}|{self.state.rounds}"


class Waiting(Struct, frozen=True):
    """A moment that nobody could finish, and since when (ms)."""

    name: Name
    since_ms: int
    state: State


class Sendable(Struct, frozen=True):
    """A moment that is sent now: what is to be said by which decision, when it was due (ms), and which try it is."""

    lent: Lent
    decision: Decision
    due_ms: int
    delivery: int


def put_off_ms(given: int) -> int:
    """Return how long (ms) a moment rests that failed when it was given out for the so-manieth time, from 1."""
    return min(PUT_OFF_AT_MOST_MS, PUT_OFF_AT_FIRST_MS << min(max(given, 1) - 1, 10))


def said_by(decision: Decision) -> tuple[Answer, ...]:
    """Return what a decision says."""
    return tuple(answer for answer in decision.answers if answer.action)


def ends_ms(decision: Decision) -> int | None:
    """Return when the first of what holds a decision back ends by itself (ms); None where only other facts end it."""
    ends = [answer.until_ms for answer in decision.answers if not answer.action and answer.until_ms is not None]
    return min(ends, default=None)
