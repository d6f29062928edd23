"""What the edge needs of moments that triggers make due, as small protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from service.core.due import Lent, Name, Sendable, State, Waiting


class Moments(Protocol):
    """Keeps moments of triggers."""

    async def end(self, name: Name, loan: str, how: str, deadline_s: float) -> bool:
        """End a moment that is lent; False where the loan holds no more."""
        ...

    async def later(self, name: Name, loan: str, at_ms: int, deadline_s: float, *, anew: bool) -> bool:
        """Give a moment back until later; False where the loan holds no more."""
        ...

    async def give_back(self, name: Name, loan: str, at_ms: int, deadline_s: float) -> bool:
        """Give back what was lent and never sent, as if it had not been lent."""
        ...

    async def held(self, moments: Sequence[Lent], deadline_s: float) -> tuple[Lent, ...]:
        """Return those that are still lent as they say, in time or not."""
        ...

    async def known(self, customer: str, trigger: str, key: str, deadline_s: float) -> tuple[State, State]:
        """Return what is kept of a trigger and key of one id, and of the trigger under the key of the id as a whole."""
        ...

    async def told(self, customer: str, deadline_s: float | None) -> tuple[tuple[str, str, State], ...]:
        """Return all that is kept under one id: trigger, key and what is known."""
        ...

    async def dead(self, channel: str, most: int, deadline_s: float, *, customer: str) -> tuple[Waiting, ...]:
        """Return moments on a channel that no consumer finished; only of one id, where it is named."""
        ...

    async def release(self, name: Name, deadline_s: float, *, give_up: bool) -> bool:
        """Let a moment that no consumer finished be due again, or give it up; False where it is none of these."""
        ...


class Triggering(Protocol):
    """Sends moments of triggers that are due."""

    def due(self, channel: str, most: int, deadline_s: float) -> AsyncIterator[tuple[Name, ...]]:
        """Yield moments that are due on a channel, some at a time."""
        ...

    async def lend(self, names: Sequence[Name], lease_s: float, deadline_s: float) -> tuple[Lent, ...]:
        """Lend moments, those that are still due and not lent to anybody else."""
        ...

    async def sendable(self, lent: Lent, lease_s: float, deadline_s: float) -> Sendable | None:
        """Decide a moment and note that it is sent; None where nothing is to be sent, or not now."""
        ...
