"""Remembering: what a customer answered counts for the person from now on, on every channel."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from service.core.records import Came, OutcomeRecord, OutcomeStatus
from service.core.strategy import Strategy
from service.core.words import Words
from service.errors import CustomerErased

SEEN = frozenset({1, 2})
ANSWERED = frozenset({3, 4, 5, 6})
"""Kinds of outcomes of the public contract: SHOWN and CLICKED; ACCEPTED, REFUSED, NOT_NOW and NEVER."""
DECLINED = frozenset({4, 5, 6})
_KEPT = (OutcomeStatus.STORED, OutcomeStatus.REPEATED)


class Outcomes(Protocol):
    """Keeps what came of decisions. Raises StoreError when the store fails."""

    async def recorded(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> Came:
        """Record one outcome beside its decision, and return what became of that."""
        ...


class KeptWords(Protocol):
    """The words of earlier versions of the strategy. Raises StoreError when the store fails."""

    async def of(self, version: str, deadline_s: float | None) -> Words | None:
        """Return the words of a version; None where they are not kept."""
        ...


class MemoryStore(Protocol):
    """Keeps what a person was told and how they answered. Raises StoreError when the store fails."""

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
    Once the call has returned every later decision knows of it. What is shown or clicked is looked at where its
    decision reserved a use for it, whatever the strategy in force counts. A refusal is filed under the group and the
    intents that its action had when it was said: those of the version which decided it, for as long as its words are
    kept, else those that the action has now. An action that nobody knows is refused under its id alone.
    """

    def __init__(self, outcomes: Outcomes, memory: MemoryStore, strategy: Strategy, words: KeptWords) -> None:
        self._outcomes = outcomes
        self._memory = memory
        self._version = strategy.version
        self._words = words
        self._filed = {action.id: (action.group, action.intents) for action in strategy.actions}

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record one outcome beside its decision, and remember it with the person."""
        came = await self._outcomes.recorded(outcome, deadline_s)
        counts = outcome.kind in ANSWERED or (came.reserved and outcome.kind in SEEN)
        if counts and came.status in _KEPT:
            await self._remember(outcome, came, deadline_s)
        return came.status

    async def _remember(self, outcome: OutcomeRecord, came: Came, deadline_s: float | None) -> None:
        group, intents = self._filed.get(outcome.action, ("", ()))
        if outcome.kind in DECLINED and came.strategy not in ("", self._version):
            words = await self._words.of(came.strategy, deadline_s)
            if words is not None and (spoken := words.actions.get(outcome.action)) is not None:
                group, intents = group if spoken.group is None else spoken.group, spoken.intents
        told = outcome.decision_id, outcome.action, outcome.kind, outcome.at_ms
        with suppress(CustomerErased):
            await self._memory.remember(came.customer, *told, group, intents, deadline_s)
