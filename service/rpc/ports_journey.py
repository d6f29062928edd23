"""What the edge needs to tell journeys and insight, as small protocols."""

from __future__ import annotations

from typing import Protocol

from service.core.insight import Insight
from service.core.records import Happened
from service.core.rights import KeptDecision, KeptOutcome


class Insighting(Protocol):
    """Counts what the strategy in force did. Raises StoreError when the store fails or is too slow."""

    @property
    def stamp(self) -> tuple[str, str, str]:
        """The strategy, the model and the challenger in force."""
        ...

    async def insight(self, since_ms: int, step_ms: int, deadline_s: float) -> Insight:
        """Return what there was since a moment, in steps of so many ms."""
        ...


class Back(Protocol):
    """Entries of a stream, and since which arrival (ms) these are all; 0 when there are no older ones."""

    @property
    def found(self) -> tuple[KeptDecision | KeptOutcome, ...]:
        """The entries, the newest first."""
        ...

    @property
    def whole_from_ms(self) -> int:
        """Since when they are all."""
        ...


class Journeys(Protocol):
    """Tells what happened to a customer, and finds customers."""

    async def happened(self, customer: str, person: str, letters: str, deadline_s: float) -> tuple[Happened, ...]:
        """Return the events of one id that the consent of now allows to be told."""
        ...

    async def decisions(self, customer: str, before_ms: int, most: int, deadline_s: float) -> Back:
        """Return the decisions about one id before a moment (0: up to now), the newest first."""
        ...

    async def outcomes(self, customer: str, before_ms: int, most: int, deadline_s: float) -> Back:
        """Return what came of the decisions about one id before a moment (0: up to now)."""
        ...

    async def ids_like(self, beginning: str, most: int, deadline_s: float) -> tuple[str, ...]:
        """Return the first ids that begin so."""
        ...

    async def is_kept(self, customer: str, deadline_s: float) -> bool:
        """Tell whether anything is kept under an id."""
        ...

    async def unlist(self, customer: str, deadline_s: float) -> None:
        """Find an id no more of which nothing is kept."""
        ...
