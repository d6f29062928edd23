"""What the edge needs for operators and auditors, as small protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from service.core.audit import Audited, AuditPage, Who
from service.core.chain_walk import Found
from service.core.chained import Link
from service.core.control import Status, Switches


class Control(Protocol):
    """Answers operators of this process."""

    def status(self) -> Status:
        """Return what this process says of itself."""
        ...

    async def set_switch(
        self, action: str, details: tuple[str, str] | None, deadline_s: float, who: Who
    ) -> tuple[Switches, bool]:
        """Switch something off (with why and by whom) or on, in every process, and note who; return all, and whether it
        changed.
        """
        ...

    async def switches(self, deadline_s: float) -> Switches:
        """Return all that is switched off."""
        ...


class Audit(Protocol):
    """The record of who changed what."""

    def digest(self, customer: str) -> str:
        """Return the keyed digest that the record has of a customer who was erased; empty without a key."""
        ...

    async def note_erasure(self, customer: str, what: str, who: Who, deadline_s: float) -> None:
        """Note what becomes of an erasure."""
        ...

    async def page(self, after: str = "", deadline_s: float | None = None) -> AuditPage:
        """Return the next of the record after a place."""
        ...

    async def consents(self, customer: str, deadline_s: float | None = None) -> tuple[Audited, ...]:
        """Return how the consent of one id changed."""
        ...

    def consenting(self, deadline_s: float | None = None) -> AsyncIterator[str]:
        """Yield every id of which a consent is kept; one may come twice."""
        ...

    async def verify(self, anchor: Link | None = None, deadline_s: float | None = None) -> Found:
        """Follow the chain of the record, to a link that was noted elsewhere where there is one."""
        ...
