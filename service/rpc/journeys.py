"""JourneyService: customers found by their ids, and the journey of one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from models.context import EventType, Purpose
from service.core.decision import Known
from service.core.explained import Depth
from service.core.journey import (
    Agreed,
    Decided,
    Page,
    Source,
    Step,
    grounds_of_actions,
    moments_of_truth,
    page_of,
    purposes_of_events,
)
from service.core.records import ConsentRecord, Person
from service.core.rights import KeptDecision, KeptOutcome
from service.core.strategy import ConsentLevel, Strategy
from service.rpc import convert_journey as convert
from service.rpc.access.gate import at_hand
from service.rpc.convert_consent import level_of
from service.rpc.edge import Current, Edge
from tact.v1 import journey_pb2 as pb

LIKE_FROM = 3
"""From how many characters on ids are looked for that only begin so: fewer would find too many."""
SEARCH_COUNTS_AS = 32
"""As how many calls a search by beginning counts: every bucket of customers is asked."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose journey is told: the person, the consent level, before which arrival, how much, and until when."""

    edge: Edge
    person: Person
    level: ConsentLevel
    before_ms: int
    limit: int
    ends_s: float

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.ends_s - time.monotonic())


@dataclass(frozen=True, slots=True)
class Telling:
    """What a strategy says of events: their words, purposes, and the guardrails that look at them; and of its actions:
    their words, and the fields that each gives away.
    """

    version: str
    events: Mapping[str, EventType]
    purposes: Mapping[str, Purpose]
    truths: Mapping[str, tuple[str, ...]]
    actions: Mapping[str, str]
    grounds: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, strategy: Strategy) -> Self:
        """Collect it."""
        return cls(
            strategy.version,
            dict(strategy.schema.events),
            purposes_of_events(strategy.schema),
            moments_of_truth(strategy),
            {action.id: action.says for action in strategy.actions},
            grounds_of_actions(strategy),
        )


class Journeys:
    """Answers the calls of JourneyService."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._telling: Telling | None = None

    async def search_customers(
        self, request: pb.SearchCustomersRequest, deadline_s: float
    ) -> pb.SearchCustomersResponse:
        """Find customers by an id, or by how it begins."""
        edge, ends_s = self._current.edge, time.monotonic() + deadline_s
        query, limit = convert.search_question(request)
        exact = [query] if await edge.stores.journeys.is_kept(query, deadline_s) else []
        like: tuple[str, ...] = ()
        if len(query) >= LIKE_FROM:
            self._current.count(SEARCH_COUNTS_AS)
            async with self._current.batches.place(max(0.0, ends_s - time.monotonic())):
                like = await edge.stores.journeys.ids_like(query, limit + 1, max(0.0, ends_s - time.monotonic()))
        found: dict[str, pb.FoundCustomer] = {}
        for one in dict.fromkeys((*exact, *like)):
            if len(found) < limit and (customer := await self._found(edge, one, ends_s)) is not None:
                found.setdefault(customer.customer_id, customer)
        return pb.SearchCustomersResponse(customers=found.values(), more=len(like) > limit)

    async def get_journey(self, request: pb.GetJourneyRequest, deadline_s: float) -> pb.GetJourneyResponse:
        """Tell the journey of one person, as far as the consent allows."""
        edge, ends_s = self._current.edge, time.monotonic() + deadline_s
        customer, limit, before_ms = convert.journey_question(request)
        self._current.check(customer)
        known = await edge.stores.customers.context(customer, deadline_s)
        if known.erased:
            return pb.GetJourneyResponse(customer_id=customer)
        person = await edge.stores.identities.person(customer, max(0.0, ends_s - time.monotonic()))
        level = level_of(known.level, edge.strategy)
        page = await self._page(_Asked(edge, person, level, before_ms, limit, ends_s), known)
        depth = Depth.AUDITOR if self._current.access is None else at_hand().depth
        return convert.journey_answer(page, person, level, edge, self._tells(edge.strategy), depth)

    async def _page(self, asked: _Asked, known: Known) -> Page:
        """Return the steps of a page, read from all ids of the person side by side."""
        letters = "".join(purpose.group for purpose in asked.level.purposes)
        parts = [_consents(asked)]
        for one in asked.person.identities:
            parts += [_events(asked, one, letters), _decisions(asked, one), _outcomes(asked, one)]
        return page_of(await asyncio.gather(*parts), asked.limit)

    async def _found(self, edge: Edge, customer: str, ends_s: float) -> pb.FoundCustomer | None:
        """Return who is behind an id that was found; None, and it is found no more, when nothing is kept of it."""
        stores = edge.stores
        if not await stores.journeys.is_kept(customer, max(0.0, ends_s - time.monotonic())):
            await stores.journeys.unlist(customer, max(0.0, ends_s - time.monotonic()))
            return None
        person = await stores.identities.person(customer, max(0.0, ends_s - time.monotonic()))
        self._current.check(person.id)
        agreed = await stores.consents.agreed(person.id, history=False, deadline_s=max(0.0, ends_s - time.monotonic()))
        level = level_of(agreed.consent.level if agreed.consent else None, edge.strategy)
        linked = [one for one in person.identities if one != person.id]
        return pb.FoundCustomer(customer_id=person.id, matched_id=customer, linked_ids=linked, consent_level=level.id)

    def _tells(self, strategy: Strategy) -> Telling:
        if self._telling is None or self._telling.version != strategy.version:
            self._telling = Telling.of(strategy)
        return self._telling


async def _events(asked: _Asked, one: str, letters: str) -> Source:
    found = await asked.edge.stores.journeys.happened(one, asked.person.id, letters, asked.left_s())
    steps = (Step(event.at_ms, event.arrived_ms, one, event) for event in found)
    return Source(_before(asked.before_ms, steps))


async def _decisions(asked: _Asked, one: str) -> Source:
    back = await asked.edge.stores.journeys.decisions(one, asked.before_ms, asked.limit, asked.left_s())
    steps = []
    for kept in back.found:
        if isinstance(kept, KeptDecision) and kept.entry is not None and kept.committed is not None:
            told = asked.edge.decider.told(kept.committed)
            made = Decided(told, kept.entry.channel, kept.entry.level)
            steps.append(Step(kept.entry.at_ms, kept.logged_ms, one, made))
    return Source(_before(asked.before_ms, steps), back.whole_from_ms)


async def _outcomes(asked: _Asked, one: str) -> Source:
    back = await asked.edge.stores.journeys.outcomes(one, asked.before_ms, asked.limit, asked.left_s())
    steps = (Step(kept.at_ms, kept.arrived_ms, one, kept) for kept in back.found if isinstance(kept, KeptOutcome))
    return Source(_before(asked.before_ms, steps), back.whole_from_ms)


async def _consents(asked: _Asked) -> Source:
    agreed = await asked.edge.stores.consents.agreed(asked.person.id, history=True, deadline_s=asked.left_s())
    steps, before = [], ""
    for change in agreed.changes:
        steps.append(_consent_step(asked.person.id, change, before))
        before = change.level
    return Source(_before(asked.before_ms, steps))


def _consent_step(person: str, change: ConsentRecord, before: str) -> Step:
    return Step(change.given_ms, change.arrived_ms or change.given_ms, person, Agreed(change, before))


def _before(before_ms: int, steps: Iterable[Step]) -> tuple[Step, ...]:
    return tuple(step for step in steps if not before_ms or step.arrived_ms < before_ms)
