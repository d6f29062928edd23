"""Granting: units are held before a decision is committed, so that never more is said to be had than there is.

A customer and the supply stand in different slots of the store, so one call cannot do both. The units come first: a
decision that then dies leaves them held until the hold ends, and nobody was promised anything. The lease is named by
the decision and the action, so that a repeated decision holds them once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Protocol, TypeAlias

import msgspec

from service.core import plan
from service.core.decision import Commit, Committed, Counter, Known, Take
from service.core.stockroom import UNGRANTED, UNTRIED
from service.core.supplies import Wanting
from service.decide import DecisionStore
from service.errors import ConsentChanged, CustomerLinked, MemoryChanged, StoreError, TactError
from service.supply.book import Book
from service.supply.demand import Tally
from service.supply.doubts import Doubts

log = logging.getLogger(__name__)

_Left: TypeAlias = Callable[[], float]

# The counters of a candidate whose units are not held. They allow nothing, so the commit goes on to the next one.
_UNGRANTED, _UNTRIED = (Counter(UNGRANTED, 0, 0),), (Counter(UNTRIED, 0, 0),)


class Grants(Protocol):
    """Holds units. Raises StoreError when the store fails or is too slow."""

    async def grant(self, take: Take, decision_id: str, deadline_s: float) -> tuple[bool, int]:
        """Hold units for a decision's action; return whether they are held, and what is free then."""
        ...

    async def give_back(self, take: Take, decision_id: str, deadline_s: float | None) -> bool:
        """Free what a decision's action holds; False when it holds nothing."""
        ...


class Granting:
    """A decision store that commits only what the supply grants, and is otherwise the one that it is made around."""

    def __init__(self, decisions: DecisionStore, grants: Grants, book: Book, tally: Tally, doubts: Doubts) -> None:
        self._decisions = decisions
        self._grants = grants
        self._book = book
        self._tally = tally
        self._doubts = doubts

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self._decisions.decision_id(customer, idempotency_key, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Return what the consent allows to be known."""
        return await self._decisions.read(customer, decision_id, deadline_s, idempotency_key)

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Hold what the candidates take, commit those whose units are held, and free what was not taken after all.

        All of it together takes no longer than `deadline_s`.
        """
        if not commit.takes:
            return await self._decisions.commit(commit, deadline_s)
        now_s = asyncio.get_running_loop().time
        ends_s = now_s() + deadline_s

        def left_s() -> float:
            return ends_s - now_s()

        tried: dict[Take, bool] = {}
        try:
            await self._try(commit, tried, left_s)
        except StoreError:
            self._doubts.add(commit.decision_id, tried)
            raise
        held = [take for take, granted in tried.items() if granted]
        try:
            committed = await self._decisions.commit(_granted(commit, tried), left_s())
        except TactError as error:
            if _is_nobodys(commit, error):
                await self._free(held, commit.decision_id, left_s)
            else:
                self._doubts.add(commit.decision_id, held)
            raise
        taken = _taken(committed)
        await self._free([take for take in held if take not in taken], commit.decision_id, left_s)
        if not committed.repeated:
            for take in taken:
                self._tally.add(take.item, take.place, Wanting.DECISION, take.units)
        return committed

    async def _try(self, commit: Commit, tried: dict[Take, bool], left_s: _Left) -> None:
        """Hold the units of the first candidate of each placement, or of the next where that is not granted, and so on.

        Notes in `tried` whether each is held. What comes behind a candidate that can be said is not tried. When the
        store fails midway nothing is freed: another process may be committing the same decision with these units.
        """
        takes = {take.action: take for take in commit.takes}
        for ranked in commit.candidates:
            for action, _ in ranked:
                if (take := takes.get(action)) is None:
                    break
                if take not in tried and await self._grant(take, commit.decision_id, tried, left_s()):
                    break

    async def _grant(self, take: Take, decision_id: str, tried: dict[Take, bool], deadline_s: float) -> bool:
        tried[take] = False
        tried[take], free = await self._grants.grant(take, decision_id, deadline_s)
        self._book.note((take.item, take.place), free)
        return tried[take]

    async def _free(self, takes: Iterable[Take], decision_id: str, left_s: _Left) -> None:
        try:
            for take in takes:
                if await self._grants.give_back(take, decision_id, left_s()):
                    self._book.note_back((take.item, take.place), take.units)
        except StoreError as error:
            log.warning("units stay held until their hold ends: %s", type(error).__name__)


def _is_nobodys(commit: Commit, error: TactError) -> bool:
    """Tell whether a commit that failed leaves units that are certainly nobody's.

    They may be somebody's when it may have been committed all the same, and when the decision has an idempotency key:
    then another process may be committing it with these very units. Where they are not freed, their hold ends.
    """
    refused = isinstance(error, ConsentChanged | CustomerLinked | MemoryChanged) or not isinstance(error, StoreError)
    return refused and not commit.digest


def _granted(commit: Commit, tried: Mapping[Take, bool]) -> Commit:
    """Return the commit in which no candidate fits whose units are not held. Ranks stay as they are logged."""
    blocked = {take.action: _UNGRANTED if take in tried else _UNTRIED for take in commit.takes if not tried.get(take)}
    if not blocked:
        return commit
    candidates = tuple(
        tuple((action, blocked.get(action, counters)) for action, counters in ranked) for ranked in commit.candidates
    )
    return msgspec.structs.replace(commit, candidates=candidates)


def _taken(committed: Committed) -> Set[Take]:
    """Return what the committed decision takes: this one's plan, or that of whoever committed it first."""
    entry = plan.unpack(committed.entry)
    said = {
        placed.candidates[rank].action
        for placed, rank in zip(entry.placements, committed.chosen, strict=True)
        if 0 <= rank < len(placed.candidates)
    }
    return {take for take in entry.takes if take.action in said}
