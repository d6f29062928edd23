"""What a case takes for remembered is what a store remembers of whom the same was said to and who replied the same."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec.structs import replace as changed

from models.context import Scalar
from service.cases.case import Case, Replied, Said
from service.cases.memory import KINDS, Past
from service.cases.reader import read_cases
from service.core import plan
from service.core.caps import CapTable
from service.core.decision import Commit, Counter, Known
from service.core.loader import load_strategy
from service.core.memory import Give
from service.core.plan import Entry
from service.core.promises import Promises
from service.core.records import ConsentRecord, OutcomeRecord, OutcomeStatus
from service.policy.remembering import Remembering
from service.store.store import Store
from tests.cli.commands import DEMO
from tests.store.patience import patient

SHOWN, CLICKED, ACCEPTED = 1, 2, 3
ENOUGH_S = 20.0
STRATEGY = load_strategy(DEMO)
CASES = [
    case
    for case in read_cases(DEMO, STRATEGY)
    if (case.said or case.replied) and not any(said.elsewhere for said in case.said)
]


@dataclass(frozen=True)
class Life:
    """One customer in a store, to whom things are said and who replies, at the moments of a case."""

    store: Store
    outcomes: Remembering
    caps: CapTable
    promises: Promises
    customer: str
    case: Case

    async def lived(self) -> Known:
        """Let everything happen in its order, and return what the store then knows."""
        events: list[Said | Replied] = [*self.case.said, *self.case.replied]
        for event in sorted(events, key=lambda one: -one.ago_ms):
            await (self.hears(event) if isinstance(event, Said) else self.replies(event))
        return await self.store.customers.read(self.customer, None, ENOUGH_S)

    async def hears(self, said: Said) -> None:
        """Commit a decision that says it, and tell what was seen of it."""
        at_ms = self.case.now_ms - said.ago_ms
        index = next(action.index for action in STRATEGY.actions if action.id == said.action)
        counters = self.caps.all_counters(said.channel, said.placement, index, at_ms)
        gives = self.promises.gives((said.action,), said.channel, values(self.case, said), at_ms)
        decision = await self.decided(said.action, at_ms, counters, gives, said.channel)
        for kind, came in ((SHOWN, said.shown), (CLICKED, said.clicked)):
            if came:
                await self.told(decision, said.action, kind, at_ms)

    async def replies(self, reply: Replied) -> None:
        """Tell a reply to a decision that counted for nothing else."""
        at_ms = self.case.now_ms - reply.ago_ms
        decision = await self.decided(reply.action, at_ms)
        await self.told(decision, reply.action, ACCEPTED if reply.how is None else KINDS[reply.how], at_ms)

    async def decided(
        self,
        action: str,
        at_ms: int,
        counters: Sequence[Counter] = (),
        gives: tuple[Give, ...] = (),
        channel: str = "",
    ) -> str:
        """Commit a decision, whatever the caps say, and return its id."""
        decision = self.store.customers.decision_id(self.customer, "", os.urandom(12))
        entry = plan.pack(Entry(decision, self.customer, channel, at_ms, "demo@1", "", "full", (), None, (), (), ()))
        uncapped = tuple(changed(counter, at_most=1_000_000) for counter in counters)
        candidates: Any = (((action, uncapped),),)
        commit = Commit(self.customer, decision, b"once", at_ms, entry, candidates, at_ms, gives=gives, channel=channel)
        assert (await self.store.customers.commit(commit, ENOUGH_S)).chosen == (0,)
        return decision

    async def told(self, decision: str, action: str, kind: int, at_ms: int) -> None:
        """Record an outcome, as OutcomeService does."""
        outcome = OutcomeRecord(decision, action, kind, at_ms, 0.0)
        assert await self.outcomes.record_outcome(outcome, ENOUGH_S) is OutcomeStatus.STORED


@asynccontextmanager
async def life(url: str, case: Case) -> AsyncIterator[Life]:
    """Begin the life of a customer."""
    connections = patient(url)
    groups = {level.id: "".join(p.group for p in level.purposes) for level in STRATEGY.levels}
    store = Store.over(connections, groups, STRATEGY.levels[0].id, schema=STRATEGY.schema)
    promises = Promises.of(STRATEGY)
    assert promises is not None
    customer = f"lives-{os.urandom(8).hex()}"
    try:
        # the latest contact is a fact for service
        agreed = ConsentRecord(STRATEGY.levels[-1].id, (), case.now_ms, "test")
        await store.consents.set_consent(customer, agreed, ENOUGH_S)
        outcomes = Remembering(store.recorder, store.memory, STRATEGY, store.words)
        yield Life(store, outcomes, CapTable(STRATEGY), promises, customer, case)
    finally:
        await connections.close()


def values(case: Case, said: Said) -> tuple[Scalar | None, ...]:
    """Return what was known when something was said, to whom agreed to everything."""
    facts = {**case.customer.facts, **said.then}
    return tuple(facts.get(index) for index in range(len(STRATEGY.schema.fields)))


def uses(known: Known) -> dict[str, tuple[int, ...]]:
    """Return the uses of each counter that its cap still minds."""
    within = {cap.id: cap.within_ms for cap in STRATEGY.caps}
    found = {
        key: tuple(sorted(at for at in times if at > known.now_ms - within[key.partition("|")[0]]))
        for key, times in known.counters.items()
    }
    return {key: times for key, times in found.items() if times}


@pytest.mark.parametrize("case", CASES, ids=[case.says for case in CASES])
async def test_a_case_remembers_what_the_store_remembers(store_url: str, case: Case) -> None:
    """Uses, promises, refusals and the latest contact of each case of the demo are those of a customer's true life."""
    case = replace(case, now_ms=time.time_ns() // 1_000_000)
    imagined = Past(STRATEGY).known(case, lambda known, said: values(case, said))
    async with life(store_url, case) as one:
        known = await one.lived()
    assert uses(known) == uses(imagined)
    promised = {(p.key, p.action, p.given_ms, p.until_ms, p.facts) for p in known.memory.promised}
    assert {one for one in promised if one[3] > case.now_ms} == {
        (p.key, p.action, p.given_ms, p.until_ms, p.facts) for p in imagined.memory.promised if p.until_ms > case.now_ms
    }
    refused = [(r.action, r.group, r.intents, r.kind, r.at_ms) for r in known.memory.refusals]
    assert refused == [(r.action, r.group, r.intents, r.kind, r.at_ms) for r in imagined.memory.refusals]
    assert known.memory.last == imagined.memory.last
