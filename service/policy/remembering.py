"""Remembering: what a customer answered counts for the person from now on, on every channel."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from service.core.records import OutcomeRecord, OutcomeStatus
from service.core.rules import Counts
from service.core.strategy import Strategy
from service.errors import CustomerErased

SEEN = frozenset({1, 2})
ANSWERED = frozenset({3, 4, 5, 6})
"""Kinds of outcomes of the public contract: SHOWN and CLICKED; ACCEPTED, REFUSED, NOT_NOW and NEVER."""
_KEPT = (OutcomeStatus.STORED, OutcomeStatus.REPEATED)


class Outcomes(Protocol):
    """Keeps what came of decisions. Raises StoreError when the store fails."""

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record one outcome beside its decision."""
        ...


class MemoryStore(Protocol):
    """Keeps what a person was told and how they answered. Raises StoreError when the store fails."""

    async def whose(self, decision_id: str, deadline_s: float | None) -> str | None:
        """Return the customer that a decision was made for; None where there is no such decision (any more)."""
        ...

    async def remember(
        self,
        customer: str,
        decision_id: str,
        action: str,
        kind: int,
        at_ms: int | None,
        group: str,
        intents: tuple[str, ...],
        deadline_s: float | None,
    ) -> None:
        """Let an outcome count: again it changes nothing. Raises CustomerErased where nothing may be kept."""
        ...


class Remembering:
    """Outcomes that are remembered too: a no rests what was refused, a yes ends a promise, what was seen counts.

    The outcome is recorded first, and the memory follows; when that fails the call fails, and repeating it remembers.
    Once the call has returned every later decision knows of it. What is shown or clicked is only looked at while some
    cap of the strategy counts it; a refusal is filed under the group and the intents that its action has there.
    """

    def __init__(self, outcomes: Outcomes, memory: MemoryStore, strategy: Strategy) -> None:
        self._outcomes = outcomes
        self._memory = memory
        self._filed = {action.id: (action.group, action.intents) for action in strategy.actions}
        counted = any(cap.counts is not Counts.DECIDED for cap in strategy.caps)
        self._kinds = ANSWERED | SEEN if counted else ANSWERED

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record one outcome beside its decision, and remember it with the person."""
        status = await self._outcomes.record_outcome(outcome, deadline_s)
        if outcome.kind in self._kinds and status in _KEPT:
            await self._remember(outcome, deadline_s)
        return status

    async def _remember(self, outcome: OutcomeRecord, deadline_s: float | None) -> None:
        customer = await self._memory.whose(outcome.decision_id, deadline_s)
        if customer is None:  # erased meanwhile, with everything about the customer
            return
        told = outcome.decision_id, outcome.action, outcome.kind, outcome.at_ms
        filed = self._filed.get(outcome.action, ("", ()))
        with suppress(CustomerErased):
            await self._memory.remember(customer, *told, *filed, deadline_s)
