"""Whom models are to be asked about again: everyone who changed is lent out at least once, to one job at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest
from redis import Redis

from models.context import FoldKind
from models.folds import Operation
from service.core.predictions import Change
from service.core.records import ConsentRecord, EventToFold
from service.store import keys
from service.store.changes import ChangeStore
from service.store.store import Store
from tests.store.patience import patient
from tests.store.running import LEVELS

NOW_MS = 1_790_000_000_000
LONG_S = 60.0
SEEN = Operation(1, "s", FoldKind.COUNT, 1)


@asynccontextmanager
async def opened(url: str, mark_changes: bool = True) -> AsyncIterator[Store]:
    """Open a store that notes who changed."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", mark_changes=mark_changes)
        await store.calls.load_functions()
        yield store


async def happened(store: Store, customer: str, event: str = "e1") -> None:
    """Let an event happen to a customer."""
    await store.events.fold(customer, [EventToFold(event, NOW_MS, (SEEN,))])


async def lent(changes: ChangeStore, most: int = 100, lease_s: float = LONG_S) -> list[Change]:
    """Return all that is lent out in one look at every bucket."""
    return [one async for some in changes.lend(most, lease_s) for one in some]


def names(changes: list[Change]) -> list[str]:
    """Return whom changes are about, in order."""
    return sorted(one.customer for one in changes)


async def test_who_changed_is_lent_once_and_after_the_work_no_more(clean_store_url: str) -> None:
    """Everyone of whom an event was stored is lent to one job; when the work is done nobody is left."""
    customers = sorted(f"c{number}" for number in range(30))
    async with opened(clean_store_url) as store:
        for customer in customers:
            await happened(store, customer)
        first = await lent(store.changes)
        assert names(first) == customers
        assert await lent(store.changes) == []
        assert await store.changes.finish(first) == len(customers)
        assert await lent(store.changes) == []


async def test_without_predictions_nobody_is_noted(clean_store_url: str) -> None:
    """A strategy in which no model writes a field notes nobody, so that nothing piles up."""
    async with opened(clean_store_url, mark_changes=False) as store:
        await happened(store, "ina")
        assert await lent(store.changes) == []


async def test_an_event_that_was_there_before_changes_nothing(clean_store_url: str) -> None:
    """Repeating an event is no reason to ask models again."""
    async with opened(clean_store_url) as store:
        await happened(store, "ina")
        await store.changes.finish(await lent(store.changes))
        await happened(store, "ina")
        assert await lent(store.changes) == []


async def test_who_changes_while_lent_is_lent_again(clean_store_url: str) -> None:
    """What a job read before the change is not the end of it: its finish does not hide the later change."""
    async with opened(clean_store_url) as store:
        await happened(store, "ina")
        first = await lent(store.changes)
        await happened(store, "ina", "e2")
        assert await store.changes.finish(first) == 0
        second = await lent(store.changes)
        assert names(second) == ["ina"]
        assert await store.changes.finish(first) == 0
        assert await store.changes.finish(second) == 1


async def test_what_a_job_did_not_finish_is_lent_again(clean_store_url: str) -> None:
    """A job that went away loses nothing: when its time is over another one gets the customer, and only that one ends
    it.
    """
    async with opened(clean_store_url) as store:
        await happened(store, "ina")
        gone = await lent(store.changes, lease_s=0.0)
        taken = await lent(store.changes)
        assert names(gone) == names(taken) == ["ina"]
        assert await store.changes.finish(gone) == 0
        assert await lent(store.changes) == []
        assert await store.changes.finish(taken) == 1


async def test_jobs_share_the_work(clean_store_url: str) -> None:
    """Four jobs that look at the same time get everyone between them, and nobody twice."""
    customers = [f"c{number}" for number in range(200)]
    async with opened(clean_store_url) as store, opened(clean_store_url) as other:
        for customer in customers:
            await happened(store, customer)
        jobs = await asyncio.gather(*(lent(each.changes, most=7) for each in (store, other, store, other)))
    assert names([one for job in jobs for one in job]) == sorted(customers)


def neighbours(count: int) -> list[str]:
    """Return customers of one bucket."""
    return list(islice((name for name in map(str, range(100_000)) if keys.bucket(name) == "0a3"), count))


@pytest.mark.parametrize("most", [1, 3, 1000])
async def test_no_answer_has_more_than_is_asked_for(clean_store_url: str, most: int) -> None:
    """Changes come in answers of at most so many, from one bucket or several, and an answer is never empty."""
    async with opened(clean_store_url) as store:
        for customer in [*neighbours(7), "c1", "c2", "c3"]:
            await happened(store, customer)
        sizes = [len(some) async for some in store.changes.lend(most, LONG_S)]
    assert sum(sizes) == 10
    assert all(1 <= size <= most for size in sizes)


async def test_who_waited_longest_is_lent_first(clean_store_url: str) -> None:
    """Within a bucket a customer who keeps changing does not fall behind those who changed later."""
    other, one = neighbours(2)  # their names alone would put the other one first
    async with opened(clean_store_url) as store:
        await happened(store, one)
        await asyncio.sleep(0.002)  # the next millisecond of the store's clock
        await happened(store, other)
        await happened(store, one, "e2")
        firsts = [some[0].customer async for some in store.changes.lend(1, LONG_S)]
    assert firsts == [one, other]


async def test_another_consent_is_a_change_too(clean_store_url: str) -> None:
    """Who agrees to more is looked at again without waiting for an event; the same consent again is no change."""
    full = ConsentRecord("full", (), NOW_MS, "form")
    async with opened(clean_store_url) as store:
        await store.consents.set_consent("ina", full)
        first = await lent(store.changes)
        assert names(first) == ["ina"]
        await store.changes.finish(first)
        await store.consents.set_consent("ina", full)
        assert await lent(store.changes) == []


async def test_the_notes_end_with_the_context(clean_store_url: str) -> None:
    """The note has a time to live like the context that it is about."""
    async with opened(clean_store_url) as store:
        await happened(store, "ina")
    with Redis.from_url(clean_store_url) as raw:
        context, changed = raw.pttl(keys.context_key("ina")), raw.pttl(keys.changed_key(keys.bucket("ina")))
    assert isinstance(context, int)
    assert isinstance(changed, int)
    assert abs(context - changed) < 60_000
