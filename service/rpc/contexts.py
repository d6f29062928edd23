"""ContextService: events in, consent, and what is known of a customer."""

from __future__ import annotations

import time
from collections import Counter
from typing import TypeAlias

from service.core.records import EventFate, EventToFold
from service.errors import InvalidArgument
from service.rpc import convert_consent, convert_event
from service.rpc import convert_context as convert
from service.rpc.access.gate import at_hand
from service.rpc.batches import FEW_IN_FLIGHT, a_turn, side_by_side
from service.rpc.checks import check_batch
from service.rpc.edge import Current, Edge
from service.rpc.event_batches import EventBatch, read_batch
from service.rpc.wanting import count_wanted
from service.rpc.wrapper import Raws, TimeLeft
from tact.v1 import context_pb2 as pb

_FIRST_REFUSED = 100

ToFold: TypeAlias = dict[str, list[tuple[int, EventToFold]]]


class Contexts:
    """Answers the calls of ContextService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def record_events(self, batch: EventBatch, deadline_s: float) -> pb.RecordEventsResponse:
        """Fold a batch of events, each answered for itself."""
        self._current.count(len(batch.events))
        ends_s = time.monotonic() + deadline_s
        async with self._current.batches.place(deadline_s):
            results = await _folded(batch, self._current.edge, max(0.0, ends_s - time.monotonic()))
        return pb.RecordEventsResponse(results=results)

    async def record_events_stream(self, raws: Raws, left: TimeLeft) -> pb.RecordEventsStreamResponse:
        """Fold batch after batch, and tell the totals at the end."""
        totals: Counter[int] = Counter()
        first_refused: list[pb.EventResult] = []
        async for raw in raws:
            if self._current.access is not None:
                self._current.access.check_item()
            batch = read_batch(raw)
            self._current.count(len(batch.events))
            async with self._current.batches.place(left(), streamed=True):
                results = await _folded(batch, self._current.edge, left())
            for result in results:
                totals[result.status] += 1
                if result.status in convert_event.REFUSED and len(first_refused) < _FIRST_REFUSED:
                    first_refused.append(result)
        return convert_event.totals_answer(totals, first_refused)

    async def get_context(self, request: pb.GetContextRequest, deadline_s: float) -> pb.GetContextResponse:
        """Show what is known of one customer, as far as the consent allows."""
        edge = self._current.edge
        as_of_ms = convert.context_question(request, edge)
        self._current.check(request.customer_id)
        known = await edge.stores.customers.context(request.customer_id, deadline_s)
        told = None if self._current.access is None else edge.depths.told(at_hand().depth)
        return convert.context_answer(known, edge.strategy, as_of_ms, told)

    async def set_consent(self, request: pb.SetConsentRequest, deadline_s: float) -> pb.SetConsentResponse:
        """Replace the consent of one customer."""
        edge = self._current.edge
        consent = convert_consent.consent_of(request, edge, edge.clock())
        self._current.check(request.customer_id)
        stored = await edge.stores.consents.set_consent(request.customer_id, consent, deadline_s)
        return pb.SetConsentResponse(consent=convert_consent.consent_message(stored))

    async def get_consent(self, request: pb.GetConsentRequest, deadline_s: float) -> pb.GetConsentResponse:
        """Read the consent of one customer, with how it changed where that is asked for."""
        edge = self._current.edge
        customer = convert_consent.customer_of(request.customer_id)
        self._current.check(customer)
        agreed = await edge.stores.consents.agreed(customer, history=request.history, deadline_s=deadline_s)
        return convert_consent.consent_answer(agreed, edge.strategy)


async def _folded(batch: EventBatch, edge: Edge, deadline_s: float) -> list[pb.EventResult]:
    """Fold the good events of a batch, customer by customer, and tell the fate of each in the order of the batch."""
    check_batch("events", len(batch.events))
    results, to_fold = await _sorted_out(batch, edge)
    wants = edge.vocabulary.wants

    async def fold(customer: str) -> None:
        placed = to_fold[customer]
        fates = await edge.stores.events.fold(customer, [event for _, event in placed], deadline_s)
        for (position, _), fate in zip(placed, fates, strict=True):
            convert_event.tell_fate(results[position], fate)
            if wants and fate is EventFate.STORED:
                count_wanted(batch.events[position], edge)

    await side_by_side(fold, to_fold, FEW_IN_FLIGHT)
    return results


async def _sorted_out(batch: EventBatch, edge: Edge) -> tuple[list[pb.EventResult], ToFold]:
    """Return a result for each event, refused or still open, and the good ones by customer with their positions."""
    now_ms = edge.clock()
    results: list[pb.EventResult] = []
    to_fold: ToFold = {}
    for position, event in enumerate(batch.events):
        await a_turn(position)
        if position in batch.unreadable:
            results.append(convert_event.refused_event(event.event_id, (batch.unreadable[position],)))
            continue
        try:
            good = convert_event.event_of(event, edge, now_ms)
            to_fold.setdefault(event.customer_id, []).append((position, good))
            results.append(pb.EventResult(event_id=event.event_id))
        except InvalidArgument as refused:
            results.append(convert_event.refused_event(event.event_id, refused.violations))
    return results, to_fold
