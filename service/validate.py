"""Validate: may what was decided still be said? For what is said later than it was decided, as a queued e-mail."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from msgspec.structs import replace

from models.context import Scalar
from service.core.decision import Known, Take
from service.core.engine import Engine
from service.core.snapshot import Snapshot
from service.core.stock import Shelf, Stocks
from service.core.supplies import Taken
from service.core.switched import NO_SWITCHES, Switchboard, with_switches
from service.core.validity import ANSWERED, ERASED, GONE, OUT, Issued, Standing, Validity, standings
from service.errors import UnknownDecision
from service.telemetry import Counts

log = logging.getLogger(__name__)

_Hold: TypeAlias = Callable[[Take, str, float], Awaitable[bool]]


class IssuedDecisions(Protocol):
    """The decisions that were made. Both calls raise StoreError when the store fails or is too slow."""

    async def issued(self, decision_id: str, deadline_s: float) -> Issued | None:
        """Return what was said and to whom; None when there is no such decision (any more)."""
        ...

    async def given(self, decision_id: str, fields: Collection[int], deadline_s: float) -> Mapping[int, Scalar]:
        """Return what these fields of the strategy, by index, were when it was decided; unknown ones are left out."""
        ...


class Customers(Protocol):
    """Knows customers. Raises StoreError when the store fails or is too slow."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Return what the customer's consent allows to be known."""
        ...


class Supply(Protocol):
    """Holds units for decisions. All calls raise StoreError when the store fails or is too slow."""

    async def taken(self, decision_id: str, action: str, deadline_s: float) -> Taken | None:
        """Return what an action of a decision takes; None when it takes nothing."""
        ...

    async def grant(self, take: Take, decision_id: str, deadline_s: float) -> tuple[bool, int]:
        """Hold units for a decision's action from now on; return whether they are held, and what is free then."""
        ...

    async def look(self, take: Take, decision_id: str, deadline_s: float) -> bool:
        """Tell whether units are held for a decision's action or could be, and hold nothing."""
        ...


class StockBook(Protocol):
    """What is known of the supply."""

    @property
    def stocks(self) -> Stocks:
        """What was read last."""
        ...

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Read what is not listed yet, and return all that is known; raise StoreError when the store fails."""
        ...


@dataclass(frozen=True, slots=True)
class Validator:
    """Judges decisions again. `engine()` gives the engine that decides now."""

    engine: Callable[[], Engine]
    decisions: IssuedDecisions
    customers: Customers
    supply: Supply
    book: StockBook
    counts: Counts = field(default_factory=Counts)
    switches: Switchboard = NO_SWITCHES

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> Validity:
        """Say whether what was decided may still be said; `as_of_ms` replaces the store's clock, for simulations.

        What came with the request is read only as far as the consent of now allows it. Units that it consumes are held
        from now on, again where their hold has ended; in a simulation nothing is. Raises `UnknownDecision`.
        """
        engine = self.engine()
        issued = await self.decisions.issued(decision_id, deadline_s)
        if issued is None:
            raise UnknownDecision("there is no such decision, or it was made too long ago")
        known = with_switches(await self.customers.context(issued.customer, deadline_s), self.switches)
        snapshot = await self._seen_again(engine, issued, known, as_of_ms, deadline_s)
        if snapshot is None:
            placements = standings(issued, lambda placement, action: (ERASED if known.erased else GONE,))
        else:
            placements, objections = engine.revisit(issued, snapshot, known.off)
            _alarm(objections, decision_id, self.counts)
            placements = _without_declined(issued, placements)
            hold = self._hold if as_of_ms is None else self.supply.look
            placements = await self._with_supply(engine, decision_id, placements, hold, deadline_s)
        judged_ms = known.now_ms if as_of_ms is None else as_of_ms
        return Validity(placements, issued.at_ms, judged_ms, engine.strategy.version, engine.model_version)

    async def _seen_again(
        self, engine: Engine, issued: Issued, known: Known, as_of_ms: int | None, deadline_s: float
    ) -> Snapshot | None:
        fields = engine.given_then(issued, known)
        given = await self.decisions.given(issued.decision_id, fields, deadline_s) if fields else {}
        snapshot = engine.see_again(issued, known, given, as_of_ms, stocks := self.book.stocks)
        if snapshot and (unlisted := engine.unlisted(snapshot, stocks)):
            stocks = await self.book.look_up(unlisted, deadline_s)
            return engine.see_again(issued, known, given, as_of_ms, stocks)
        return snapshot

    async def _with_supply(
        self, engine: Engine, decision_id: str, placements: tuple[Standing, ...], hold: _Hold, deadline_s: float
    ) -> tuple[Standing, ...]:
        """Hold the units of what may be said, and forbid it where there are none left."""
        consuming = {action.id for action in engine.strategy.actions if action.consumes}
        found = list(placements)
        for place, standing in enumerate(placements):
            if standing.reasons or standing.action not in consuming:
                continue
            taken = await self.supply.taken(decision_id, standing.action, deadline_s)
            if taken is None or not await hold(taken.take, decision_id, deadline_s):
                found[place] = replace(standing, reasons=(OUT,))
        return tuple(found)

    async def _hold(self, take: Take, decision_id: str, deadline_s: float) -> bool:
        return (await self.supply.grant(take, decision_id, deadline_s))[0]


def _without_declined(issued: Issued, placements: tuple[Standing, ...]) -> tuple[Standing, ...]:
    """Forbid what the customer has refused since, beside everything else that forbids it."""
    return tuple(
        replace(standing, reasons=(*standing.reasons, ANSWERED)) if issued.declined(standing.action) else standing
        for standing in placements
    )


def _alarm(objections: Collection[str], decision_id: str, counts: Counts) -> None:
    for rule in objections:
        counts.add("check.disagreed", rule)
        log.critical("the independent check disagreed over rule %s in decision %s", rule, decision_id)
