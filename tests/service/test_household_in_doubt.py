"""What a household was granted and nobody settled: counted as long as it may have been said, and no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from service.core.decision import Commit, Committed, Counter, Shared
from service.decide import Patience
from service.errors import CommitTooLate, ConsentChanged, StoreError
from service.policy.household import Householding
from service.store.households import HouseholdStore
from service.store.retention import Retention
from service.store.store import Store
from tests.service.householder import ask
from tests.service.test_household import Failing, failing, offered, street
from tests.service.world import DAY_MS, NOW_MS

HOUR_MS = 3_600_000


async def test_a_refused_commit_leaves_what_another_process_may_be_committing(
    clean_store_url: str, tmp_path: Path
) -> None:
    """With an idempotency key another may commit the same decision with the same use: it counts until that is known."""
    async with street(clean_store_url, tmp_path) as there:
        await there.lives("ada", "1")
        await ask(failing(there, ConsentChanged("replaced")), "ada", "key")
        assert len((await there.store.households.uses("1", 5.0)).times["offers-a-household"]) == 1


async def test_what_the_household_was_not_asked_for_is_not_said_in_its_place(
    clean_store_url: str, tmp_path: Path
) -> None:
    """When a cap of the customer's own binds the granted offer in a race, the next one is not said without a grant."""
    async with street(clean_store_url, tmp_path) as there:
        await there.lives("ada", "1")
        around, known = there.decider()._store, await there.store.customers.context("ada", 5.0)
        own, shared = Counter("fibre", 1, DAY_MS), (Counter("offers-a-household", 2, 7 * DAY_MS),)
        for number, chosen in enumerate((0, -1)):
            commit = Commit(
                "ada", around.decision_id("ada", "", bytes([number] * 12)), b"", NOW_MS, b"entry",
                ((("fibre-upgrade", (own,)), ("new-phone", ())),), known.now_ms,
                shared=Shared("1", ((shared, shared),)),
            )  # fmt: skip
            assert (await around.commit(commit, 5.0)).chosen == (chosen,)
        assert len((await there.store.households.uses("1", 5.0)).times["offers-a-household"]) == 1


class Slow(Failing):
    """A store of decisions that commits when nobody waits for it any more."""

    def __init__(self, decisions: Store) -> None:
        super().__init__(decisions, StoreError("too slow"), commits=False)
        self.late: list[Commit] = []

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Leave it for later."""
        self.late.append(commit)
        return await super().commit(commit, deadline_s)


async def test_a_commit_that_comes_after_its_use_was_given_back_says_nothing(
    clean_store_url: str, tmp_path: Path
) -> None:
    """What was on its way when the household was asked what became of it is refused: the cap holds all the same."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        slow = Slow(there.store)
        around = Householding.around(slow, there.store.households, there.store.issued, there.strategy)
        hasty = there.decider()
        hasty._store, hasty._patience = around, Patience(share=0.5, most_s=3.0)
        assert not (await ask(hasty, "ada")).decision_id
        (late,) = slow.late
        assert offered([await ask(there.decider(granted_ms=0), "ben") for _ in range(3)]) == 2
        now_ms = (await there.store.customers.context("ada", 5.0)).now_ms
        await asyncio.sleep(max(0, late.not_after_ms - now_ms + 5) / 1000)
        with pytest.raises(CommitTooLate):
            await there.store.customers.commit(late, 5.0)


@pytest.mark.parametrize(
    ("kept", "hours", "left"),
    [("decision=12h", 11, 2), ("decision=12h", 12, 1), ("", 8 * 24, 2), ("", 14 * 24, 1)],
    ids=["known-of-hours", "unknown-after-hours", "known-of-days", "unknown-after-days"],
)
async def test_a_use_counts_when_its_decision_would_have_ended_by_now(
    kept: str, hours: int, left: int, clean_store_url: str, tmp_path: Path
) -> None:
    """As long as decisions are kept, one that is not there was not made; after that it may have been, and counts."""
    async with street(clean_store_url, tmp_path) as there:
        for name in ("ada", "ben"):
            await there.lives(name, "1")
        await ask(failing(there, StoreError("gone")), "ada")
        with Redis.from_url(clean_store_url) as raw:
            (key,) = raw.scan_iter("tact:{h:*")
            ((name, packed),) = raw.hgetall(key).items()
            at_ms, ends_ms, granted_ms, counters = msgspec.msgpack.decode(packed)
            raw.hset(key, name, msgspec.msgpack.encode((at_ms, ends_ms, granted_ms - hours * HOUR_MS, counters)))
        later, households = there.decider(), HouseholdStore(there.store.calls, Retention.parse(kept))
        later._store = Householding.around(there.store.customers, households, there.store.issued, there.strategy)
        assert offered([await ask(later, "ben") for _ in range(3)]) == left
