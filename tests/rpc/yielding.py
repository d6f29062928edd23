"""Stores that answer anything that is well formed, and hold little or nothing: for tests of what comes in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from models.context import Purpose
from service.core.audit import Audited, AuditPage, Who
from service.core.chain_walk import Found
from service.core.decision import Decision, Known, Request
from service.core.due import NOTHING, Name, State, Waiting
from service.core.logged import DecisionPage, OutcomePage
from service.core.predictions import Change, PredictionFate, PredictionToStore
from service.core.records import Agreed, ConsentRecord, Happened, OutcomeRecord, OutcomeStatus, Person
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome
from service.core.supplies import DemandTold, SupplyFate, SupplyReport, SupplyStatus
from service.standing import Look, Said
from service.store.journeys import Back
from service.watching_people import EVENT, Heard
from tests.rpc.world import NOW_MS, answered, strategy


class EmptyLog:
    """A log in which nothing stands yet."""

    async def decisions(self, bucket: int, after: str, deadline_s: float | None = None) -> DecisionPage:
        """Tell none."""
        return DecisionPage((), after, True)

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None = None) -> OutcomePage:
        """Tell none."""
        return OutcomePage((), after, True, 0)

    async def erased(self, customers: Iterable[str], deadline_s: float | None = None) -> dict[str, int]:
        """Know of nobody."""
        return {}


class EmptyChains:
    """A log of which nothing was ever chained."""

    async def verify(self, *asked: Any, **more: Any) -> Found:  # noqa: ANN401 - whatever is asked
        """Find nothing."""
        return Found()


class EmptyRecord:
    """An audit record in which nothing stands."""

    def digest(self, customer: str) -> str:
        """Know no key."""
        return ""

    async def note_erasure(self, customer: str, what: str, who: Who, deadline_s: float) -> None:
        """Note nothing."""

    async def page(self, after: str = "", deadline_s: float | None = None) -> AuditPage:
        """Hold nothing."""
        return AuditPage((), after, True)

    async def consents(self, customer: str, deadline_s: float | None = None) -> tuple[Audited, ...]:
        """Know of none."""
        return ()

    async def consenting(self, deadline_s: float | None = None) -> AsyncIterator[str]:
        """Know of nobody."""
        for nobody in list[str]():
            yield nobody

    async def verify(self, *asked: Any, **more: Any) -> Found:  # noqa: ANN401 - whatever is asked
        """Find nothing."""
        return Found()


class Yielding:
    """A store that answers anything that is well formed."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Know nothing."""
        return Known(NOW_MS, "full", (), {}, {})

    async def fold(self, customer: str, events: Any, deadline_s: float) -> tuple[bool, ...]:  # noqa: ANN401
        """Fold all."""
        return (True,) * len(events)

    async def set_consent(self, customer: str, consent: ConsentRecord, deadline_s: float) -> ConsentRecord:
        """Accept."""
        return consent

    async def agreed(self, customer: str, *, history: bool, deadline_s: float) -> Agreed:
        """Know none."""
        return Agreed(None)

    async def kept(self, customer: str, deadline_s: float | None) -> Kept:
        """Keep nothing."""
        return Kept(NOW_MS, None, None, (), {}, {}, (), "", (), "", 0, False, "0-0", "0-0", {})

    async def decisions(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptDecision]:
        """Know none."""
        for none in tuple[KeptDecision, ...]():
            yield none

    async def outcomes(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptOutcome]:
        """Know none."""
        for none in tuple[KeptOutcome, ...]():
            yield none

    async def erase(self, customer: str, deadline_s: float) -> Erased:
        """Find nothing."""
        return Erased((customer,), NOW_MS, *[0] * (len(Erased.__struct_fields__) - 2))

    async def rewrite(self, deadline_s: float) -> bool:
        """Refuse."""
        return False

    async def report(self, report: SupplyReport, deadline_s: float) -> SupplyFate:
        """Accept."""
        return SupplyFate(SupplyStatus.STORED, report.available, 0, 0)

    async def told(self, cursor: str, deadline_s: float) -> tuple[DemandTold, ...]:
        """Tell nothing."""
        return ()

    async def record(self, prediction: PredictionToStore, deadline_s: float) -> PredictionFate:
        """Accept."""
        return PredictionFate.STORED

    async def lend(self, most: int, lease_s: float, deadline_s: float) -> AsyncIterator[tuple[Change, ...]]:
        """Know nobody who changed."""
        nobody: tuple[tuple[Change, ...], ...] = ()
        for changes in nobody:
            yield changes

    async def end(self, name: Name, loan: str, how: str, deadline_s: float) -> bool:
        """End nothing."""
        return False

    async def later(self, name: Name, loan: str, at_ms: int, deadline_s: float, *, anew: bool) -> bool:
        """Put nothing off."""
        return False

    async def known(self, customer: str, trigger: str, key: str, deadline_s: float) -> tuple[State, State]:
        """Know of nothing."""
        return NOTHING, NOTHING

    async def dead(self, channel: str, most: int, deadline_s: float, *, customer: str) -> tuple[Waiting, ...]:
        """List none."""
        return ()

    async def release(self, name: Name, deadline_s: float, *, give_up: bool) -> bool:
        """Release nothing."""
        return False

    async def finish(self, changes: Any, deadline_s: float) -> int:  # noqa: ANN401
        """Finish all."""
        return len(changes)

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float) -> OutcomeStatus:
        """Accept."""
        return OutcomeStatus.STORED

    async def link(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Link anybody."""
        return True

    async def unlink(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Find nothing to undo."""
        return False

    async def person(self, customer: str, deadline_s: float) -> Person:
        """Know no alias."""
        return Person(customer, ())


class ShortJourneys:
    """Journeys of one event and one outcome, of anybody who is asked about."""

    async def happened(self, customer: str, person: str, letters: str, deadline_s: float) -> tuple[Happened, ...]:
        """Tell of one event."""
        return (Happened("purchase", Purpose.SERVICE, NOW_MS - 2, NOW_MS - 2),)

    async def decisions(self, customer: str, before_ms: int, most: int, deadline_s: float) -> Back:
        """Know none."""
        return Back((), 0)

    async def outcomes(self, customer: str, before_ms: int, most: int, deadline_s: float) -> Back:
        """Know one."""
        return Back((KeptOutcome("0ab" + "2" * 23, "greet", 1, NOW_MS - 1, NOW_MS - 1, 0.0),), 0)

    async def ids_like(self, beginning: str, most: int, deadline_s: float) -> tuple[str, ...]:
        """Find two, of whom one is kept no more."""
        return (f"{beginning}-1", "gone")[:most]

    async def is_kept(self, customer: str, deadline_s: float) -> bool:
        """Keep all but one."""
        return customer != "gone"

    async def unlist(self, customer: str, deadline_s: float) -> None:
        """Find it no more."""


class Ears:
    """Hear one thing about anybody, and then nothing more."""

    async def listen(self, customer: str, since: int | None = None, deadline_s: float | None = None) -> Hearing:
        """Listen."""
        return Hearing(customer, since)


class Hearing:
    """One who listens."""

    def __init__(self, person: str, since: int | None) -> None:
        self.person, self.seq = person, since or 1
        self.missed: tuple[Heard, ...] | None = None if since is None else ()
        self._heard = False

    async def wait(self) -> tuple[Heard, ...]:
        """Hear of an event, once."""
        if self._heard:
            await asyncio.Event().wait()
        self._heard = True
        self.seq += 1
        return (Heard(self.seq, EVENT, "purchase", "e-1", NOW_MS),)

    def close(self) -> None:
        """Listen no longer."""


class Standing:
    """Looks after answers of which each still stands."""

    def dice(self, request: Request) -> tuple[float, ...]:
        """Draw."""
        return (0.5,) * len(request.placements)

    async def look(self, request: Request, said: Said | None, dice: tuple[float, ...], deadline_s: float) -> Look:
        """See that the same would be said."""
        level = strategy().levels[-1]
        return Look(answered(request).answers, {}, level, None, frozenset(), NOW_MS, (), request.customer)

    async def decide(self, request: Request, dice: tuple[float, ...], deadline_s: float) -> Decision:
        """Greet."""
        return answered(request)

    def said(self, request: Request, decision: Decision, dice: tuple[float, ...], look: Look | None) -> Said:
        """Keep what was said."""
        return Said(decision, dice)

    async def recall(self, request: Request, deadline_s: float) -> Said | None:
        """Know the first answer of each watch, and no later one."""
        return Said(answered(request)) if request.idempotency_key.endswith(".1") else None

    async def take_back(self, holds: object, household: str, deadline_s: float) -> None:
        """Hold nothing."""
