"""Doubts: units that were held for decisions of which nobody knew whether they were committed.

Once a decision is there, it is final: what it does not take is nobody's, and is freed. As long as it is not there it
may still come, from a command on its way or from a caller who repeats it: then the units wait for it until their hold
ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Protocol

from service.core.decision import Take
from service.core.supplies import Taken
from service.core.validity import Issued
from service.errors import StoreError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LOOK_WITHIN_S = 1.0
FORGET_AFTER_S = 600.0
MOST_DOUBTS = 10_000
LOOKED_AT_ONCE = 256


class Decisions(Protocol):
    """The decisions that were made. Raises StoreError when the store fails."""

    async def issued(self, decision_id: str, deadline_s: float) -> Issued | None:
        """Return what was said; None when there is no such decision."""
        ...


class Holds(Protocol):
    """The units that decisions hold. Raises StoreError when the store fails."""

    async def taken(self, decision_id: str, action: str, deadline_s: float | None) -> Taken | None:
        """Return what an action of a decision takes when it is said; None when it takes nothing."""
        ...

    async def give_back(self, take: Take, decision_id: str, deadline_s: float | None) -> bool:
        """Free what a decision's action holds."""
        ...


class Doubts:
    """Remembers doubtful units, at most those of 10,000 decisions, and frees them when they turn out to be nobody's."""

    def __init__(self, decisions: Decisions, holds: Holds) -> None:
        self._decisions = decisions
        self._holds = holds
        self._open: dict[str, tuple[frozenset[Take], float]] = {}

    def add(self, decision_id: str, takes: Collection[Take]) -> None:
        """Remember units that may be held for a decision that may have been committed."""
        before, _ = self._open.pop(decision_id, (frozenset[Take](), 0.0))
        self._open[decision_id] = (before.union(takes), asyncio.get_running_loop().time())
        if len(self._open) > MOST_DOUBTS:
            del self._open[next(iter(self._open))]

    async def keep_looking(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Free what has turned out to be nobody's; forget what has been in doubt for ten minutes."""
        oldest = asyncio.get_running_loop().time() - FORGET_AFTER_S
        self._open = {decision: doubt for decision, doubt in self._open.items() if doubt[1] > oldest}
        try:
            for decision_id, doubt in list(self._open.items())[:LOOKED_AT_ONCE]:
                settled = await self._is_settled(decision_id, doubt[0])
                self._open.pop(decision_id, None)
                if not settled:
                    self._open[decision_id] = doubt  # behind the others, who come first the next time
        except StoreError as error:
            log.info("doubtful units stay held for now: %s", type(error).__name__)

    async def _is_settled(self, decision_id: str, takes: frozenset[Take]) -> bool:
        issued = await self._decisions.issued(decision_id, LOOK_WITHIN_S)
        if issued is None:
            return False
        for take in takes:
            taken = take.action in issued.actions and await self._holds.taken(decision_id, take.action, LOOK_WITHIN_S)
            if not taken or taken.take != take:
                await self._holds.give_back(take, decision_id, LOOK_WITHIN_S)
        return True
