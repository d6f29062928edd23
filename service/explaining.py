"""Explain later: why a decision came out as it did, from what was logged of it, as far as the consent of now allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import Protocol, TypeVar

from models.context import Purpose, Scalar
from service.beside import beside
from service.core import plan
from service.core.again import Again, NotRepeatable, again, without_challenger
from service.core.counterfactual import Counterfactual, Goal, counterfactual
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.explained import Depth, Explained, Logged
from service.core.plan import Entry
from service.core.wanted import Wanted
from service.errors import UnknownDecision

TRIES = 2_000
"""How many decisions a search for changes makes at most here, where other decisions wait: 0.2 s of processor time."""
T = TypeVar("T")
OTHERWISE = "made again by the strategy and the model of then it comes out otherwise; see `tact replay`"


class LoggedDecisions(Protocol):
    """The decisions that were made. Raises StoreError when the store fails or is too slow."""

    async def logged(self, decision_id: str, deadline_s: float) -> Logged | None:
        """Return a decision as it was logged; None when there is none (any more)."""
        ...


class Customers(Protocol):
    """Knows customers. Raises StoreError when the store fails or is too slow."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Return what the customer's consent allows to be known."""
        ...


class Engines(Protocol):
    """The engines of the versions that decided."""

    async def of(self, strategy: str, model: str, deadline_s: float) -> Engine:
        """Return the engine of a version; raise `NotRepeatable` in words where it cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class Explaining:
    """Explains decisions. `engine()` gives the engine that decides now."""

    engine: Callable[[], Engine]
    engines: Engines
    decisions: LoggedDecisions
    customers: Customers
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seeking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def explain(self, wanted: Wanted, deadline_s: float) -> Explained:
        """Explain a decision. Raises `UnknownDecision`, and NoSuchGoal for an action that it knows nothing of.

        What is told of it is for the caller's depth to say; what the consent of now forbids is named as `lost`.
        """
        logged = await self.decisions.logged(wanted.decision_id, deadline_s)
        if logged is None:
            raise UnknownDecision("there is no such decision, or it was made too long ago")
        known = await self.customers.context(logged.entry.customer, deadline_s)
        if known.erased:
            raise UnknownDecision("its customer was erased")
        try:
            engine = await self.engines.of(logged.entry.strategy, logged.entry.model, deadline_s)
            made = await self._one_at_a_time(self._making, lambda _: again(engine, logged.entry))
        except NotRepeatable as why:
            return self._answered(self.engine(), wanted, logged, known, str(why))
        would = await self._would(engine, made, logged, wanted) if wanted.goal and _same(made, logged) else None
        return await self._one_at_a_time(
            self._making, lambda _: self._explained(engine, made, wanted, logged, known, would)
        )

    def _explained(
        self, engine: Engine, made: Again, wanted: Wanted, logged: Logged, known: Known, would: Counterfactual | None
    ) -> Explained:
        if not _same(made, logged):
            return self._answered(engine, wanted, logged, known, OTHERWISE)
        return self._answered(engine, wanted, logged, known, "", made, would)

    def _answered(
        self,
        engine: Engine,
        wanted: Wanted,
        logged: Logged,
        known: Known,
        incomplete: str,
        made: Again | None = None,
        would: Counterfactual | None = None,
    ) -> Explained:
        now, entry = self.engine(), logged.entry
        told = None
        if made is not None:
            said_only = wanted.depth is Depth.CUSTOMER
            told = engine.explainer.explained(made, logged.committed, later=True, only=wanted.only, said_only=said_only)
        decision = engine.answer(logged.committed, None, told, _words_for(engine, entry, known))
        then, agreed = engine.level(entry.level), now.level(known.level or "") or now.strategy.levels[0]
        lost = frozenset(then.purposes if then else Purpose).difference(agreed.purposes)
        depths = (engine.explainer.depths, now.explainer.depths)
        return Explained(decision, entry.channel, engine.strategy.schema, depths, lost, incomplete, would)

    async def _would(self, engine: Engine, made: Again, logged: Logged, wanted: Wanted) -> Counterfactual | None:
        goal = wanted.goal
        if goal is None:
            return None
        said = _said(logged)
        where = goal.placement or next((place for place, action in said.items() if action == goal.action), "")
        wins = said.get(where) != goal.action if wanted.either_way else goal.wins
        aimed, committed = Goal(goal.action, wins, where), logged.committed
        return await self._one_at_a_time(
            self._seeking,
            lambda stop: counterfactual(engine, made, aimed, wanted.most, TRIES, committed, stop),
        )

    async def _one_at_a_time(self, turn: asyncio.Lock, work: Callable[[Callable[[], bool]], T]) -> T:
        """Work beside decisions, from which it takes the processor; whoever gives up waiting stops it."""
        stop = Event()
        working = asyncio.ensure_future(_in_turn(turn, work, stop))
        try:
            return await asyncio.shield(working)  # a thread cannot be ended: the next one waits until it has
        except asyncio.CancelledError:
            stop.set()
            raise


async def _in_turn(turn: asyncio.Lock, work: Callable[[Callable[[], bool]], T], stop: Event) -> T:
    async with turn:
        if stop.is_set():
            raise asyncio.CancelledError
        return await beside(lambda: work(stop.is_set))


def _same(made: Again, logged: Logged) -> bool:
    return plan.pack(without_challenger(made.entry)) == plan.pack(without_challenger(logged.entry))


def _said(logged: Logged) -> dict[str, str]:
    """Return what was said at which placement."""
    both = zip(logged.entry.placements, logged.committed.chosen, strict=True)
    return {
        placed.placement: placed.candidates[rank].action for placed, rank in both if 0 <= rank < len(placed.candidates)
    }


def _words_for(engine: Engine, entry: Entry, known: Known) -> tuple[Scalar | None, ...]:
    """Return the values that words may be filled from by the consent of now; none where no such channel is left."""
    if all(channel.id != entry.channel for channel in engine.strategy.channels):
        return ()
    return engine.known_now(known, Request(entry.customer, entry.channel, (), {}))
