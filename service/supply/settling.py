"""Settling: what the customer answered decides over the units that their decision holds."""

from __future__ import annotations

from typing import Protocol

from service.core.decision import Take
from service.core.records import OutcomeRecord, OutcomeStatus
from service.core.supplies import Taken, Wanting
from service.supply.demand import Tally

ACCEPTED, REFUSED, NEVER = 3, 4, 6
_SETTLING = frozenset({ACCEPTED, REFUSED, NEVER})


class Outcomes(Protocol):
    """Keeps what came of decisions. Raises StoreError when the store fails."""

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record one outcome beside its decision."""
        ...


class Leases(Protocol):
    """Knows what decisions hold. Raises StoreError when the store fails."""

    async def taken(self, decision_id: str, action: str, deadline_s: float | None) -> Taken | None:
        """Return what an action of a decision takes; None when it takes nothing."""
        ...

    async def accept(self, take: Take, decision_id: str, accepted_ms: int | None, deadline_s: float | None) -> bool:
        """Keep what is held, for it was accepted; False when that was known."""
        ...

    async def give_back(self, take: Take, decision_id: str, deadline_s: float | None) -> bool:
        """Free what is held; False when nothing is."""
        ...


class Settling:
    """Outcomes that settle leases too. An acceptance keeps the units for good, a refusal before it gives them back.

    The outcome is recorded first, and the units follow; when that fails the call fails, and repeating it settles them.
    Nothing is accepted before it was decided, whatever the caller's clock says.
    """

    def __init__(self, outcomes: Outcomes, leases: Leases, tally: Tally) -> None:
        self._outcomes = outcomes
        self._leases = leases
        self._tally = tally

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record one outcome beside its decision, and settle what the action holds."""
        status = await self._outcomes.record_outcome(outcome, deadline_s)
        if outcome.kind in _SETTLING and status in (OutcomeStatus.STORED, OutcomeStatus.REPEATED):
            await self._settle(outcome, deadline_s)
        return status

    async def _settle(self, outcome: OutcomeRecord, deadline_s: float | None) -> None:
        decision_id = outcome.decision_id
        taken = await self._leases.taken(decision_id, outcome.action, deadline_s)
        if taken is None:
            return
        take = taken.take
        if outcome.kind != ACCEPTED:
            await self._leases.give_back(take, decision_id, deadline_s)
            return
        at_ms = None if outcome.at_ms is None else max(outcome.at_ms, taken.at_ms)
        if await self._leases.accept(take, decision_id, at_ms, deadline_s):
            self._tally.add(take.item, take.place, Wanting.ACCEPTED, take.units)
