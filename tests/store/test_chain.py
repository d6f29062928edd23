"""Claims about the chain of the log: whatever is changed in it afterwards is found and located."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from msgspec.structs import replace as changed
from redis import Redis

from service.core.chain_walk import Limits, Wrong
from service.core.chained import Gone, Place, Raw, Stream
from service.core.decision import Counter, Counting
from service.core.records import OutcomeRecord
from service.store import keys
from service.store.chain import ChainStore, key_of
from service.store.retention import Retention
from service.store.store import Store
from service.store.suppression import Suppression
from tests.store.chained import copied, flip, flipped, made, namesakes, places, put_back, raw_of, whole
from tests.store.patience import patient
from tests.store.persons import KEY, NOW_MS, a_commit
from tests.store.running import LEVELS

FLIPS = int(os.environ.get("TACT_CHAIN_FLIPS", "20"))
LARGE = int(os.environ.get("TACT_CHAIN_ENTRIES", "800"))
BUCKET = int(keys.bucket("anna"), 16)
LOG, OUT = key_of(BUCKET, Stream.DECISIONS), key_of(BUCKET, Stream.OUTCOMES)
HELD = Counter("seen", 9, 60_000, hold_ms=60_000, on=1)
COUNTING = Counting("shop", 3, 3_600_000, 3_600_000, (("a", "", 0.5),))
DAY_MS = 86_400_000


@asynccontextmanager
async def opened(url: str, retention: Retention | None = None) -> AsyncIterator[Store]:
    """Open a store that can erase."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", retention or Retention(), Suppression(KEY))
        await store.calls.load_functions()
        yield store


async def decide(store: Store, customer: str, key: str, *, rare: bool = False) -> None:
    """Decide once for a customer, with an outcome; `rare` with everything that an entry may have besides."""
    commit = a_commit(customer, key)
    if rare:
        commit = changed(commit, counting=COUNTING, candidates=((("a", (HELD,)),),))
    await store.customers.commit(commit)
    await store.outcomes.record_outcome(OutcomeRecord(commit.decision_id, "a", 3, NOW_MS, 9.5))


async def some(store: Store, most: int) -> None:
    """Log decisions of three customers of one bucket in turn, each with an outcome."""
    for number in range(most):
        await decide(store, namesakes(3)[number % 3], f"k{number}", rare=number % 2 == 0)


async def test_what_is_written_is_chained(clean_store_url: str) -> None:
    """Decisions with everything that they may have, and outcomes, are one chain each, which goes on later."""
    for most in (5, 9):
        async with opened(clean_store_url) as store:
            await some(store, most)
            decisions, outcomes = await store.chain.check(LOG), await store.chain.check(OUT)
        assert whole(decisions, most)
        assert whole(outcomes, most)
    async with opened(clean_store_url) as store:
        names = {name for item in (await copied(store.chain, LOG)).items for name, _ in raw_of(item).fields}
    assert names == {b"l", b"i", b"e", b"c", b"b", b"a", b"r", b"q"}


async def test_every_flipped_bit_is_found_and_located(clean_store_url: str) -> None:
    """Each bit of each byte of each field, its names too, in every entry of a small log: found, and at that entry.

    The same of ids, of the head, and of what erased entries left: found there, or at its neighbour.
    """
    async with opened(clean_store_url) as store:
        await some(store, 4)
        await store.rights.erase(namesakes(3)[1])
        copies = [await copied(store.chain, stream) for stream in (LOG, OUT)]
    for copy in copies:
        assert whole(copy.found(), 3, 1)
        for at, item in enumerate(copy.items):
            near = {copy.items[one].at for one in (at - 1, at, at + 1) if 0 <= one < len(copy.items)}
            if isinstance(item, Raw):
                for which, spoilt in flipped(item):
                    assert copy.having(at, spoilt).wrong() == [(item.at, Wrong.CHANGED)], which
            else:
                for bit in range(8 * len(item.link or b"")):
                    wrong = copy.having(at, Gone(item.at, flip(item.link or b"", bit))).wrong()
                    assert wrong, bit
                    assert any(place in near for place, _ in wrong), (bit, wrong)
            for ms, number in ((item.at.ms ^ 1, item.at.number), (item.at.ms, item.at.number ^ 1)):
                moved = replace(item, at=Place(ms, number))
                if moved.at not in places(copy.items):
                    items = tuple(sorted((*copy.items[:at], moved, *copy.items[at + 1 :]), key=lambda one: one.at))
                    assert {place for place, _ in replace(copy, items=items).wrong()} & {item.at, moved.at}
        for bit in range(8 * len(copy.head)):
            wrong = replace(copy, head=flip(copy.head, bit)).wrong()
            assert [place for place, _ in wrong] == [copy.items[-1].at], (bit, wrong)


async def test_a_flipped_bit_in_a_large_log_is_found_in_the_store(clean_store_url: str) -> None:
    """Random bits of random entries, read from the store and in pages: each is located exactly."""
    random, large = Random(37), made([bytes([n % 251]) * (n % 40) for n in range(LARGE)], LOG)
    async with opened(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            put_back(raw, large)
            assert whole(await store.chain.check(LOG), LARGE)
            at = random.randrange(LARGE)
            entry = raw_of(large.items[at])
            spoilt = random.choice([one for _, one in flipped(entry)])
            put_back(raw, large.having(at, spoilt))
            found = await store.chain.check(LOG)
            assert [(one.at, one.wrong) for one in found.faults] == [(entry.at, Wrong.CHANGED)]
    small = replace(large, items=large.items[:300], head=raw_of(large.items[300]).link or b"")
    for _ in range(FLIPS):
        at = random.randrange(300)
        entry = raw_of(small.items[at])
        which, spoilt = random.choice(list(flipped(entry)))
        assert small.having(at, spoilt).wrong() == [(entry.at, Wrong.CHANGED)], which


async def test_an_erasure_leaves_the_chain_whole(clean_store_url: str) -> None:
    """Whoever is erased, first, last and in between: what they left joins the others, and says nothing of them."""
    async with opened(clean_store_url) as store:
        await some(store, 9)
        for number, customer in enumerate(namesakes(3), 1):
            await store.rights.erase(customer)
            assert whole(await store.chain.check(LOG), 9 - 3 * number, 3 * number)
            assert whole(await store.chain.check(OUT), 9 - 3 * number, 3 * number)
        await decide(store, namesakes(4)[3], "later")
        assert whole(await store.chain.check(LOG), 1, 9)
    with Redis.from_url(clean_store_url) as raw:
        assert raw.xlen(LOG) == 1
        left = raw.zrange(keys.gone_key(LOG), 0, -1)
        assert not [member for member in left if any(name.encode() in member for name in namesakes(3))]  # type: ignore[union-attr, unused-ignore]


async def test_an_entry_that_nobody_erased_is_missed(clean_store_url: str) -> None:
    """XDEL without what an erasure leaves is found, and so is a note of an erasure that was removed."""
    async with opened(clean_store_url) as store:
        await some(store, 6)
        await store.rights.erase(namesakes(3)[1])
        with Redis.from_url(clean_store_url) as raw:
            ((at, _), *_) = raw.xrange(LOG, count=1)
            raw.xdel(LOG, at)
            found = await store.chain.check(LOG)
            assert [(str(one.at).encode(), one.wrong) for one in found.faults] == [(at, Wrong.MISSING)]
            raw.delete(keys.gone_key(LOG))
            found = await store.chain.check(LOG)
        assert {one.wrong for one in found.faults} == {Wrong.MISSING}
        assert len(found.faults) == 2


async def test_what_nothing_vouches_for_says_nothing_of_age(clean_store_url: str) -> None:
    """What an erasure left, and the head, may name no moment up to which entries were dropped: with it they are faults.

    Real ones are followed all the same, so that what is gone below them is told, too.
    """
    later = b" 9999999999999"
    async with opened(clean_store_url) as store:
        await some(store, 6)
        await store.rights.erase(namesakes(3)[1])
        copy = await copied(store.chain, LOG)
        with Redis.from_url(clean_store_url) as raw:
            at = next(n for n, item in enumerate(copy.items) if isinstance(item, Gone))
            gone = copy.items[at]
            dated = copy.having(at, Gone(gone.at, (gone.link or b"") + later))
            cut = replace(copy, head=copy.head + later)
            for spoilt, wrong in ((dated, (gone.at, Wrong.CHANGED)), (cut, (copy.items[-1].at, Wrong.HEADLESS))):
                put_back(raw, spoilt)
                assert [(one.at, one.wrong) for one in (await store.chain.check(LOG)).faults] == [wrong]
            put_back(raw, dated)
            assert raw.xtrim(LOG, minid=str(gone.at), approximate=False) == at
            assert (gone.at, Wrong.CHANGED) in [(one.at, one.wrong) for one in (await store.chain.check(LOG)).faults]


async def test_what_age_took_is_no_fault(clean_store_url: str) -> None:
    """The chain goes on over what was dropped by its age, and what is younger may not be gone."""
    kept = Retention(decision=timedelta(days=1), log=timedelta(days=2))
    async with opened(clean_store_url, kept) as store:
        with Redis.from_url(clean_store_url) as raw:
            put_back(raw, made([b"old", b"older"], LOG))
            names = [f"k{n}" for n in range(64)]
            trims = next(one for one in names if keys.repeatable_decision_id("anna", one).endswith("0"))
            stays = [one for one in names if not keys.repeatable_decision_id("anna", one).endswith("0")]
            raw.pexpire(LOG, 2 * DAY_MS)
            raw.pexpire(keys.head_key(LOG), 2 * DAY_MS)
            await decide(store, "anna", stays[0])
            assert whole(await store.chain.check(LOG), 3)
            await decide(store, "anna", trims)
            await decide(store, "anna", stays[1])
            assert raw.xlen(LOG) == 3
            assert whole(await store.chain.check(LOG), 3)
            ((at, _), *_) = raw.xrange(LOG, count=1)
            raw.xtrim(LOG, maxlen=2, approximate=False)
            found = await store.chain.check(LOG)
            assert [(str(one.at).encode(), one.wrong) for one in found.faults] == [(at, Wrong.MISSING)]


async def test_entries_of_before_are_not_chained_and_no_fault(clean_store_url: str) -> None:
    """A log that begins without links is told as that; among linked ones entries without a link are a fault.

    Unless they were written while versions were replaced one by one, up to a moment that is named.
    """
    async with opened(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            for number in range(3):
                raw.xadd(LOG, {"i": "anna", "e": b"old"}, id=f"1000-{number + 1}")
            assert whole(await store.chain.check(LOG), 0, 0, 3)
            # Where it is the first of a log that lives on, no commit drops what is old.
            raw.pexpire(LOG, Retention().log)
            commit = next(one for n in range(64) if not (one := a_commit("anna", f"k{n}")).decision_id.endswith("0"))
            await store.customers.commit(commit)
            assert whole(await store.chain.check(LOG), 1, 0, 3)
            at = raw.xadd(LOG, {"i": "anna", "e": b"by an earlier version"})
            await decide(store, "anna", "another")
            found = await store.chain.check(LOG)
            assert [(str(one.at).encode(), one.wrong) for one in found.faults] == [(at, Wrong.UNLINKED)]
            until = Limits(unlinked_ms=int(bytes(at).split(b"-")[0]))
            assert not (await store.chain.check(LOG, until)).faults


async def test_a_lost_head_is_told_and_the_chain_goes_on(clean_store_url: str) -> None:
    """Without its head, or with one that cannot be read, a chain is not vouched for; what follows begins a new one."""
    for spoilt in (None, b"no head"):
        async with opened(clean_store_url) as store:
            with Redis.from_url(clean_store_url) as raw:
                raw.flushall()
                await store.calls.load_functions()
                await some(store, 3)
                last = raw.xrevrange(LOG, count=1)[0][0]
                raw.delete(keys.head_key(LOG))
                if spoilt:
                    raw.set(keys.head_key(LOG), spoilt)
                found = await store.chain.check(LOG)
                assert [(str(one.at).encode(), one.wrong) for one in found.faults] == [(last, Wrong.HEADLESS)]
                await decide(store, "anna", "later")
                newest = raw.xrevrange(LOG, count=1)[0][0]
                found = await store.chain.check(LOG)
                assert [(str(one.at).encode(), one.wrong) for one in found.faults] == [(newest, Wrong.ANEW)]


async def test_many_at_once_are_one_chain(clean_store_url: str) -> None:
    """Commits, outcomes and an erasure at once over two connections leave chains that are whole while they grow."""
    customers = namesakes(6)
    async with opened(clean_store_url) as one, opened(clean_store_url) as other:
        for number in range(40):
            await decide(one, customers[5], f"first {number}")

        async def work(store: Store, customer: str) -> None:
            for number in range(25):
                await decide(store, customer, f"{number}", rare=number % 3 == 0)

        async def looks() -> None:
            for _ in range(10):
                assert not (await other.chain.check(LOG)).faults
                assert not (await other.chain.check(OUT)).faults

        stores = (one, other)
        jobs = [work(stores[n % 2], customer) for n, customer in enumerate(customers[:5])]
        await asyncio.gather(*jobs, looks(), one.rights.erase(customers[5]))
        assert whole(await one.chain.check(LOG), 125, 40)
        with Redis.from_url(clean_store_url) as raw:  # where a cap held everything back there is no outcome
            outcomes, gone = raw.xlen(OUT), raw.zcard(keys.gone_key(OUT))
        assert outcomes > 10
        assert whole(await one.chain.check(OUT), outcomes, gone)


async def test_a_log_that_moves_to_another_store_stays_chained(clean_store_url: str) -> None:
    """Keys that are dumped and restored, as a move of the store does, verify there, and the chain goes on."""
    async with opened(clean_store_url) as store:
        await some(store, 4)
        with Redis.from_url(clean_store_url) as raw:
            dumped = [(key, raw.dump(key), raw.pttl(key)) for key in raw.scan_iter()]
            raw.flushall()
            for key, value, lives_ms in dumped:
                raw.restore(key, max(lives_ms, 0), value)
            await store.calls.load_functions()
            await decide(store, "anna", "there")
            assert whole(await store.chain.check(LOG), 5)


async def test_pages_go_on_where_the_last_ended(clean_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the length of pages, and whoever was erased at their edges in the same millisecond, all comes once."""
    copy = made([bytes([n]) for n in range(12)], LOG)
    for gone in (0, 3, 4, 7, 10, 11):
        copy = copy.having(gone, Gone(copy.items[gone].at, copy.items[gone].link))
    async with opened(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            put_back(raw, copy)
        for size in range(1, 9):
            monkeypatch.setattr("service.store.chain.PAGE", size)
            assert await copied(store.chain, LOG) == copy, size
            assert whole(await store.chain.check(LOG), 6, 6)


async def test_a_walk_beside_what_age_takes_is_no_fault(clean_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that go by their age between two pages are looked for once more before anything is said to be wrong."""
    monkeypatch.setattr("service.store.chain.PAGE", 2)
    pages, page_of = 0, ChainStore.page_of
    drops = next(one for n in range(64) if (one := a_commit("anna", f"k{n}")).decision_id.endswith("0"))
    async with opened(clean_store_url) as store:
        with Redis.from_url(clean_store_url) as raw:
            put_back(raw, made([b"old"] * 6, LOG))

        async def beside(self: ChainStore, *asked: object, **named: object) -> object:
            nonlocal pages
            pages += 1
            if pages == 2:
                await store.customers.commit(drops)
            return await page_of(self, *asked, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(ChainStore, "page_of", beside)
        assert whole(await store.chain.check(LOG), 1)
        assert pages == 3
