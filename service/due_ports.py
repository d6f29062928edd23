"""What sending moments that are due needs from the rest of the service, as small protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

from service.core.decision import Decision, Known, Request
from service.core.due import Lent, Name, State
from service.core.records import Person
from service.core.standing import Holds
from service.core.stock import Shelf, Stocks
from service.core.validity import Validity
from service.standing import Said
from service.telemetry.timeline import UNTIMED, Timeline


class Moments(Protocol):
    """The moments in the store. Every call raises StoreError when the store fails."""

    def due(self, channel: str, now_ms: int, most: int, deadline_s: float | None) -> AsyncIterator[tuple[Name, ...]]:
        """Yield moments that are due on a channel."""
        ...

    async def lend(
        self, names: Sequence[Name], lease_s: float, deadline_s: float | None
    ) -> tuple[tuple[Lent, ...], int]:
        """Lend moments; return those that are lent now, and how many nobody could finish."""
        ...

    async def sent(self, lent: Lent, decision_id: str, lease_s: float, deadline_s: float | None) -> Lent | None:
        """Note that a moment is sent now; None where it is not to be sent any more."""
        ...

    async def end(self, name: Name, loan: str, how: str, deadline_s: float | None) -> bool:
        """End a moment that is lent."""
        ...

    async def later(self, name: Name, loan: str, at_ms: int, deadline_s: float | None, *, anew: bool) -> bool:
        """Give a moment back until later."""
        ...

    async def known(self, customer: str, trigger: str, key: str, deadline_s: float | None) -> tuple[State, State]:
        """Return what is kept of a trigger and key of one id, and of the trigger under the key of the id as a whole."""
        ...


class Customers(Protocol):
    """Knows customers."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Return what the consent of the person behind a customer allows to be known."""
        ...


class Identities(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class Decider(Protocol):
    """Answers what to say."""

    async def decide(self, request: Request, deadline_s: float, line: Timeline = UNTIMED) -> Decision:
        """Decide within `deadline_s` seconds."""
        ...


class Validator(Protocol):
    """Says whether what was decided may still be said."""

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> Validity:
        """Judge a decision again; raise `UnknownDecision` when there is none."""
        ...


class StockBook(Protocol):
    """What is known of the supply."""

    @property
    def stocks(self) -> Stocks:
        """What was read last."""
        ...

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Read what is not listed yet, and return all that is known."""
        ...


class Standing(Protocol):
    """Takes back what was decided and not said."""

    async def recall(self, request: Request, deadline_s: float) -> Said | None:
        """Return what was decided under a key; None when nothing was."""
        ...

    async def take_back(self, holds: Holds, household: str, deadline_s: float) -> None:
        """Free what a decision holds."""
        ...
