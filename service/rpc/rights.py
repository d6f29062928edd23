"""RightsService: everything that is kept about a person, told or removed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from service.core.audit import Who
from service.core.records import Person
from service.core.rights import Kept, KeptDecision
from service.core.words import Words
from service.rpc import convert_rights as convert
from service.rpc.convert_consent import customer_of
from service.rpc.convert_trigger import exported_moment
from service.rpc.edge import Current, Edge
from service.rpc.origins import ORIGIN
from service.rpc.wrapper import TimeToEnd
from tact.v1 import rights_pb2 as pb


class Rights:
    """Answers the calls of RightsService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def export_customer(
        self, request: pb.ExportCustomerRequest, left: TimeToEnd
    ) -> AsyncGenerator[pb.ExportItem, None]:
        """Tell everything that is kept about a person, item by item."""
        edge, customer, items = self._current.edge, customer_of(request.customer_id), 0
        self._current.check(customer)
        person = await edge.stores.rights.person(customer, left())
        begun_ms, words = 0, _StoredWords(edge)
        for one in person.identities:
            kept = await edge.stores.rights.kept(one, left())
            begun_ms = begun_ms or kept.now_ms
            async for item in _exported(one, person, kept, words, left):
                yield item
                items += 1
        yield convert.end_item(begun_ms, items)

    async def erase_customer(self, request: pb.EraseCustomerRequest, deadline_s: float) -> pb.EraseCustomerResponse:
        """Remove everything that is kept about a person, and keep it from coming back."""
        edge, customer = self._current.edge, customer_of(request.customer_id)
        self._current.check(customer)
        again, who = bool(await edge.stores.log.erased((customer,), deadline_s)), Who(origin=ORIGIN.get())
        if not again:
            await edge.stores.audit.note_erasure(customer, "asked for", who, deadline_s)
        erased = await edge.stores.rights.erase(customer, deadline_s)
        what = (
            f"{erased.decisions} decisions, {erased.outcomes} outcomes" if erased.decisions or erased.outcomes else ""
        )
        for one in erased.identities if what or not again else ():
            await edge.stores.audit.note_erasure(one, what or "nothing was logged", who, deadline_s)
        rewrites = request.rewrite_append_only_file and await edge.stores.rights.rewrite(deadline_s)
        return convert.erased_answer(erased, rewrites)


class _StoredWords:
    """The words of the strategies that an export meets, each read once."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self._read: dict[str, Words | None] = {edge.strategy.version: Words.of(edge.strategy)}

    async def of(self, decision: KeptDecision, left: TimeToEnd) -> Words | None:
        """Return the words of the strategy that decided; None where they are not kept."""
        version = decision.entry.strategy if decision.entry else ""
        if version not in self._read:
            self._read[version] = await self.edge.stores.words.of(version, left()) if version else None
        return self._read[version]


async def _exported(
    customer: str, person: Person, kept: Kept, words: _StoredWords, left: TimeToEnd
) -> AsyncIterator[pb.ExportItem]:
    """Yield all items of one id."""
    edge = words.edge
    for item in _held(customer, person, kept, edge):
        yield item
    for trigger, key, state in await edge.stores.moments.told(customer, left()):
        yield exported_moment(customer, trigger, key, state)
    async for decision in edge.stores.rights.decisions(customer, kept.log_end, left()):
        yield convert.decision_item(customer, decision, edge, await words.of(decision, left))
    async for outcome in edge.stores.rights.outcomes(customer, kept.out_end, left()):
        yield convert.outcome_item(customer, outcome)


def _held(customer: str, person: Person, kept: Kept, edge: Edge) -> Iterator[pb.ExportItem]:
    """Yield the items of what stands in keys of one id's own."""
    yield convert.identity_item(customer, person, kept)
    yield from convert.consent_items(customer, kept)
    yield from convert.field_items(customer, kept, edge.strategy.schema)
    yield from convert.cap_items(customer, kept)
    yield from convert.memory_items(customer, kept)
    yield from convert.event_items(customer, kept)
    yield from convert.remnant_items(customer, kept)
