"""What is remembered of a customer while a decision is made: it is made again of what is known then, or it is safe."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec import structs

from service.core.decision import Commit, Committed, Decision, Known, ReasonCode, Request
from service.core.records import OutcomeRecord
from service.decide import ATTEMPTS, Decider, Patience
from service.policy.remembering import Remembering
from tests.service.test_decide import DEADLINE_S
from tests.service.world import NOW_MS, World, ask, no_exploration, world

REFUSED = 4
POLICY = """\
cool_offs:
  - {id: rest, says: A no is a no., about: {kinds: [offer]}, after: [refused], for: 30d}
consistency:
  - {id: story, says: One story., keep: {kinds: [offer]}, for: 7d, until_changes: []}
"""


@dataclass(slots=True)
class Interrupted:
    """The real store, before whose commits the customer refuses something, as often as there is something to refuse."""

    tact: World
    refusals: list[tuple[str, str]]
    commits: int = 0
    read_as: list[int] = field(default_factory=list)

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision."""
        return self.tact.store.customers.decision_id(customer, idempotency_key, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Read, and note the version of the memory."""
        known = await self.tact.store.customers.read(customer, decision_id, deadline_s, idempotency_key)
        self.read_as.append(known.memory.version)
        return known

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Refuse something first."""
        self.commits += 1
        if self.refusals:
            await refuse(self.tact, *self.refusals.pop())
        return await self.tact.store.customers.commit(commit, deadline_s)


def asked(customer: str, key: str = "") -> Request:
    """Ask as of now: what is refused now is not known to the past."""
    return structs.replace(ask(customer, key=key), as_of_ms=None)


async def refuse(tact: World, decision_id: str, action: str) -> None:
    """Record that an action was refused, and let it count."""
    told = Remembering(tact.store.recorder, tact.store.memory, tact.engine.strategy, tact.store.words)
    await told.record_outcome(OutcomeRecord(decision_id, action, REFUSED, None, 0.0), 5.0)


async def earlier(tact: World, who: str, times: int) -> list[tuple[str, str]]:
    """Decide a few times, and return what can be refused of that."""
    found: list[Decision] = [await tact.decider.decide(asked(who), DEADLINE_S) for _ in range(times)]
    return [(decision.decision_id, decision.answers[0].action) for decision in found]


@pytest.mark.parametrize("key", ["", "mine"], ids=["once", "with-a-key"])
@pytest.mark.parametrize("times", range(1, ATTEMPTS))
async def test_a_refusal_in_the_meantime_counts(clean_store_url: str, tmp_path: Path, times: int, key: str) -> None:
    """The decision is made again of what was refused by then, and never says it."""
    async with world(clean_store_url, tmp_path, policy=POLICY, guardrails=None, caps=None) as tact:
        await tact.agreed("ann", "full", "email")
        refused = await earlier(tact, "ann", times)
        assert {action for _, action in refused} == {"fibre-upgrade"}
        store = Interrupted(tact, refused)
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        decision = await decider.decide(asked("ann", key), DEADLINE_S)
        assert decision.degraded == tact.engine._degraded
        assert decision.answers[0].action == "new-phone"
        assert store.commits == times + 1
        assert store.read_as == sorted(set(store.read_as))


async def test_who_is_refused_by_without_end_gets_the_safe_answer(clean_store_url: str, tmp_path: Path) -> None:
    """After four attempts nothing is said that may be refused by now, and nothing is counted or promised."""
    async with world(clean_store_url, tmp_path, policy=POLICY, guardrails=None, caps=None) as tact:
        await tact.agreed("bob", "full", "email")
        store = Interrupted(tact, await earlier(tact, "bob", ATTEMPTS))
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        decision = await decider.decide(asked("bob"), DEADLINE_S)
        assert [reason.code for reason in decision.degraded] == [ReasonCode.STORE_UNAVAILABLE]
        assert (decision.decision_id, store.commits) == ("", ATTEMPTS)
        known = await tact.store.customers.read("bob", None, 5.0)
        assert known.memory.promised == ()
        assert len(known.memory.refusals) == ATTEMPTS


async def test_who_remembers_nothing_is_never_interrupted(clean_store_url: str, tmp_path: Path) -> None:
    """A strategy without promises and cool-offs commits what it decided, whatever is remembered meanwhile."""
    async with world(clean_store_url, tmp_path, guardrails=None, caps=None) as tact:
        await tact.agreed("cem", "full", "email")
        store = Interrupted(tact, await earlier(tact, "cem", 1))
        decider = Decider(tact.engine, store, no_exploration, lambda: NOW_MS, Patience(most_s=5.0))
        assert (await decider.decide(asked("cem"), DEADLINE_S)).answers[0].action == "fibre-upgrade"
        assert store.commits == 1
