"""Switches in the store: what is off is off in every bucket, whoever dies half way, and whatever the store loses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core.control import EVERYTHING, Off, Switches
from service.core.decision import Commit, Committed
from service.core.memory import NOTHING_OFF, Switched
from service.core.switched import SWITCHED
from service.store import keys
from service.store.connection import Connections, StoreError
from service.store.store import Store
from service.store.switches import SwitchStore, switched_of
from service.switching import Switching
from tests.folding import DETERMINISTIC
from tests.store.patience import patient
from tests.store.running import LEVELS

ORDERS = int(os.environ.get("TACT_SWITCH_ORDERS", "12"))
NOW_MS = 1_790_000_000_000
WHY = ("The price is wrong.", "olga")
BUCKETS = [f"{number:03x}" for number in range(keys.BUCKETS)]
MASTER = keys.switches_key()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[Store, SwitchStore]]:
    """Open a store, and the switches in it."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none")
        await store.calls.load_functions()
        yield store, SwitchStore(store.calls)


def switching(switches: SwitchStore) -> Switching:
    """Return the switches as a process that has just begun sees them."""
    return Switching(switches, keys.BUCKETS, lambda: NOW_MS)


def copies(url: str) -> set[Switched]:
    """Return what the buckets say is off: one value where all agree."""
    with Redis.from_url(url) as store:
        return {switched_of(packed) for packed in store.mget([keys.switch_key(bucket) for bucket in BUCKETS])}


def a_commit(customer: str, actions: Iterable[str], key: str = "k") -> Commit:
    """Return a commit of two placements at which the same actions may be said."""
    ranked = tuple((action, ()) for action in actions)
    return Commit(customer, keys.repeatable_decision_id(customer, key), b"digest", NOW_MS, b"entry", (ranked, ranked))


async def said(store: Store, commit: Commit) -> list[str]:
    """Commit, and return what is said at each placement; empty for nothing."""
    committed = await store.customers.commit(commit)
    return [
        placed[rank][0] if rank >= 0 else "" for placed, rank in zip(commit.candidates, committed.chosen, strict=True)
    ]


async def test_what_is_switched_off_is_off_in_every_bucket_when_that_is_acknowledged(clean_store_url: str) -> None:
    """All 1,024 buckets say so, the master says who, why and since when, and a read of any customer tells it."""
    async with opened(clean_store_url) as (store, switches):
        told, changed = await switching(switches).set("fibre", WHY)
        assert (changed, told.switched) == (True, Switched(frozenset({"fibre"})))
        assert copies(clean_store_url) == {told.switched}
        (off,) = (await switches.listed()).off
        assert (off.action, off.because, off.by) == ("fibre", *WHY)
        assert abs(off.since_ms / 1000 - Redis.from_url(clean_store_url).time()[0]) < 5
        for customer in ("anna", "bo", "nobody"):
            assert (await store.customers.context(customer)).off == told.switched


async def test_where_nothing_was_ever_switched_nothing_is_off(clean_store_url: str) -> None:
    """A store without switches has no keys for them, and a look leaves none."""
    async with opened(clean_store_url) as (store, switches):
        await switching(switches).look(anew=True)
        assert (await store.customers.context("anna")).off is NOTHING_OFF
        assert Redis.from_url(clean_store_url).keys() == []


async def test_a_decision_made_before_the_switch_is_committed_without_what_is_off(clean_store_url: str) -> None:
    """What was switched off between read and commit is passed over like a used-up cap, and the next in rank is said."""
    async with opened(clean_store_url) as (store, switches):
        commit = a_commit("anna", ("fibre", "tv", "greet"))
        await switching(switches).set("fibre", WHY)
        committed = await store.customers.commit(commit)
        assert committed.chosen == (1, 2)
        assert [(b.placement, b.rank, b.counter) for b in committed.bound] == [(0, 0, SWITCHED), (1, 0, SWITCHED)]


async def test_when_everything_is_off_nothing_is_committed(clean_store_url: str) -> None:
    """No placement says anything, and the decision is logged as one that said nothing."""
    async with opened(clean_store_url) as (store, switches):
        await switching(switches).set(EVERYTHING, WHY)
        assert await said(store, a_commit("anna", ("fibre", "greet"))) == ["", ""]
        entries: Any = Redis.from_url(clean_store_url).xrange(keys.log_key(keys.bucket("anna")))
        assert [fields[b"a"] for _, fields in entries] == [b""]


async def test_everything_is_a_switch_of_its_own(clean_store_url: str) -> None:
    """When everything is switched on again, what was switched off by itself stays off."""
    async with opened(clean_store_url) as (store, switches):
        process = switching(switches)
        await process.set("fibre", WHY)
        await process.set(EVERYTHING, WHY)
        assert process.off == Switched(frozenset({"fibre"}), everything=True)
        await process.set(EVERYTHING, None)
        assert await said(store, a_commit("anna", ("fibre", "tv"))) == ["tv", ""]
        await process.set("fibre", None)
        assert await said(store, a_commit("bo", ("fibre", "tv"))) == ["fibre", "tv"]
        assert copies(clean_store_url) == {NOTHING_OFF}


async def test_switching_again_changes_nothing(clean_store_url: str) -> None:
    """Off again keeps since when, why and by whom; on again, or on what was never off, changes nothing."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        first, _ = await process.set("fibre", WHY)
        again, changed = await process.set("fibre", ("Another reason.", "bo"))
        assert (again.off, again.version, changed) == (first.off, first.version, False)
        assert (await process.set("tv", None))[1] is False


async def test_a_decision_that_is_repeated_says_no_more_what_is_off_by_then(clean_store_url: str) -> None:
    """Reading it, and committing it once more, both tell what is switched off by now."""
    async with opened(clean_store_url) as (store, switches):
        commit = a_commit("anna", ("fibre",))
        first = await store.customers.commit(commit)
        await switching(switches).set("fibre", WHY)
        known = await store.customers.read("anna", commit.decision_id)
        again = await store.customers.commit(commit)
        for repeated in (known.decided, again):
            assert isinstance(repeated, Committed)
            assert repeated.chosen == first.chosen
            assert repeated.off == Switched(frozenset({"fibre"}))


@pytest.mark.parametrize("broken", [b"\xc1", b"", b"\x01", msgspec.msgpack.encode((1, "no list", False))])
async def test_a_copy_that_cannot_be_read_switches_everything_off(clean_store_url: str, broken: bytes) -> None:
    """It is not taken for an empty one; the next look of any process writes it anew."""
    async with opened(clean_store_url) as (store, switches):
        process = switching(switches)
        await process.set("fibre", WHY)
        Redis.from_url(clean_store_url).set(keys.switch_key(keys.bucket("anna")), broken)
        assert await said(store, a_commit("anna", ("tv",))) == ["", ""]
        assert (await store.customers.context("anna")).off.everything
        await process.look(anew=True)
        assert copies(clean_store_url) == {Switched(frozenset({"fibre"}))}


async def test_who_dies_half_way_is_finished_by_any_other_process(clean_store_url: str) -> None:
    """The master knows that not every bucket was written: the next look of another process writes the others."""
    async with opened(clean_store_url) as (_, switches):
        half, _ = await switches.set("fibre", WHY)
        await switches.write(half, range(500))
        assert len(copies(clean_store_url)) == 2
        other = switching(switches)
        await other.look(anew=False)
        assert copies(clean_store_url) == {half.switched} == {other.off}


async def test_an_older_copy_never_replaces_a_newer_one(clean_store_url: str) -> None:
    """Who writes late what he read early, changes nothing."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        early, _ = await process.set("fibre", WHY)
        late, _ = await process.set("tv", WHY)
        assert await switches.write(early, range(keys.BUCKETS)) == Switches(late.version, 0, _unexplained(late))
        assert copies(clean_store_url) == {late.switched}


async def test_switches_that_the_store_has_lost_are_put_back(clean_store_url: str) -> None:
    """A store that was emptied under a running service keeps off what was off, with who and why."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        told, _ = await process.set("fibre", WHY)
        Redis.from_url(clean_store_url).flushdb()
        await process.look(anew=False)
        assert copies(clean_store_url) == {told.switched}
        assert (await switches.listed()).off == told.off


async def test_a_store_that_was_restored_from_before_a_switch_is_told_of_it(clean_store_url: str) -> None:
    """The newest version that anybody knows holds: that of a process over an older master and older buckets."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        await process.set("fibre", WHY)
        with Redis.from_url(clean_store_url) as store:
            before = {key: store.dump(key) for key in store.keys("tact:*")}
            told, _ = await process.set("tv", WHY)
            store.flushdb()
            for key, dumped in before.items():
                store.restore(key, 0, dumped)
        await process.look(anew=True)
        assert copies(clean_store_url) == {told.switched} == {(await switches.listed()).switched}


@pytest.mark.parametrize("looked", [True, False], ids=["started-before", "at-once"])
async def test_what_only_a_bucket_remembers_stays_off(clean_store_url: str, *, looked: bool) -> None:
    """When the master is lost and no process knows, what a bucket says is off is off; why is not known any more."""
    async with opened(clean_store_url) as (_, switches):
        await switching(switches).set("fibre", WHY)
        with Redis.from_url(clean_store_url) as store:
            store.delete(MASTER, *(keys.switch_key(bucket) for bucket in BUCKETS[:1000]))
        process = switching(switches)
        if looked:
            await process.look(anew=True)  # as each process does when it starts
        told, _ = await process.set("tv", WHY)
        assert told.switched.actions == {"fibre", "tv"}
        assert copies(clean_store_url) == {told.switched}
        lost = next(one for one in told.off if one.action == "fibre")
        assert "not known any more" in lost.because


async def test_a_bucket_that_was_lost_is_written_again_within_a_minute(clean_store_url: str) -> None:
    """Each look compares some buckets, so that all of them are compared after 64 looks."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        told, _ = await process.set("fibre", WHY)
        Redis.from_url(clean_store_url).delete(keys.switch_key("3ff"))
        for _ in range(keys.BUCKETS // 16):
            await process.look(anew=False)
        assert copies(clean_store_url) == {told.switched}


_SWITCHINGS = st.lists(st.tuples(st.integers(0, 2), st.sampled_from(("a", "b", EVERYTHING)), st.booleans()), max_size=8)


@given(steps=_SWITCHINGS)
@settings(DETERMINISTIC, max_examples=ORDERS)
def test_processes_that_switch_at_once_agree_in_the_end(store_url: str, steps: list[tuple[int, str, bool]]) -> None:
    """However three processes switch side by side, all buckets say what the master says, and so do all processes."""

    async def switched() -> None:
        Redis.from_url(store_url).flushdb()
        async with opened(store_url) as (_, switches):
            processes = [switching(switches) for _ in range(3)]

            async def work(number: int) -> None:
                for who, action, off in steps:
                    if who == number:
                        await processes[number].set(action, WHY if off else None)

            await asyncio.gather(*map(work, range(3)))
            listed = await switches.listed()
            for process in processes:
                await process.look(anew=False)
                assert process.off == listed.switched
            assert copies(store_url) == {listed.switched}
            assert listed.spread == listed.version

    asyncio.run(switched())


async def test_a_store_that_is_away_leaves_what_was_known(free_port: int) -> None:
    """Without a store nothing can be switched, and the process goes by what it knew last."""
    async with Connections(f"redis://127.0.0.1:{free_port}/0") as connections:
        store = Store.over(connections, LEVELS, "none")
        process = switching(SwitchStore(store.calls))
        with pytest.raises(StoreError):
            await process.set("fibre", WHY)
        assert process.off is NOTHING_OFF


def _unexplained(switches: Switches) -> tuple[Off, ...]:
    return tuple(
        msgspec.structs.replace(one, since_ms=0, because="It is not known any more.", by="") for one in switches.off
    )


async def test_a_store_that_is_full_is_looked_at_all_the_same(clean_store_url: str) -> None:
    """What is in every bucket already needs no writing."""
    async with opened(clean_store_url) as (_, switches):
        told, _ = await switching(switches).set("fibre", WHY)
        with Redis.from_url(clean_store_url) as raw:
            raw.config_set("maxmemory", "1")
            try:
                other = switching(switches)
                await other.look(anew=True)
                await other.look(anew=False)
            finally:
                raw.config_set("maxmemory", "0")
        assert other.off == told.switched
