"""Decide: one request's story, from what the store knows to what is said.

The steps are those of the README: admit (at the edge), read, see, judge, score, arbitrate, check, commit, answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Protocol

from msgspec.structs import replace

from service import noticing
from service.core import plan
from service.core.adapting import Learned
from service.core.again import Again
from service.core.arbitrate import Scores
from service.core.decision import Commit, Committed, Decision, Known, Reason, ReasonCode, Request
from service.core.engine import Engine
from service.core.memory import NOTHING_OFF
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.stock import NOTHING_KNOWN, Shelf, Stocks
from service.core.switched import NO_SWITCHES, Switchboard, either, is_off, with_switches
from service.errors import AlreadyExists, ConsentChanged, CustomerErased, CustomerLinked, MemoryChanged, StoreError
from service.telemetry import Counts
from service.telemetry.timeline import UNTIMED, Timeline, now_ns
from service.turns import Turns

log = logging.getLogger(__name__)

LOOK_UP_SHARE = 0.4
"""How much of the time of one store call a look into the supply may take, which comes between two such calls."""

ATTEMPTS = 4
"""How often a decision is tried whose customer is remembered otherwise by the time it is committed."""
TWICE = 2
"""How often it is tried when the consent was replaced, or the customer linked or unlinked."""

CHANGED = (ConsentChanged, CustomerLinked, MemoryChanged)
"""What a commit is refused with when what it was decided by holds no more: it is decided again."""

STORE_GONE = Reason(ReasonCode.STORE_UNAVAILABLE, "What is known of the customer could not be read or written in time.")
ERASED = Reason(ReasonCode.CUSTOMER_ERASED, "The customer was erased; nothing is kept or used about them.")
LEARNED_STALE = Reason(
    ReasonCode.SCORES_STALE, "What outcomes say since the training could not be read lately; what was read last counts."
)
TOO_LATE = Reason(ReasonCode.DEADLINE_TOO_SHORT, "Too little time was left for a full decision.")


class DecisionStore(Protocol):
    """What a decision needs from the store. Both calls raise StoreError when the store fails or is too slow."""

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision: from the customer and the key, or from 12 random bytes where the key is empty."""
        ...

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Return what the consent allows to be known of the person, and the decision under this id or key if any."""
        ...

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Take the first candidates that fit, count and log them, all at once; or return what was committed before."""
        ...


class StockBook(Protocol):
    """What is known of the supply."""

    @property
    def stocks(self) -> Stocks:
        """What was read last; it is replaced, never changed."""
        ...

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Read what is not listed yet, and return all that is known; raise StoreError when the store fails."""
        ...


class NoBook:
    """A book in which nothing stands: for strategies that know no supply."""

    stocks: Stocks = NOTHING_KNOWN

    async def look_up(self, shelves: Collection[Shelf], deadline_s: float) -> Stocks:
        """Return nothing."""
        return NOTHING_KNOWN


NO_BOOK = NoBook()


class Learns(Protocol):
    """What is learned between trainings."""

    @property
    def learned(self) -> Learned | None:
        """What was learned by now; None where nothing is. It is replaced, never changed."""
        ...

    @property
    def stale(self) -> bool:
        """Whether it is from longer ago than it may be."""
        ...


class LearnsNothing:
    """Learns nothing: for strategies that do not adapt."""

    learned: Learned | None = None
    stale = False


LEARNS_NOTHING = LearnsNothing()


NONE_EARLIER: Mapping[tuple[str, str], Engine] = {}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a decision waits for the store: a share of the caller's time left, and never more than `most_s` a call.

    All of its calls together, and what is waited for the turn to decide again, take no more than `in_all` of that time,
    so that the other half is left for the answer and its way back. When it ends, the answer is the safe one. Below
    `least_s` seconds of caller's time nothing is read.
    """

    share: float = 0.4
    most_s: float = 0.25
    least_s: float = 0.003
    in_all: float = 0.48

    def ends_s(self, began_s: float, left_s: float) -> float:
        """Return until when all calls together may take, for a decision that began with so much time left."""
        return began_s + self.in_all * left_s

    def wait_s(self, in_all_s: float) -> float:
        """Return the seconds that one store call may take, of so many that all together may still take."""
        return min(self.share / self.in_all * in_all_s, self.most_s)


class Decider:
    """Decides requests with one engine over one store. `engine` may be replaced between decisions.

    `entropy(n)` gives n random bytes; `clock()` gives now in milliseconds, for answers that the store had no part in.
    `earlier` holds engines of versions before this one, for the words of what was decided by them.
    """

    def __init__(
        self,
        engine: Engine,
        store: DecisionStore,
        entropy: Callable[[int], bytes],
        clock: Callable[[], int],
        patience: Patience = Patience(),
        book: StockBook = NO_BOOK,
        switches: Switchboard = NO_SWITCHES,
        counts: Counts | None = None,
        earlier: Mapping[tuple[str, str], Engine] = NONE_EARLIER,
        learning: Learns = LEARNS_NOTHING,
    ) -> None:
        self.engine = engine
        self._earlier = earlier
        self._learning = learning
        self._store = store
        self._entropy = entropy
        self._clock = clock
        self._patience = patience
        self._book = book
        self._switches = switches
        self._counts = counts or Counts()
        self._off = NOTHING_OFF  # as the latest read said
        self._turns = Turns()

    async def decide(
        self, request: Request, deadline_s: float, line: Timeline = UNTIMED, dice: tuple[float, ...] = ()
    ) -> Decision:
        """Answer one request within `deadline_s` seconds, and mark on the line when its steps ended.

        `dice` are the draws of a decision that this one goes on from; without them it is drawn anew. A store that fails
        or is too slow gives the safe answer, and so does a customer who was erased. Raises AlreadyExists when the
        idempotency key was used for another request.
        """
        engine = self.engine
        if deadline_s < self._patience.least_s:
            return self._safe(engine, request, TOO_LATE)
        began_s = monotonic()
        ends_s = self._patience.ends_s(began_s, deadline_s)
        try:
            try:
                decision = await self._decide(engine, request, began_s, ends_s, line, dice)
            except CHANGED as changed:
                async with self._turns.turn(request.customer, ends_s - monotonic()):
                    decision = await self._repeated(changed, engine, request, ends_s, line, dice)
        except CustomerErased:
            return self._safe(engine, request, ERASED)
        except StoreError as error:
            log.warning("a decision is degraded: %s", type(error).__name__)
            return self._safe(engine, request, STORE_GONE)
        return noticing.decided(self._counts, decision)

    def told(self, committed: Committed) -> Decision:
        """Return a decision that was committed before, in the words of the strategy in force."""
        return self.engine.answer(committed, None)

    def without_store(self, request: Request) -> Decision:
        """Return the safe answer, because the store does not tell what else may be said."""
        return self._safe(self.engine, request, STORE_GONE)

    def _safe(self, engine: Engine, request: Request, why: Reason) -> Decision:
        noticing.degraded(self._counts, why)
        greeting = engine.strategy.safe_greeting
        off = self._off if is_off(self._off, greeting) else self._switches.off
        return engine.safe(request, why, self._now_ms(request), off)

    def _again(self, engine: Engine, known: Known, decided: Committed, request: Request) -> Decision:
        """Return what was decided before, in the words of the version that decided it, while its engine is kept."""
        before = self._earlier.get(plan.version(decided.entry), engine)
        if before is not engine:
            request = replace(request, context=before.context_from(engine, request.context))
        return before.answer(decided, None, values=before.known_now(known, request))

    def _scored(self, engine: Engine, snapshot: Snapshot, judged: Judged, request: Request) -> tuple[Engine, Scores]:
        """Return the scores and what made them: the engine, or without its model where that cannot score."""
        try:
            return engine, engine.score(snapshot, judged, request, self._learning.learned)
        except Exception as failed:  # noqa: BLE001 - whatever is wrong with a model, the rules and the priors hold
            log.error("the model could not score: %s", type(failed).__name__)
            return engine.by_priors, engine.by_priors.score(snapshot, judged, request)

    def _missing(self, engine: Engine, snapshot: Snapshot) -> tuple[Reason, ...]:
        """Return what makes the scores stale: predictions that ran out, and what was learned and cannot be read."""
        missing = engine.ladder.missing(snapshot)
        return (*missing, LEARNED_STALE) if self._learning.stale else missing

    def _now_ms(self, request: Request) -> int:
        return self._clock() if request.as_of_ms is None else request.as_of_ms

    async def _repeated(
        self,
        changed: StoreError,
        engine: Engine,
        request: Request,
        ends_s: float,
        line: Timeline,
        dice: tuple[float, ...],
    ) -> Decision:
        """Decide again after the consent was replaced, or the customer linked or unlinked, or more is remembered.

        Nobody else in this process repeats a decision about this customer at the same time (`turns.py`); and as long as
        other processes change what is remembered, each of them gets further: a few times are enough.
        """
        moved = remembered = 0
        while True:
            if isinstance(changed, MemoryChanged):
                remembered += 1
                self._counts.add("memory.conflicts")
            else:
                moved += 1
            line.retried, began_s = now_ns(), monotonic()
            if remembered == ATTEMPTS or moved == TWICE or ends_s - began_s < self._patience.least_s:
                raise changed
            try:
                return await self._decide(engine, request, began_s, ends_s, line, dice)
            except CHANGED as again:
                changed = again

    async def _decide(
        self,
        engine: Engine,
        request: Request,
        began_s: float,
        ends_s: float,
        line: Timeline,
        dice: tuple[float, ...] = (),
    ) -> Decision:
        wait_s, random = self._patience.wait_s(ends_s - began_s), self._entropy(12 + 4 * len(request.placements))
        key, asked = request.idempotency_key, request.customer
        decision_id = self._store.decision_id(asked, key, random[:12])
        known = await self._store.read(asked, decision_id if key else None, wait_s, key)
        line.read, known = now_ns(), with_switches(known, self._switches)
        self._off = known.off
        if known.erased:
            raise CustomerErased("nothing is kept or used about this customer")
        if known.decided is not None:
            return self._again(engine, known, _same_request(known.decided, engine.digest(request)), request)
        if known.customer not in ("", asked):  # an alias was asked about: decide for the person
            request = replace(request, customer=known.customer)
            decision_id = self._store.decision_id(known.customer, key, random[:12])
        snapshot = engine.see(known, request, stocks := self._book.stocks)
        if unlisted := engine.unlisted(snapshot, stocks):
            snapshot = engine.see(
                known, request, await self._book.look_up(unlisted, min(LOOK_UP_SHARE * wait_s, ends_s - monotonic()))
            )
        line.seen, judged = now_ns(), engine.judge(snapshot, known, request)
        line.judged, missing = now_ns(), self._missing(engine, snapshot)
        engine, scores = self._scored(engine, snapshot, judged, request)
        line.scored = now_ns()
        planned = engine.arbitrate(decision_id, request, snapshot, judged, scores, dice or _dice(random[12:]), missing)
        line.arbitrated, checked = now_ns(), engine.check(planned, snapshot, judged.verdicts.vetoes)
        line.checked = now_ns()
        noticing.planned(self._counts, planned, checked)
        wait_s = min(wait_s, ends_s - (now_s := monotonic()))
        until = _given_up_ms(known, now_s - began_s + wait_s)
        commit = engine.commit(checked.entry, request, known.now_ms, asked, known.consent, known.memory, until)
        committed = await self._store.commit(commit, wait_s)
        line.committed = now_ns()
        if committed.bound and not committed.repeated:
            noticing.bound(self._counts, checked.entry, committed)
        told = request.explain and not committed.repeated
        made = Again(request, known, snapshot, judged, scores, checked.entry) if told else None
        explained = engine.explainer.explained(made, committed) if made else None
        if committed.repeated and known.off is not NOTHING_OFF:
            committed = replace(committed, off=either(committed.off, known.off))
        return engine.answer(_same_request(committed, engine.digest(request)), checked.entry, explained)


def _dice(random: bytes) -> tuple[float, ...]:
    """Return one draw in [0, 1) for every four random bytes."""
    return tuple([int.from_bytes(random[at : at + 4]) / 2**32 for at in range(0, len(random), 4)])


def _given_up_ms(known: Known, from_read_s: float) -> int:
    """Return when nobody waits for a commit any more, by the store's clock: what comes later is not to be counted.

    It was read after the beginning that `from_read_s` runs from, so no commit is refused that is still waited for, and
    at most one that comes as late as the reading took is not.
    """
    return known.now_ms + ceil(1000 * from_read_s)


def _same_request(committed: Committed, digest: bytes) -> Committed:
    if committed.repeated and committed.digest != digest:
        raise AlreadyExists("this idempotency key was used for another request; use a new key")
    return committed
