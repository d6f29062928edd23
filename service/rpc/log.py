"""LogService: the log of all customers, for those who learn from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

from service.core.chain_walk import Found
from service.core.chained import Stream
from service.core.logged import Position
from service.core.rights import KeptDecision
from service.core.words import Words
from service.rpc import checks
from service.rpc import convert_log as convert
from service.rpc.batches import side_by_side
from service.rpc.convert_chain import anchors_of, bucket_message, unlinked_ms
from service.rpc.edge import Current, Edge
from service.rpc.wrapper import TimeToEnd
from tact.v1 import log_pb2 as pb

PAGE_BYTES = 1_000_000
"""How large an answer may grow before it is sent; clients accept 4 MiB."""

OUTCOME_BYTES = 256
"""About what an outcome takes at most; ids are short."""

AT_ONCE = 16
"""Of how many buckets the first pages are read side by side: most have no more than that."""

OTHERS_EVERY = 8
"""After how many decisions those that wait for an answer get their turn."""


class Log:
    """Answers the calls of LogService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def read_log(self, request: pb.ReadLogRequest, left: TimeToEnd) -> AsyncGenerator[pb.LogItem, None]:
        """Tell what was logged after the positions, bucket by bucket."""
        edge, after = self._current.edge, convert.positions_of(request)
        began = checks.timestamp(edge.clock())
        words = _Words(edge)
        for first in range(0, convert.BUCKETS, AT_ONCE):
            numbers = range(first, first + AT_ONCE)
            buckets = [_Bucket(edge, words, after.get(bucket, Position(bucket)), left) for bucket in numbers]
            await side_by_side(_Bucket.begin, buckets)
            for bucket in buckets:
                async for item in bucket.items():
                    yield item
        yield pb.LogItem(end=pb.LogEnd(read_at=began))

    async def verify_log(
        self, request: pb.VerifyLogRequest, left: TimeToEnd
    ) -> AsyncGenerator[pb.VerifyLogResponse, None]:
        """Tell of each bucket whether its chains are whole."""
        edge, anchors, unlinked = self._current.edge, anchors_of(request), unlinked_ms(request)
        now_ms = edge.clock()

        found: dict[tuple[int, Stream], Found] = {}

        async def look_at(place: tuple[int, Stream]) -> None:
            found[place] = await edge.stores.chain.verify(*place, now_ms, anchors.get(place), unlinked, left())

        for first in range(0, convert.BUCKETS, AT_ONCE):
            buckets = range(first, first + AT_ONCE)
            await side_by_side(look_at, [(bucket, stream) for bucket in buckets for stream in Stream])
            for bucket in buckets:
                yield bucket_message(bucket, {stream: found.pop((bucket, stream)) for stream in Stream}, anchors)

    async def list_erased(self, request: pb.ListErasedRequest, deadline_s: float) -> pb.ListErasedResponse:
        """Tell which of some customers were erased, and when."""
        checks.check_batch("customer_ids", len(request.customer_ids))
        found = checks.Findings()
        for place, customer in enumerate(request.customer_ids):
            checks.check_id(found, f"customer_ids[{place}]", customer, checks.MAX_CUSTOMER_BYTES)
        found.end()
        for customer in request.customer_ids:
            self._current.check(customer)
        erased = await self._current.edge.stores.log.erased(request.customer_ids, deadline_s)
        return pb.ListErasedResponse(
            erased=[
                pb.ErasedCustomer(customer_id=customer, erased_at=checks.timestamp(erased[customer]))
                for customer in request.customer_ids
                if customer in erased
            ]
        )


class _Words:
    """The words of the strategies that a reading meets, each read once; `new` are those not told yet."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._read: dict[str, Words | None] = {}
        self.new: list[pb.LogItem] = []

    async def of(self, version: str, left: TimeToEnd) -> Words | None:
        """Return the words of a version; None where they are not kept."""
        if version not in self._read:
            own = version == self._edge.strategy.version
            found = Words.of(self._edge.strategy) if own else await self._edge.stores.words.of(version, left())
            self._read[version] = found
            self.new.append(convert.fields_item(version, found))
        return self._read[version]

    def told(self) -> list[pb.LogItem]:
        """Return the items of what was read since this was asked last."""
        new, self.new = self.new, []
        return new


class _Bucket:
    """One bucket, told in pages that are sent when they are large enough."""

    def __init__(self, edge: Edge, words: _Words, after: Position, left: TimeToEnd) -> None:
        self._edge, self._words, self._left = edge, words, left
        self._at = after
        self._page = pb.LogPage()
        self._size = 0
        self._letters = {level.id: "".join(one.group for one in level.purposes) for level in edge.strategy.levels}
        self._lowest = self._letters[edge.strategy.levels[0].id]
        self._allowed: dict[str, str | None] = {}

    async def begin(self) -> None:
        """Read the first pages."""
        self._decided = await self._edge.stores.log.decisions(self._at.bucket, self._at.decisions, self._left())
        self._came = await self._edge.stores.log.outcomes(self._at.bucket, self._at.outcomes, self._left())

    async def items(self) -> AsyncIterator[pb.LogItem]:
        """Yield the fields and pages of the bucket; nothing where nothing is new."""
        before = self._at
        async for item in self._decisions():
            yield item
        async for item in self._outcomes():
            yield item
        if self._at != before:
            yield self._sent()

    async def _decisions(self) -> AsyncIterator[pb.LogItem]:
        found = self._decided
        while found.found:
            await self._allow(one.entry.customer for one in found.found if one.entry)
            for place, kept in enumerate(found.found):
                await self._tell(kept)
                if place % OTHERS_EVERY == OTHERS_EVERY - 1:
                    await asyncio.sleep(0)
            self._at = Position(self._at.bucket, found.last, self._at.outcomes)
            for item in self._words.told():
                yield item
            if self._size > PAGE_BYTES:
                yield self._sent()
            if found.ends:
                break
            found = await self._edge.stores.log.decisions(self._at.bucket, found.last, self._left())

    async def _tell(self, kept: KeptDecision) -> None:
        entry, committed = kept.entry, kept.committed
        if entry is None or committed is None:
            self._page.unreadable += 1
            return
        words, allowed = await self._words.of(entry.strategy, self._left), self._allowed[entry.customer]
        if allowed is not None:
            message = convert.decision_message(entry, committed, words, allowed)
            self._size += message.ByteSize()
            self._page.decisions.append(message)

    async def _outcomes(self) -> AsyncIterator[pb.LogItem]:
        found = self._came
        while found.last != self._at.outcomes:
            self._page.unreadable += found.unreadable
            for customer, kept in found.found:
                self._page.outcomes.append(convert.outcome_message(customer, kept))
            self._at = Position(self._at.bucket, self._at.decisions, found.last)
            if len(self._page.outcomes) * OUTCOME_BYTES > PAGE_BYTES:
                yield self._sent()
            if found.ends:
                break
            found = await self._edge.stores.log.outcomes(self._at.bucket, found.last, self._left())

    def _sent(self) -> pb.LogItem:
        page, self._page, self._size = self._page, pb.LogPage(), 0
        page.position.CopyFrom(convert.position_message(self._at))
        return pb.LogItem(page=page)

    async def _allow(self, customers: Iterable[str]) -> None:
        """Learn what the consents of now allow; nothing of who was erased meanwhile is told."""

        async def learn(customer: str) -> None:
            wait_s = self._left() or self._edge.limits.batch_s
            known = await self._edge.stores.customers.context(customer, wait_s)
            self._allowed[customer] = None if known.erased else self._letters.get(known.level or "", self._lowest)

        await side_by_side(learn, [one for one in dict.fromkeys(customers) if one not in self._allowed])
