"""Moments that are due become what is said: looked at again, decided, and sent only while their reason stands.

    async for names in triggering.due("email", 100): …  # which moments are due
    lent, dead = await triggering.lend(names, 60.0)     # and are lent to this consumer
    sendable = await triggering.sendable(one, 60.0, 1.0)  # decided and noted as sent; None where nothing is to be sent

What is sent is decided under a key of the moment's own, so that one that is given out again, because its consumer has
gone, is decided and counted once.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from service.core.decision import Decision, Known, Request
from service.core.due import Ended, Lent, Name, Sendable, State, ends_ms, said_by
from service.core.due_ruling import Dues, Ruled, Ruling
from service.core.engine import Engine
from service.core.snapshot import Snapshot
from service.core.triggers import Arm, Cell, Moment, Trigger, armed
from service.due_ports import Customers, Decider, Identities, Moments, Standing, StockBook, Validator
from service.errors import StoreError, UnknownDecision
from service.noticing import by
from service.telemetry import Counts

log = logging.getLogger(__name__)

REST_MS = 1_000
"""How long a moment rests at least that is tried again."""

ANOTHER_ID = "another id"
"""Why a moment ends that another id of the person ended, or says."""

_HOW = {Ruled.EXPIRED: Ended.LATE, Ruled.RETIRED: Ended.GONE, Ruled.NO_CONSENT: Ended.SUPPRESSED}
"""How moments end that are dropped; the others because their reason is gone."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """What is known at the moment at which something is due: of the customer, and what becomes of it by that."""

    ruling: Ruling
    others: tuple[str, ...]


class Triggering:
    """Sends what is due, under the engine in force."""

    def __init__(
        self,
        engine: Engine,
        moments: Moments,
        customers: Customers,
        identities: Identities,
        decider: Decider,
        validator: Validator,
        book: StockBook,
        standing: Standing,
        counts: Counts,
        clock: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._dues = Dues(engine.strategy)
        self._moments = moments
        self._customers = customers
        self._identities = identities
        self._decider = decider
        self._validator = validator
        self._book = book
        self._standing = standing
        self._counts = counts
        self._clock = clock

    def due(self, channel: str, most: int, deadline_s: float) -> AsyncIterator[tuple[Name, ...]]:
        """Yield moments that are due on a channel, some at a time, until every bucket was looked at once."""
        return self._moments.due(channel, self._clock(), most, deadline_s)

    async def lend(self, names: Sequence[Name], lease_s: float, deadline_s: float) -> tuple[Lent, ...]:
        """Lend moments, those that are still due and not lent to anybody else."""
        lent, dead = await self._moments.lend(names, lease_s, deadline_s)
        for _ in range(dead):
            self._counts.add("triggers", "dead")
        return lent

    async def sendable(self, lent: Lent, lease_s: float, deadline_s: float) -> Sendable | None:
        """Look at a moment again, decide, and note that it is sent; None where nothing is to be sent, or not now.

        Raises a StoreError when the store fails; the moment is then given out again after its loan.
        """
        looked = await self._looked(lent, deadline_s)
        if looked is None or not await self._is_due(lent, looked.ruling, deadline_s):
            return None
        decision = await self._decider.decide(self._request(lent), deadline_s)
        if not decision.decision_id:
            raise StoreError("nothing could be decided")
        if not said_by(decision):
            await self._held_back(lent, looked.ruling, decision, deadline_s)
            return None
        sent = await self._sent(lent, looked.others, decision.decision_id, lease_s, deadline_s)
        return None if sent is None else Sendable(sent, decision, looked.ruling.due_ms, lent.state.given)

    async def _is_due(self, lent: Lent, ruling: Ruling, deadline_s: float) -> bool:
        """Tell whether a moment is to be decided now; what is not is ended, or put off."""
        if ruling.dropped:
            await self._end(lent, _HOW.get(ruling.ruled, Ended.GONE), deadline_s, ruling.ruled.value)
        elif ruling.ruled is not Ruled.SAY:
            await self._put_off(lent, ruling.again_ms, deadline_s)
        elif not await self._stands(lent, deadline_s):
            await self._end(lent, Ended.SUPPRESSED, deadline_s)
        else:
            return True
        return False

    async def _sent(
        self, lent: Lent, others: tuple[str, ...], decision_id: str, lease_s: float, deadline_s: float
    ) -> Lent | None:
        """Note that a moment is sent; where its reason went meanwhile, let the decision count for nothing."""
        sent = await self._moments.sent(lent, decision_id, lease_s, deadline_s)
        if sent is None:
            self._counts.add("triggers", Ended.GONE.value)
        elif not others or await self._armed(sent, others, deadline_s) is not None:
            self._counts.add("triggers", "sent")
            return sent
        else:
            await self._end(sent, Ended.GONE, deadline_s)
        await self._take_back(lent, deadline_s)
        return None

    async def _looked(self, lent: Lent, deadline_s: float) -> _Looked | None:
        """Return what becomes of a moment by what is known now; None where it is not armed any more, and has ended."""
        known = await self._customers.context(lent.name.customer, deadline_s)
        if known.erased:
            await self._end(lent, Ended.GONE, deadline_s, "erasure")
            return None
        others: tuple[str, ...] = ()
        if known.customer:
            person = await self._identities.person(lent.name.customer, deadline_s)
            others = tuple(one for one in person.identities if one != lent.name.customer)
        moment = await self._armed(lent, others, deadline_s)
        if moment is None:
            await self._end(lent, Ended.GONE, deadline_s, ANOTHER_ID)
            return None
        snapshot = await self._seen(known, self._request(lent), deadline_s)
        return _Looked(self._dues.ruled(moment, snapshot), others)

    async def _seen(self, known: Known, request: Request, deadline_s: float) -> Snapshot:
        snapshot = self._engine.see(known, request, stocks := self._book.stocks)
        if unlisted := self._engine.unlisted(snapshot, stocks):
            return self._engine.see(known, request, await self._book.look_up(unlisted, deadline_s))
        return snapshot

    async def _armed(self, lent: Lent, others: Iterable[str], deadline_s: float) -> Moment | None:
        """Return the moment, as the events of all of the person's ids leave it; None where these ended it.

        Of several ids that are armed the one that began last says it, and of those that began at once the first in
        the order of ids.
        """
        name, arm = lent.name, _arm(lent, self._dues.triggers.get(lent.name.trigger))
        known = [(one, *await self._moments.known(one, name.trigger, name.key, deadline_s)) for one in others]
        own = lent.state.cell
        ended_ms = (max(one.ended_ms, of_all.ended_ms, _done_ms(one)) for _, one, of_all in known)
        ends = Cell((), max((own.ended_ms, own.done_ms, *ended_ms)))
        moment = armed(name.trigger, name.key, own, arm, ends)
        if moment is None:
            return None
        rivals = ((one, state.moment_of(name, ends)) for one, state, _ in known if not state.dead)
        earlier = (-moment.since_ms, name.customer)
        return None if any(rival and (-rival.since_ms, one) < earlier for one, rival in rivals) else moment

    async def _stands(self, lent: Lent, deadline_s: float) -> bool:
        """Tell whether what was decided for a moment that is given out again may still be said, if anything was."""
        if not lent.state.decision:
            return True
        try:
            validity = await self._validator.validate(lent.state.decision, None, deadline_s)
        except UnknownDecision:
            return True
        return not any(standing.reasons for standing in validity.placements if standing.action)

    async def _held_back(self, lent: Lent, ruling: Ruling, decision: Decision, deadline_s: float) -> None:
        """Try again when what holds a moment back ends, as long as it is good; else it ends as suppressed."""
        trigger, ends = self._dues.triggers[lent.name.trigger], ends_ms(decision)
        again = [] if ends is None else [max(ends, decision.at_ms + REST_MS)]
        if trigger.look_again_ms:
            again.append(decision.at_ms + trigger.look_again_ms)
        again_ms = min(again, default=ruling.until_ms)
        if again_ms < ruling.until_ms:
            await self._put_off(lent, again_ms, deadline_s)
            return
        why = decision.answers[0].reasons[0] if decision.answers[0].reasons else None
        await self._end(lent, Ended.SUPPRESSED, deadline_s, by(why) if why else "")

    async def _take_back(self, lent: Lent, deadline_s: float) -> None:
        """Let what was decided for a moment count for nothing, unless a consumer was ever sent it."""
        if lent.state.sent:
            return
        said = await self._standing.recall(self._request(lent), deadline_s)
        if said is not None:
            await self._standing.take_back(said.holds, "", deadline_s)

    async def _put_off(self, lent: Lent, again_ms: int, deadline_s: float) -> None:
        await self._moments.later(lent.name, lent.loan, again_ms, deadline_s, anew=True)
        self._counts.add("triggers", "later")

    async def _end(self, lent: Lent, how: Ended, deadline_s: float, why: str = "") -> None:
        await self._moments.end(lent.name, lent.loan, f"{how.value} by {why}" if why else how.value, deadline_s)
        self._counts.add("triggers", how.value)

    def _request(self, lent: Lent) -> Request:
        trigger = self._dues.triggers.get(lent.name.trigger)
        placements = trigger.placements if trigger else ()
        asked = "|".join((lent.run, lent.name.channel, *placements))
        key = blake2b(asked.encode(), digest_size=24, person=b"tact due").hexdigest()
        return Request(
            lent.name.customer, lent.name.channel, placements, {}, idempotency_key=key, trigger=lent.name.trigger
        )


def _done_ms(state: State) -> int:
    """Return until when another id was dealt with; what it left to others to say is not."""
    return 0 if state.how == f"{Ended.GONE.value} by {ANOTHER_ID}" else state.done_ms


def _arm(lent: Lent, trigger: Trigger | None) -> Arm:
    """Return what armed a moment: by the trigger of now, where there is one, so that what it waits for holds."""
    begun, state = lent.state.begun[0], lent.state
    earliest_ms = trigger.wait.earliest_ms if trigger else 0
    return Arm(lent.name.trigger, lent.name.key, begun.at_ms, begun.base_ms, earliest_ms, state.times, state.within_ms)
