"""An erasure among everything else that goes on: interrupted, under fire, and with news arriving in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

import pytest

from service.core.records import ConsentRecord, OutcomeRecord, OutcomeStatus
from service.errors import ConsentOlder, CustomerErased, LinkRefused
from service.store.retention import Retention
from service.store.rights import RightsStore
from service.store.store import Store
from service.store.suppression import Suppression
from tests.store.persons import KEY, NOW_MS, Died, Dying, Meanwhile, a_commit, fill, mentions, noted, opened


@pytest.mark.parametrize("steps", range(1, 22))
async def test_an_erasure_that_was_interrupted_is_finished_by_the_next(clean_store_url: str, steps: int) -> None:
    """Wherever the process dies, the same call again finds what is left, under every id of the person."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        for alias in ("visitor-1", "visitor-2"):
            await fill(store, alias, f"canary {alias}")
            await store.identities.link(alias, "anna")
        with suppress(Died):
            await rights_over(Dying(store.calls, steps), store).erase("visitor-1")
        await store.rights.erase("visitor-1")
    assert mentions(clean_store_url, "anna", "visitor", "canary") == []


async def test_an_erasure_under_fire_leaves_nothing(clean_store_url: str) -> None:
    """Whatever was under way when the erasure came, of many writers at once, nothing is left when all have ended."""
    async with opened(clean_store_url) as store, opened(clean_store_url) as another:
        decisions = [await fill(store, "anna", f"canary {n}") for n in range(5)]
        stopped = asyncio.Event()
        fire = [asyncio.create_task(work) for one in (store, another) for work in writers(one, decisions, stopped)]
        for pause_s in (0.02, 0.0, 0.03):
            await asyncio.sleep(pause_s)
            await store.rights.erase("anna")
        stopped.set()
        written = await asyncio.gather(*fire)
    assert min(written) > 0, "every writer was under fire"
    assert mentions(clean_store_url, "anna", "canary") == []


def writers(store: Store, decisions: Sequence[str], stopped: asyncio.Event) -> Iterable[Coroutine[Any, Any, int]]:
    """Yield work of each sort that writes about a customer until it is stopped, and counts what it did."""

    async def repeated(work: Callable[[int], Awaitable[object]]) -> int:
        done = 0
        while not stopped.is_set():
            with suppress(CustomerErased, ConsentOlder):
                await work(done)
            done += 1
        return done

    async def decided(n: int) -> None:
        known = await store.customers.context("anna")
        await asyncio.sleep(0)
        await store.customers.commit(a_commit("anna", f"canary {n}", "canary", read_ms=known.now_ms))

    yield repeated(decided)
    yield repeated(lambda n: store.events.fold("anna", [noted(f"canary {n}")]))
    yield repeated(lambda n: store.consents.set_consent("anna", ConsentRecord("full", (), NOW_MS + n, "canary")))
    yield repeated(
        lambda n: store.outcomes.record_outcome(OutcomeRecord(decisions[n % 5], "a", n % 6 + 1, NOW_MS, float(n)), 5.0)
    )


async def test_links_under_way_leave_no_trace_of_who_was_erased(clean_store_url: str) -> None:
    """Ids that are linked to a person and away again while the person is erased keep no mention of them."""
    async with opened(clean_store_url) as store, opened(clean_store_url) as another:
        for round_ in range(8):
            person, stopped = f"anna-{round_}", asyncio.Event()
            await fill(store, person, f"canary {round_}")
            fire = [
                asyncio.create_task(linking(one, f"visitor-{round_}-{n}", person, stopped))
                for n, one in enumerate((store, another))
            ]
            await asyncio.sleep(0.005 * (round_ % 3))
            erased = await store.rights.erase(person)
            stopped.set()
            assert min(await asyncio.gather(*fire)) > 0, "every linking was under fire"
            assert person in erased.identities
            assert (await store.customers.context(person)).erased
    assert mentions(clean_store_url, "anna", "canary") == []


async def linking(store: Store, alias: str, person: str, stopped: asyncio.Event) -> int:
    """Link an id to a person and undo it, again and again; return how often that was tried."""
    done = 0
    while not stopped.is_set() or not done:
        with suppress(CustomerErased, LinkRefused):
            await store.identities.link(alias, person)
            await store.identities.unlink(alias)
        done += 1
    return done


def rights_over(calls: Any, store: Store) -> RightsStore:  # noqa: ANN401 - calls of a sort
    """Return what can erase, with other calls to the store."""
    return RightsStore(calls, Suppression(KEY), store.identities, store.supply, Retention(), store.moments)


async def test_an_outcome_that_arrives_during_the_erasure_goes_too(clean_store_url: str) -> None:
    """Until its decision is gone an outcome can still come in; it does not stay behind."""
    async with opened(clean_store_url) as store:
        decision = await fill(store, "anna", "canary")

        async def outcome() -> None:
            late = OutcomeRecord(decision, "a", 4, NOW_MS, 1.0)
            assert await store.outcomes.record_outcome(late, 5.0) is OutcomeStatus.STORED

        erased = await rights_over(Meanwhile(store.calls, "forget", outcome), store).erase("anna")
    assert (erased.outcomes, erased.outcome_records) == (2, 2)
    assert mentions(clean_store_url, "anna", "canary") == []


async def test_an_id_that_is_linked_during_the_erasure_goes_too(clean_store_url: str) -> None:
    """Whoever became one person with the erased one before the erasure came to them is erased with them."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        await fill(store, "visitor", "canary too")

        async def link() -> None:
            await store.identities.link("visitor", "anna")

        erased = await rights_over(Meanwhile(store.calls, "suppress", link), store).erase("anna")
    assert erased.identities == ("anna", "visitor")
    assert mentions(clean_store_url, "anna", "visitor", "canary") == []


async def test_what_was_written_after_a_new_start_outlives_the_end_of_the_erasure(clean_store_url: str) -> None:
    """Who agrees again while the erasure still looks through the log keeps what is decided from then on."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna", "canary")
        new = a_commit("anna", "new start", "new start")

        async def start_anew() -> None:
            await store.consents.set_consent("anna", ConsentRecord("full", (), 2 * NOW_MS, "new start"))
            await store.customers.commit(new)
            await store.outcomes.record_outcome(OutcomeRecord(new.decision_id, "a", 3, NOW_MS, 1.0), 5.0)

        await rights_over(Meanwhile(store.calls, "entries", start_anew), store).erase("anna")
        kept = await store.rights.kept("anna")
        assert kept.consent is not None
        decisions = [one async for one in store.rights.decisions("anna", kept.log_end)]
        assert [one.entry and one.entry.decision_id for one in decisions] == [new.decision_id]
        assert len([one async for one in store.rights.outcomes("anna", kept.out_end)]) == 1
    assert mentions(clean_store_url, "canary") == []
