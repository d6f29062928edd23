"""Standing: look whether an answer still stands, without deciding; decide it anew; take one back that was not shown.

look = await standing.look(request, said, dice, deadline_s)     # what would be said now, as if `said` did not count
decision = await standing.decide(request, dice, deadline_s)     # a decision like any other
await standing.take_back(said.holds, deadline_s)                # its caps, promises and units are free again
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from models.context import Scalar
from service.core import plan
from service.core.arbitrate import Scores
from service.core.decision import Answer, Committed, Decision, Known, Reason, Request, Take
from service.core.due_next import DueNext
from service.core.engine import Engine
from service.core.households import Naming, Use
from service.core.memory import NOTHING_OFF
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.standing import HOLDS_NOTHING, Holds, reasons_against, with_own, without
from service.core.stock import Shelf, Stocks
from service.core.strategy import ConsentLevel
from service.core.switched import Switchboard, with_switches
from service.decide import Decider, DecisionStore, Learns, StockBook
from service.errors import CustomerErased, InvalidArgument, StoreError, Violation
from service.telemetry.timeline import UNTIMED, Timeline

log = logging.getLogger(__name__)

ANOTHER_QUESTION = Violation(
    "cursor", "is of a watch that asks something else: send it with the question that it came for, or leave it out."
)


class Said(Struct, frozen=True):
    """A decision that was told to who watches, its draws, what it holds, and the consent level of a recalled one."""

    decision: Decision
    dice: tuple[float, ...] = ()
    holds: Holds = HOLDS_NOTHING
    level: ConsentLevel | None = None


class Look(Struct, frozen=True):
    """What would be said now, and what follows from the look: the answers, what forbids each action that was said, by
    placement; the consent level; when to look again (ms from now, unset where time changes nothing); the items and
    places that matter; the moment (ms) of the look; what is known of the customer, by which it is told what a decision
    takes.
    """

    answers: tuple[Answer, ...]
    against: dict[tuple[str, str], tuple[Reason, ...]]
    level: ConsentLevel
    again_ms: int | None
    shelves: frozenset[Shelf]
    now_ms: int
    values: tuple[Scalar | None, ...]
    person: str
    household: str = ""


class Unsaying(Protocol):
    """Takes decisions back. Raises StoreError when the store fails."""

    async def unsay(self, holds: Holds, deadline_s: float) -> bool:
        """Make it as if this had not been said; False where an outcome says that it was."""
        ...


class Units(Protocol):
    """Knows which decisions hold units. Raises StoreError when the store fails."""

    async def stands(self, take: Take, decision_id: str, deadline_s: float) -> bool:
        """Tell whether they are held still, and are there."""
        ...

    async def give_back(self, take: Take, decision_id: str, deadline_s: float) -> bool:
        """Free them; False when none are held."""
        ...


class Households(Protocol):
    """Knows what households were told. Raises StoreError when the store fails."""

    async def settle(self, household: str, said: Sequence[Use], unsaid: Sequence[str], deadline_s: float) -> int:
        """Give back what was not said."""
        ...


@dataclass(frozen=True, slots=True)
class Looking:
    """What looks and decisions are made with: the same as those of `Decide`."""

    decider: Decider
    store: DecisionStore
    book: StockBook
    switches: Switchboard
    learning: Learns
    entropy: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Held:
    """What holds what decisions take: caps and promises, units, and the caps of households."""

    unsaying: Unsaying
    units: Units
    households: Households


class Standing:
    """Looks after answers that somebody watches, under one version of the strategy and the model."""

    def __init__(self, engine: Engine, looking: Looking, held: Held) -> None:
        self.engine, self._looking, self._held = engine, looking, held
        strategy = engine.strategy
        self._due = DueNext(strategy)
        self._index = {action.id: action.index for action in strategy.actions}
        counting = any(cap.household for cap in strategy.caps)
        self._naming = Naming(strategy) if counting and strategy.household else None

    def dice(self, request: Request) -> tuple[float, ...]:
        """Return a draw in [0, 1) for each placement."""
        random = self._looking.entropy(4 * len(request.placements))
        return tuple(int.from_bytes(random[at : at + 4]) / 2**32 for at in range(0, len(random), 4))

    async def look(self, request: Request, said: Said | None, dice: tuple[float, ...], deadline_s: float) -> Look:
        """Return what would be said now, by the same draws, if `said` had not counted; nothing is written.

        Raises `StoreError` where the store does not tell, `CustomerErased` for who was erased.
        """
        engine, looking = self.engine, self._looking
        known = with_switches(await looking.store.read(request.customer, None, deadline_s), looking.switches)
        if known.erased:
            raise CustomerErased("nothing is kept or used about this customer")
        holds = HOLDS_NOTHING if said is None else said.holds
        person = known.customer or request.customer
        request, known = replace(request, customer=person), without(known, holds)
        snapshot, stocks = await self._seen(known, request, holds, deadline_s)
        judged = engine.judge(snapshot, known, request)
        scoring, scores = _scored(engine, snapshot, judged, request, looking.learning)
        planned = scoring.arbitrate("", request, snapshot, judged, scores, dice)
        entry = scoring.check(planned, snapshot, judged.verdicts.vetoes).entry
        first = tuple(0 if placed.candidates else -1 for placed in entry.placements)
        answers = scoring.answer(Committed(b"", b"", first, (), repeated=False), entry).answers
        shelves = engine.shelves(snapshot)
        again_ms = self._due.at(snapshot, judged, stocks, shelves)
        return Look(
            answers=answers,
            against=self._against(said, judged),
            level=snapshot.level,
            again_ms=None if again_ms is None else max(0, again_ms - snapshot.now_ms),
            shelves=frozenset(shelves),
            now_ms=snapshot.now_ms,
            values=snapshot.values,
            person=person,
            household=self._naming.household(known) if self._naming else "",
        )

    async def decide(
        self, request: Request, dice: tuple[float, ...], deadline_s: float, line: Timeline = UNTIMED
    ) -> Decision:
        """Decide by these draws; what was decided under the same key before is answered again, and counts once."""
        return await self._looking.decider.decide(request, deadline_s, line, dice)

    def said(self, request: Request, decision: Decision, dice: tuple[float, ...], look: Look | None) -> Said:
        """Return a decision with what it holds; `look` tells by what values."""
        if not decision.decision_id:
            return Said(decision, dice)
        here = [(answer.placement, answer.action) for answer in decision.answers if answer.action]
        actions = tuple(action for _, action in here)
        return Said(
            decision,
            dice,
            Holds(
                decision.decision_id,
                request.customer if look is None else look.person,
                decision.at_ms,
                actions,
                self.engine.counted(request, decision.at_ms, here),
                () if look is None else self.engine.takes(actions, look.values),
                look is None or self.engine.promises(request, actions, look.values, decision.at_ms),
            ),
        )

    async def recall(self, request: Request, deadline_s: float) -> Said | None:
        """Return what was said under a key, in words of now and also where it may not be said any more.

        None when nothing was, or it is kept no more. Raises `InvalidArgument` where it answered another question.
        """
        looking, engine = self._looking, self.engine
        key, customer = request.idempotency_key, request.customer
        decision_id = looking.store.decision_id(customer, key, bytes(12))
        known = await looking.store.read(customer, decision_id, deadline_s, key)
        if known.erased or known.decided is None:
            return None
        entry = plan.unpack(known.decided.entry)
        if (entry.channel, *(one.placement for one in entry.placements)) != (request.channel, *request.placements):
            raise InvalidArgument.of([ANOTHER_QUESTION])
        told = replace(known.decided, off=NOTHING_OFF)
        decided = engine.answer(told, None, values=engine.known_now(known, request))
        request = replace(request, customer=known.customer or customer)
        found = self.said(request, decided, entry.draws, None)
        takes = engine.takes(found.holds.actions, engine.see(known, request).values)
        return replace(found, holds=replace(found.holds, takes=takes), level=engine.level(entry.level))

    def safe(self, request: Request) -> Decision:
        """Return what is said while nobody can tell what else may be; it is recorded nowhere, and holds nothing."""
        return self._looking.decider.without_store(request)

    async def take_back(self, holds: Holds, household: str, deadline_s: float) -> None:
        """Free what a decision holds that is shown no longer; what cannot be freed counts as said."""
        held = self._held
        if not holds.anything:
            return
        try:
            if not await held.unsaying.unsay(holds, deadline_s):
                return
            for take in holds.takes:
                await held.units.give_back(take, holds.decision_id, deadline_s)
            if household:
                unsaid = [f"{holds.decision_id}|{action}" for action in holds.actions]
                await held.households.settle(household, (), unsaid, deadline_s)
        except StoreError as error:
            log.warning("what is shown no longer counts as said: %s", type(error).__name__)

    async def _seen(self, known: Known, request: Request, holds: Holds, deadline_s: float) -> tuple[Snapshot, Stocks]:
        engine, book, units = self.engine, self._looking.book, self._held.units
        own = [take for take in holds.takes if await units.stands(take, holds.decision_id, deadline_s)]
        stocks = with_own(book.stocks, own) if own else book.stocks
        snapshot = engine.see(known, request, stocks)
        if unlisted := engine.unlisted(snapshot, stocks):
            stocks = await book.look_up(unlisted, deadline_s)
            stocks = with_own(stocks, own) if own else stocks
            snapshot = engine.see(known, request, stocks)
        return snapshot, stocks

    def _against(self, said: Said | None, judged: Judged) -> dict[tuple[str, str], tuple[Reason, ...]]:
        if said is None:
            return {}
        vetoes = judged.verdicts.vetoes
        return {
            (answer.placement, answer.action): reasons_against(1 << index, (*vetoes, *capped))
            for answer, capped in zip(said.decision.answers, judged.capped, strict=True)
            if (index := self._index.get(answer.action)) is not None
        }


def _scored(
    engine: Engine, snapshot: Snapshot, judged: Judged, request: Request, learning: Learns
) -> tuple[Engine, Scores]:
    try:
        return engine, engine.score(snapshot, judged, request, learning.learned)
    except Exception as failed:  # noqa: BLE001 - as for a decision: the rules and the priors hold
        log.error("the model could not score: %s", type(failed).__name__)
        return engine.by_priors, engine.by_priors.score(snapshot, judged, request)
