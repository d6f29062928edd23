"""Households: what one customer is told counts for all of the household, where the strategy caps that.

A household and its customers stand in different slots of the store, so one call cannot do both. The use of the
household's caps is granted before a decision is committed, named by the decision and the action, and given back when
that was not said after all. Who dies in between leaves a use that counts until somebody sees it and asks whether the
decision was committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec.structs import replace

from service.core import plan
from service.core.decision import Commit, Committed, Counter, Known, Shared
from service.core.households import Granted, Naming, Use, Uses
from service.core.stockroom import UNTRIED
from service.core.strategy import Strategy
from service.core.validity import Issued
from service.decide import DecisionStore
from service.errors import CommitTooLate, ConsentChanged, CustomerLinked, MemoryChanged, StoreError, TactError

log = logging.getLogger(__name__)

RESOLVED_AT_ONCE = 16
DOUBT_MS = 60_000
"""How much sooner than decisions end a use of which nobody knows is taken for said: as far as clocks may be apart."""

_Left: TypeAlias = Callable[[], float]
_Candidate: TypeAlias = tuple[str, tuple[Counter, ...]]
_UNTRIED = (Counter(UNTRIED, 0, 0),)
_REFUSALS = ConsentChanged | CustomerLinked | MemoryChanged | CommitTooLate


class Households(Protocol):
    """What households were told. Raises StoreError when the store fails or is too slow."""

    asked_ms: int
    """For how long it can be asked what a decision said (ms)."""

    async def uses(self, household: str, deadline_s: float) -> Uses:
        """Return what a household was told."""
        ...

    async def grant(
        self,
        household: str,
        decision_id: str,
        now_ms: int,
        placements: Sequence[Sequence[_Candidate]],
        deadline_s: float,
    ) -> Granted:
        """Use the caps for the first candidate of each placement that fits, all at once."""
        ...

    async def settle(self, household: str, said: Sequence[Use], unsaid: Sequence[str], deadline_s: float) -> int:
        """Keep what was said, and give back what was not."""
        ...


class Decisions(Protocol):
    """The decisions that were made. Raises StoreError when the store fails."""

    async def issued(self, decision_id: str, deadline_s: float) -> Issued | None:
        """Return what was said; None when there is no such decision."""
        ...


class Householding:
    """A decision store that commits only what the household's caps allow, else the one that it is made around."""

    def __init__(self, decisions: DecisionStore, households: Households, issued: Decisions, strategy: Strategy) -> None:
        self._decisions = decisions
        self._households = households
        self._issued = issued
        self._naming = Naming(strategy)

    @classmethod
    def around(
        cls, decisions: DecisionStore, households: Households, issued: Decisions, strategy: Strategy
    ) -> DecisionStore:
        """Stand around a store of decisions where a cap counts by household; elsewhere they go straight to it."""
        counting = any(cap.household for cap in strategy.caps)
        return cls(decisions, households, issued, strategy) if counting else decisions

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self._decisions.decision_id(customer, idempotency_key, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Return what the consent allows to be known, with the uses of the household's caps among the counters."""
        left_s = _left(deadline_s)
        known = await self._decisions.read(customer, decision_id, deadline_s, idempotency_key)
        if known.decided is not None or known.erased or not (household := self._naming.household(known)):
            return known
        uses = await self._uses(household, known.now_ms, left_s)
        return replace(known, counters=_either(known.counters, uses.times)) if uses.times else known

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Use the household's caps, commit what they allow, and give back what was not said after all.

        All of it together takes no longer than `deadline_s`.
        """
        if commit.shared is None:
            return await self._decisions.commit(commit, deadline_s)
        left_s, shared = _left(deadline_s), commit.shared
        wanted = _wanted(commit, shared)
        granted = await self._households.grant(shared.household, commit.decision_id, commit.now_ms, wanted, left_s())
        uses = _uses_of(commit, wanted, granted)
        try:
            committed = await self._decisions.commit(_allowed(commit, wanted, granted), left_s())
        except TactError as error:
            if _is_nobodys(commit, error):
                await self._settle(shared.household, (), [use.name for use in uses.values()], left_s)
            raise
        said = _said(commit, committed)
        # Of a decision that another process committed, that one says what was said.
        kept = [] if committed.repeated else [use for action, use in uses.items() if action in said]
        back = [use.name for action, use in uses.items() if action not in said]
        await self._settle(shared.household, kept, back, left_s)
        return committed

    async def _settle(self, household: str, said: Sequence[Use], unsaid: Sequence[str], left_s: _Left) -> None:
        if not said and not unsaid:
            return
        try:
            await self._households.settle(household, said, unsaid, left_s())
        except StoreError as error:  # whoever reads the household after a minute asks what became of them
            log.warning("uses of a household are not settled yet: %s", type(error).__name__)

    async def _uses(self, household: str, now_ms: int, left_s: _Left) -> Uses:
        """Return what a household was told; what nobody settled in time is looked into first."""
        uses = await self._households.uses(household, left_s())
        if not uses.open:
            return uses
        try:
            await self._resolve(household, uses.open[:RESOLVED_AT_ONCE], now_ms, left_s)
            return await self._households.uses(household, left_s())
        except StoreError as error:
            log.info("uses of a household count for now: %s", type(error).__name__)
            return uses

    async def _resolve(self, household: str, uses: Sequence[Use], now_ms: int, left_s: _Left) -> None:
        """Keep what was said and give back what was not, of uses whose decision must have ended long since."""
        found = await asyncio.gather(*(self._issued.issued(use.decision_id, left_s()) for use in uses))
        gone_ms = now_ms - self._households.asked_ms + DOUBT_MS
        said = [use for use, issued in zip(uses, found, strict=True) if _was_said(use, issued, gone_ms)]
        unsaid = [use.name for use in uses if use not in said]
        await self._households.settle(household, said, unsaid, left_s())


def _was_said(use: Use, issued: Issued | None, gone_ms: int) -> bool:
    """Tell whether a use was said. Where there is no decision it was not, for none is committed so late; but a decision
    of before `gone_ms` may have been there and have ended, so that what is older counts.
    """
    return use.granted_ms <= gone_ms if issued is None else use.action in issued.actions


def _left(deadline_s: float) -> _Left:
    now_s = asyncio.get_running_loop().time
    ends_s = now_s() + deadline_s
    return lambda: ends_s - now_s()


def _either(own: Mapping[str, tuple[int, ...]], household: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the uses of a customer and a household together: what the customer was told is in both, counts once."""
    both = dict(own)
    for key, times in household.items():
        more = list(own.get(key, ()))
        for at in times:
            if at in more:
                more.remove(at)
        both[key] = tuple(sorted((*times, *more)))
    return both


def _wanted(commit: Commit, shared: Shared) -> list[list[_Candidate]]:
    """Return the candidates with what they use of the household's caps; what cannot be said at all uses nothing."""
    return [
        [
            (action, _UNTRIED if any(counter.at_most == 0 for counter in own) else counters)
            for (action, own), counters in zip(ranked, used, strict=True)
        ]
        for ranked, used in zip(commit.candidates, shared.counters, strict=True)
    ]


def _allowed(commit: Commit, wanted: Sequence[Sequence[_Candidate]], granted: Granted) -> Commit:
    """Return the commit in which no candidate fits whose use is not granted. Ranks stay as they are logged."""
    bound = {(one.placement, one.rank): one for one in granted.bound}

    def counters(place: int, rank: int, own: tuple[Counter, ...]) -> tuple[Counter, ...]:
        if granted.ranks[place] == rank or not wanted[place][rank][1] or any(one.at_most == 0 for one in own):
            return own
        found = bound.get((place, rank))
        if found is None:
            return _UNTRIED
        return (Counter(found.counter, 0, max(0, found.frees_ms - commit.now_ms)),)

    candidates = tuple(
        tuple((action, counters(place, rank, own)) for rank, (action, own) in enumerate(ranked))
        for place, ranked in enumerate(commit.candidates)
    )
    return replace(commit, candidates=candidates, shared=None)


def _uses_of(commit: Commit, wanted: Sequence[Sequence[_Candidate]], granted: Granted) -> dict[str, Use]:
    """Return by action what was granted."""
    found = {}
    for place, rank in enumerate(granted.ranks):
        if rank >= 0 and (counters := wanted[place][rank][1]):
            action, at_ms = wanted[place][rank][0], commit.now_ms
            ends_ms = max(max(at_ms + one.within_ms, one.frees_ms) for one in counters)
            keys = tuple(one.key for one in counters)
            found[action] = Use(f"{commit.decision_id}|{action}", at_ms, ends_ms, 0, keys)
    return found


def _said(commit: Commit, committed: Committed) -> set[str]:
    """Return what the committed decision says: of this plan, or of that of whoever committed it first."""
    if committed.repeated:
        entry = plan.unpack(committed.entry)
        ranked = [[candidate.action for candidate in placed.candidates] for placed in entry.placements]
    else:
        ranked = [[action for action, _ in placed] for placed in commit.candidates]
    return {actions[rank] for actions, rank in zip(ranked, committed.chosen, strict=True) if 0 <= rank < len(actions)}


def _is_nobodys(commit: Commit, error: TactError) -> bool:
    """Tell whether a commit that failed leaves uses that are certainly nobody's: it was refused, and no other process
    may be committing the same decision with these very uses.
    """
    refused = isinstance(error, _REFUSALS) or not isinstance(error, StoreError)
    return refused and not commit.digest
