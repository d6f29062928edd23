"""What the store keeps of a journey, and how ids are found: bounded, by purpose, gone with the person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis import Redis

from service.core.journey import KEPT_EVENTS
from service.core.records import ConsentRecord, EventToFold
from service.core.rights import KeptDecision, KeptOutcome
from service.store import journeys, keys
from service.store.events import EventStore
from service.store.retention import Retention
from service.store.store import Store
from service.store.suppression import Suppression
from tests.store.patience import patient
from tests.store.persons import KEY, NOW_MS, fill
from tests.store.running import LEVELS

LETTERS = {"ticket.opened": "s", "purchase": "p", "page.viewed": "f"}


@asynccontextmanager
async def keeping(url: str) -> AsyncIterator[tuple[Store, EventStore]]:
    """Open a store, and one that folds events into it and keeps them for the journey."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", suppression=Suppression(KEY))
        await store.calls.load_functions()
        yield store, EventStore(store.calls, Retention(), Suppression(KEY), letters=LETTERS)


def event(name: str, kind: str = "ticket.opened", at_ms: int = NOW_MS) -> EventToFold:
    """Return an event that folds into nothing but the journey."""
    return EventToFold(name, at_ms, (), type=kind)


async def told(store: Store, customer: str, person: str = "", letters: str = "") -> list[str]:
    """Return the types of events that are told of one id."""
    found = await store.journeys.happened(customer, person or customer, letters)
    return [one.type for one in found]


async def agree(store: Store, customer: str, level: str, given_ms: int = 0) -> None:
    """Set a consent."""
    await store.consents.set_consent(customer, ConsentRecord(level, (), given_ms, "test"))


async def test_only_what_the_consent_allows_leaves_the_store(clean_store_url: str) -> None:
    """Each level is told the events of its purposes, and a withdrawal hides them at once; they are not lost by it."""
    async with keeping(clean_store_url) as (store, events):
        await events.fold("anna", [event(kind, kind) for kind in (*LETTERS, "nothing.folds")])
        assert await told(store, "anna") == [], "without a consent it is the lowest level, which allows nothing"
        for level, allowed in (("full", 3), ("personal", 2), ("service", 1), ("none", 0), ("full", 3)):
            await agree(store, "anna", level)
            assert await told(store, "anna") == list(LETTERS)[:allowed], level


async def test_an_event_is_kept_once_with_its_moments(clean_store_url: str) -> None:
    """A repeated id changes nothing; what happened long ago keeps its own time beside that of its arrival."""
    async with keeping(clean_store_url) as (store, events):
        await agree(store, "anna", "full")
        await events.fold("anna", [event("one", at_ms=NOW_MS)])
        await events.fold("anna", [event("one", at_ms=NOW_MS), event("two", "purchase", NOW_MS - 5_000)])
        found = await store.journeys.happened("anna", "anna", "")
    assert [(one.type, one.at_ms) for one in found] == [("ticket.opened", NOW_MS), ("purchase", NOW_MS - 5_000)]
    assert all(one.arrived_ms > NOW_MS for one in found)


async def test_the_last_hundred_are_kept_and_few_more(clean_store_url: str) -> None:
    """However many come, in whatever batches: the last 100 are told, and a list never grows far beyond."""
    async with keeping(clean_store_url) as (store, events):
        await agree(store, "anna", "full")
        for start in range(0, 400, 40):
            await events.fold("anna", [event(str(n), at_ms=NOW_MS + n) for n in range(start, start + 40)])
        found = await store.journeys.happened("anna", "anna", "")
        with Redis.from_url(clean_store_url) as raw:
            assert raw.llen(keys.journey_key("anna")) <= KEPT_EVENTS + 40
    assert [one.at_ms for one in found] == [NOW_MS + n for n in range(400 - KEPT_EVENTS, 400)]


async def test_an_alias_is_told_as_far_as_its_person_agrees(clean_store_url: str) -> None:
    """What happened to an alias is told under the person's consent; to nobody once it is no alias any more."""
    async with keeping(clean_store_url) as (store, events):
        await agree(store, "anna", "full")
        await events.fold("visitor", [event("one", "purchase")])
        assert await told(store, "visitor", "anna", "spf") == [], "it is not linked"
        await store.identities.link("visitor", "anna")
        assert await told(store, "visitor", "anna", "spf") == ["purchase"]
        assert await told(store, "visitor", "anna", "s") == []
        assert await told(store, "visitor", "bob", "spf") == [], "it is another person's"
        assert await told(store, "visitor") == [], "it has no consent of its own now"
        await store.identities.unlink("visitor", "anna")
        assert await told(store, "visitor", "anna", "spf") == []


async def test_erasing_takes_the_journey_and_the_id(clean_store_url: str) -> None:
    """Export shows what is kept; after the erasure nothing is told or found any more, and nothing comes back."""
    async with keeping(clean_store_url) as (store, events):
        await agree(store, "anna", "full")
        await events.fold("anna", [event("one"), event("two", "purchase")])
        kept = await store.rights.kept("anna")
        assert [one.type for one in kept.happened] == ["ticket.opened", "purchase"]
        erased = await store.rights.erase("anna")
        assert erased.happened == 2
        assert await store.journeys.ids_like("ann", 5) == ()
        await events.fold("anna", [event("three")])
        assert (await store.rights.kept("anna")).happened == ()
        assert not await store.journeys.is_kept("anna")


async def test_ids_are_found_by_how_they_begin(clean_store_url: str) -> None:
    """In their order, whatever bucket they fall into, no more than asked for; consents alone are enough to be found."""
    names = [f"customer-{n:03d}" for n in range(60)]
    async with keeping(clean_store_url) as (store, events):
        for name in names[:50]:
            await events.fold(name, [event(name)])
        for name in names[50:]:
            await agree(store, name, "full")
        await events.fold("customé", [event("é")])
        assert await store.journeys.ids_like("customer-", 100) == tuple(names)
        assert await store.journeys.ids_like("customer-", 7) == tuple(names[:7])
        assert await store.journeys.ids_like("customer-04", 100) == tuple(names[40:50])
        assert await store.journeys.ids_like("custom", 100) == (*names, "customé")
        assert await store.journeys.ids_like("custome", 0) == ()
        assert await store.journeys.ids_like("nobody", 5) == ()


async def test_an_id_that_has_expired_is_found_no_more(clean_store_url: str) -> None:
    """Of who is not heard of for so long nothing is kept: the search takes the id off its list; others stay on it."""
    async with keeping(clean_store_url) as (store, events):
        await events.fold("anna", [event("one")])
        await events.fold("annika", [event("one")])
        with Redis.from_url(clean_store_url) as raw:
            raw.delete(keys.context_key("anna"))
        assert not await store.journeys.is_kept("anna")
        for name in ("anna", "annika"):
            await store.journeys.unlist(name)
        assert await store.journeys.ids_like("ann", 5) == ("annika",)


async def test_decisions_and_outcomes_are_read_backwards(clean_store_url: str) -> None:
    """The customer's own among those of the bucket, the newest first, before a moment, without what was known."""
    async with keeping(clean_store_url) as (store, _):
        made = [await fill(store, "anna", f"canary {n}") for n in range(2)]
        decided = await store.journeys.decisions("anna", 0, 50)
        came = await store.journeys.outcomes("anna", 0, 50)
        other = await store.journeys.decisions("bob", 0, 50)
        first = decided.found[-1]
        assert isinstance(first, KeptDecision)
        before = await store.journeys.decisions("anna", first.logged_ms + 1, 50)
        none = await store.journeys.decisions("anna", first.logged_ms, 50)
    entries = [one.entry for one in decided.found if isinstance(one, KeptDecision)]
    assert [entry and entry.decision_id for entry in entries] == made[::-1]
    assert [entry and entry.values for entry in entries] == [(True,)] * 2, "only that something was known"
    assert [one.decision_id for one in came.found if isinstance(one, KeptOutcome)] == made[::-1]
    assert (decided.whole_from_ms, other.found, none.found) == (0, (), ())
    assert first in before.found


async def test_one_page_looks_at_no_more_than_so_much(clean_store_url: str) -> None:
    """In a bucket full of others a page ends, and says since when it is whole: the next one goes on there."""
    looked, most = journeys.LOOKED_AT, journeys.MOST_CALLS
    async with keeping(clean_store_url) as (store, _):
        decision = await fill(store, "anna", "first")
        with Redis.from_url(clean_store_url) as raw:
            log = keys.log_key(keys.bucket("anna"))
            pipe = raw.pipeline()
            for n in range(looked * most + 10):
                pipe.xadd(log, {"i": "somebody else", "e": b"", "c": b"", "b": b""}, id=f"{4 * NOW_MS + n}-0")
            pipe.execute()
        page = await store.journeys.decisions("anna", 0, 50)
        assert page.found == ()
        assert page.whole_from_ms == 4 * NOW_MS + 11
        rest = await store.journeys.decisions("anna", page.whole_from_ms, 50)
    assert [one.entry and one.entry.decision_id for one in rest.found if isinstance(one, KeptDecision)] == [decision]
    assert rest.whole_from_ms == 0
