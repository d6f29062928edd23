"""What the edge needs from the rest of the service, as small protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.core.decision import Decision, Known, Request
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord, OutcomeStatus


class Decider(Protocol):
    """Answers what to say."""

    async def decide(self, request: Request, deadline_s: float) -> Decision:
        """Decide within `deadline_s` seconds; raise `AlreadyExists` when the key was used for another request."""
        ...


class Customers(Protocol):
    """Knows customers."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Read what the customer's consent allows."""
        ...


class Events(Protocol):
    """Takes events in."""

    async def fold(self, customer: str, events: Sequence[EventToFold], deadline_s: float) -> tuple[bool, ...]:
        """Fold events of one customer in order; True for each that was new, False for each that was repeated."""
        ...


class Consents(Protocol):
    """Keeps what customers agreed to."""

    async def set_consent(self, customer: str, consent: ConsentRecord, deadline_s: float) -> ConsentRecord:
        """Replace the consent; raise `ConsentOlder` when one given later is stored."""
        ...

    async def get_consent(self, customer: str, deadline_s: float) -> ConsentRecord | None:
        """Read the consent; None when none was ever set."""
        ...


class Outcomes(Protocol):
    """Keeps what came of decisions."""

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float) -> OutcomeStatus:
        """Record one outcome beside its decision."""
        ...


class Stores(Protocol):
    """What the store keeps, by concern. Everything here raises `StoreError` when the store fails."""

    @property
    def customers(self) -> Customers:
        """What is known of customers."""
        ...

    @property
    def events(self) -> Events:
        """What happened to them."""
        ...

    @property
    def consents(self) -> Consents:
        """What they agreed to."""
        ...

    @property
    def outcomes(self) -> Outcomes:
        """What came of decisions."""
        ...
