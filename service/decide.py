"""Decide: one request's story, from what the store knows to what is said.

The steps are those of the README: admit (at the edge), read, see, judge, score, arbitrate, check, commit, answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace

from service.core.decision import Commit, Committed, Decision, Known, Reason, ReasonCode, Request
from service.core.engine import Checked, Engine
from service.core.stock import NOTHING_KNOWN, Shelf, Stocks
from service.errors import AlreadyExists, ConsentChanged, CustomerErased, CustomerLinked, StoreError

log = logging.getLogger(__name__)

LOOK_UP_SHARE = 0.4
"""How much of the time of one store call a look into the supply may take, which comes between two such calls."""

STORE_GONE = Reason(ReasonCode.STORE_UNAVAILABLE, "What is known of the customer could not be read or written in time.")
ERASED = Reason(ReasonCode.CUSTOMER_ERASED, "The customer was erased; nothing is kept or used about them.")
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a decision waits for the store: a share of the caller's time left, and never more than `most_s`.

    When it ends, the answer is the safe one. Below `least_s` seconds of caller's time nothing is even read.
    """

    share: float = 0.4
    most_s: float = 0.25
    least_s: float = 0.003

    def wait_s(self, left_s: float) -> float:
        """Return the seconds that one store call may take."""
        return min(self.share * left_s, self.most_s)


class Decider:
    """Decides requests with one engine over one store. `engine` may be replaced between decisions.

    `entropy(n)` gives n random bytes; `clock()` gives now in milliseconds, for answers that the store had no part in.
    """

    def __init__(
        self,
        engine: Engine,
        store: DecisionStore,
        entropy: Callable[[int], bytes],
        clock: Callable[[], int],
        patience: Patience = Patience(),
        book: StockBook = NO_BOOK,
    ) -> None:
        self.engine = engine
        self._store = store
        self._entropy = entropy
        self._clock = clock
        self._patience = patience
        self._book = book

    async def decide(self, request: Request, deadline_s: float) -> Decision:
        """Answer one request within `deadline_s` seconds.

        A store that fails or is too slow gives the safe answer, and so does a customer who was erased. Raises
        AlreadyExists when the idempotency key was used for another request.
        """
        engine = self.engine
        if deadline_s < self._patience.least_s:
            return engine.safe(request, TOO_LATE, self._now_ms(request))
        try:
            return await self._decide_in_time(engine, request, deadline_s)
        except CustomerErased:
            return engine.safe(request, ERASED, self._now_ms(request))
        except StoreError as error:
            log.warning("a decision is degraded: %s", type(error).__name__)
            return engine.safe(request, STORE_GONE, self._now_ms(request))

    def told(self, committed: Committed) -> Decision:
        """Return a decision that was committed before, in the words of the strategy in force."""
        return self.engine.answer(committed, None)

    def _now_ms(self, request: Request) -> int:
        return self._clock() if request.as_of_ms is None else request.as_of_ms

    async def _decide_in_time(self, engine: Engine, request: Request, deadline_s: float) -> Decision:
        """Decide; once again when the consent was replaced, or the customer linked or unlinked, meanwhile."""
        now_s = asyncio.get_running_loop().time
        ends_s = now_s() + deadline_s
        try:
            return await self._decide(engine, request, self._patience.wait_s(deadline_s))
        except (ConsentChanged, CustomerLinked):
            return await self._decide(engine, request, self._patience.wait_s(ends_s - now_s()))

    async def _decide(self, engine: Engine, request: Request, wait_s: float) -> Decision:
        random = self._entropy(12 + 4 * len(request.placements))
        key, asked = request.idempotency_key, request.customer
        decision_id = self._store.decision_id(asked, key, random[:12])
        known = await self._store.read(asked, decision_id if key else None, wait_s, key)
        if known.erased:
            raise CustomerErased("nothing is kept or used about this customer")
        if known.decided is not None:
            return engine.answer(_same_request(known.decided, engine.digest(request)), None)
        if known.customer not in ("", asked):  # an alias was asked about: decide for the person
            request = replace(request, customer=known.customer)
            decision_id = self._store.decision_id(known.customer, key, random[:12])
        snapshot = engine.see(known, request, stocks := self._book.stocks)
        if unlisted := engine.unlisted(snapshot, stocks):
            snapshot = engine.see(known, request, await self._book.look_up(unlisted, LOOK_UP_SHARE * wait_s))
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        planned = engine.arbitrate(decision_id, request, snapshot, judged, scores, _dice(random[12:]))
        checked = engine.check(planned, snapshot)
        _alarm(checked)
        commit = engine.commit(checked.entry, request, known.now_ms, asked, known.consent)
        committed = await self._store.commit(commit, wait_s)
        told = request.explain and not committed.repeated
        explained = engine.explain(snapshot, judged, scores, request) if told else None
        return engine.answer(_same_request(committed, engine.digest(request)), checked.entry, explained)


def _dice(random: bytes) -> tuple[float, ...]:
    """Return one draw in [0, 1) for every four random bytes."""
    return tuple(int.from_bytes(random[at : at + 4]) / 2**32 for at in range(0, len(random), 4))


def _same_request(committed: Committed, digest: bytes) -> Committed:
    if committed.repeated and committed.digest != digest:
        raise AlreadyExists("this idempotency key was used for another request; use a new key")
    return committed


def _alarm(checked: Checked) -> None:
    for rule in checked.objections:
        log.critical("the independent check disagreed over rule %s in decision %s", rule, checked.entry.decision_id)
