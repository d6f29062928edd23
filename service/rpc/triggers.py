"""TriggerService: moments that are due, to those who say them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from time import monotonic

from service.core.decision import Decision
from service.core.due import Ended, Lent, Name, Sendable, put_off_ms
from service.errors import Forbidden, Overloaded, OverQuota, StoreError, TactError
from service.rpc import convert_trigger as convert
from service.rpc.access.gate import at_hand
from service.rpc.batches import FEW_IN_FLIGHT, side_by_side
from service.rpc.edge import Current, Edge
from service.rpc.wrapper import TimeToEnd
from tact.v1 import trigger_pb2 as pb

LOOK_EVERY_S = 1.0
"""How long it is looked for due moments again after none were found."""
LOOK_AT_LOANS_S = 0.05
"""After how long it is looked whether a consumer has acknowledged to another process; twice as long each time."""
LOOK_AT_LOANS_AT_LEAST_S = 1.0
MOST_STREAMS = 64
"""How many streams one caller has in a process at most."""
LATER_S = 5.0
DECIDED_AT_ONCE = 16
"""How many moments of a stream are decided side by side."""


class Triggers:
    """Answers the calls of TriggerService."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._looked_s: dict[str, float] = {}
        self._streams = _Streams()

    async def subscribe(
        self, request: pb.SubscribeRequest, left: TimeToEnd
    ) -> AsyncGenerator[pb.SubscribeResponse, None]:
        """Send moments of a channel as they become due, and as what was sent is acknowledged."""
        most, lease_s = convert.subscription_of(request, self._current.edge)
        self._check_channel(request.channel)
        taken = _Taken(self._current, most)
        with self._streams.one_more(request.channel, self._identity(), taken):
            async with aclosing(self._stream(request, taken, most, lease_s, left)) as answers:
                async for answer in answers:
                    yield answer

    async def _stream(
        self, request: pb.SubscribeRequest, taken: _Taken, most: int, lease_s: float, left: TimeToEnd
    ) -> AsyncGenerator[pb.SubscribeResponse, None]:
        while self._goes_on(left):
            if not request.until_none and (rests_s := self._rests_s(request.channel)) > 0:
                await asyncio.sleep(rests_s)
                continue
            self._looked_s[request.channel] = monotonic()
            found, edge = False, self._current.edge  # the one in force by now, so that no stream keeps an earlier one
            async for names in edge.triggering.due(request.channel, most, edge.limits.batch_s):
                while names and self._goes_on(left):
                    if not (room := await taken.room()):
                        continue
                    some, names, edge = names[:room], names[room:], self._current.edge
                    lent, sendables, refused = await self._decided(edge, some, lease_s)
                    found = found or lent
                    for sendable in sendables:
                        taken.add(sendable.lent, lease_s)
                        yield convert.moment_message(sendable, self._answer(edge, sendable.decision), lease_s)
                    if refused is not None:
                        raise refused
            if found:
                self._looked_s.pop(request.channel, None)
            elif request.until_none:
                return

    def _rests_s(self, channel: str) -> float:
        """Return how many seconds nobody need look at a channel: one look is enough for all streams of a process."""
        return self._looked_s.get(channel, -LOOK_EVERY_S) + LOOK_EVERY_S - monotonic()

    async def acknowledge(self, request: pb.AcknowledgeRequest, deadline_s: float) -> pb.AcknowledgeResponse:
        """End moments that were said or will not be, and put off those that could not be."""
        edge = self._current.edge
        told = convert.acknowledged_of(request, edge)
        self._check_channel(request.channel)
        self._current.count(len(told))
        held = [False] * len(told)

        async def end(place: int) -> None:
            name, loan, result = told[place]
            held[place] = await _acknowledged(edge, name, loan, result, deadline_s)
            self._streams.acknowledged(request.channel, name, loan)

        await side_by_side(end, range(len(told)), FEW_IN_FLIGHT)
        return pb.AcknowledgeResponse(held=held)

    async def list_dead_moments(
        self, request: pb.ListDeadMomentsRequest, deadline_s: float
    ) -> pb.ListDeadMomentsResponse:
        """List what nobody could finish."""
        edge = self._current.edge
        most = convert.dead_of(request, edge)
        dead = await edge.stores.moments.dead(request.channel, most, deadline_s, customer=request.customer_id)
        return convert.dead_message(dead)

    async def release_dead_moments(
        self, request: pb.ReleaseDeadMomentsRequest, deadline_s: float
    ) -> pb.ReleaseDeadMomentsResponse:
        """Let what nobody could finish be due again, or give it up."""
        edge = self._current.edge
        names, moments = convert.released_of(request, edge), edge.stores.moments
        self._current.count(len(names))
        released = [await moments.release(name, deadline_s, give_up=request.give_up) for name in names]
        return pb.ReleaseDeadMomentsResponse(released=sum(released))

    async def _decided(
        self, edge: Edge, names: Sequence[Name], lease_s: float
    ) -> tuple[bool, Sequence[Sendable], TactError | None]:
        """Lend moments to this stream; return whether any were, those that are to be sent, and why no more of them.

        What the caller may not have now is given back at once, to whoever else listens.
        """
        sendable: list[Sendable] = []
        refused: list[TactError] = []
        wait_s = edge.limits.deadline_s

        async def decide(lent: Lent) -> None:
            try:
                if (one := await self._sendable(edge, lent, lease_s, wait_s)) is not None:
                    sendable.append(one)
            except (Forbidden, OverQuota, Overloaded) as error:
                refused.append(error)
                with suppress(StoreError):
                    await edge.stores.moments.give_back(lent.name, lent.loan, edge.clock(), wait_s)

        lent = await edge.triggering.lend(names, lease_s, wait_s)
        await side_by_side(decide, lent, DECIDED_AT_ONCE)
        return bool(lent), sendable, refused[0] if refused else None

    async def _sendable(self, edge: Edge, lent: Lent, lease_s: float, wait_s: float) -> Sendable | None:
        """Decide one moment in its turn; None also where the store failed: it is given out again after its loan."""
        if self._current.access is not None:
            self._current.access.check(lent.name.customer, lent.name.channel)
        admission = self._current.admission
        kind = admission.classes.of(lent.name.channel, streamed=True)
        if not admission.take(kind):
            await admission.wait_in_turn(kind, lent.name.channel)
        began_s = admission.clock()
        try:
            return await edge.triggering.sendable(lent, lease_s, wait_s)
        except StoreError:
            return None
        finally:
            admission.give_back(kind, began_s)

    def _answer(self, edge: Edge, decision: Decision) -> bytes:
        """Return a decision as whoever calls may be told it."""
        if self._current.access is not None:
            decision = edge.depths.decision(decision, at_hand().depth, None)
        return edge.answers.of(decision, "")

    def _identity(self) -> str:
        return at_hand().identity if self._current.access is not None else ""

    def _check_channel(self, channel: str) -> None:
        """Raise `Forbidden` unless whoever calls decides for this channel, and for more than one customer."""
        if self._current.access is None:
            return
        caller = at_hand()
        if caller.customer is not None or channel not in caller.channels:
            raise Forbidden

    def _goes_on(self, left: TimeToEnd) -> bool:
        return not self._current.draining and ((seconds := left()) is None or seconds > 0)


class _Taken:
    """What one stream has sent, so that no more waits for its consumer than it asked for.

    gRPC takes answers long before a consumer reads them: sent ahead, they would be given out again before anybody saw
    them.
    """

    def __init__(self, current: Current, most: int) -> None:
        self._current = current
        self._most = most
        self._sent: dict[tuple[Name, str], tuple[Lent, float]] = {}
        self._fewer = asyncio.Event()
        self._rests_s = LOOK_AT_LOANS_S

    def add(self, lent: Lent, lease_s: float) -> None:
        """Count what is sent now, for as long as it is lent."""
        self._sent[lent.name, lent.loan] = lent, monotonic() + lease_s

    def acknowledged(self, name: Name, loan: str) -> None:
        """Count a loan no more that was acknowledged to this process."""
        if self._sent.pop((name, loan), None) is not None:
            self._fewer.set()

    async def room(self) -> int:
        """Return how many more may be sent now; where there is no room, wait for some, a second at most."""
        if len(self._sent) >= self._most:
            self._fewer.clear()
            await self._look()
        if len(self._sent) >= self._most:
            ends_s = min(until_s for _, until_s in self._sent.values()) - monotonic()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(self._rests_s, ends_s))):
                    await self._fewer.wait()
            self._rests_s = min(2 * self._rests_s, LOOK_AT_LOANS_AT_LEAST_S)
        else:
            self._rests_s = LOOK_AT_LOANS_S
        return max(0, self._most - len(self._sent))

    async def _look(self) -> None:
        """Forget the loans that are over, or that were ended at another process."""
        edge, now_s = self._current.edge, monotonic()
        sent = [lent for lent, until_s in self._sent.values() if until_s > now_s]
        held = {(lent.name, lent.loan) for lent in await edge.stores.moments.held(sent, edge.limits.batch_s)}
        self._sent = {key: one for key, one in self._sent.items() if key in held}


class _Streams:
    """The streams of one process."""

    def __init__(self) -> None:
        self._by_channel: dict[str, set[_Taken]] = defaultdict(set)
        self._callers: Counter[str] = Counter()

    @contextmanager
    def one_more(self, channel: str, caller: str, taken: _Taken) -> Iterator[None]:
        """Count a stream for as long as it lasts; raise `OverQuota` where its caller has too many."""
        if self._callers[caller] >= MOST_STREAMS:
            raise OverQuota(LATER_S)
        self._callers[caller] += 1
        self._by_channel[channel].add(taken)
        try:
            yield
        finally:
            self._by_channel[channel].discard(taken)
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def acknowledged(self, channel: str, name: Name, loan: str) -> None:
        """Let the stream that a moment was sent on have another one."""
        for taken in self._by_channel.get(channel, ()):
            taken.acknowledged(name, loan)


async def _acknowledged(edge: Edge, name: Name, loan: str, result: int, deadline_s: float) -> bool:
    """Do with a moment what its consumer says of it; False where the loan holds no more."""
    moments = edge.stores.moments
    if result != pb.MOMENT_RESULT_FAILED:
        how = Ended.SAID if result == pb.MOMENT_RESULT_SAID else Ended.REFUSED
        return await moments.end(name, loan, how.value, deadline_s)
    state, _ = await moments.known(name.customer, name.trigger, name.key, deadline_s)
    again_ms = edge.clock() + put_off_ms(state.given)
    return await moments.later(name, loan, again_ms, deadline_s, anew=False)
