"""Switches in a store that loses data: what was acknowledged as off stays off, by whichever version it was noted."""

from __future__ import annotations

import pytest
from redis import Redis

from service.core.audit import NOBODY, Who
from service.core.control import EVERYTHING, Off, Switches
from service.core.memory import NOTHING_OFF, Switched
from service.errors import TooManySwitches
from service.store import keys
from service.store.calls import StoreUnreadable
from tests.store.test_switches import MASTER, WHY, copies, opened, switching


def dumped(url: str) -> dict[bytes, bytes]:
    """Return all that the store holds."""
    with Redis.from_url(url) as store:
        return {key: store.dump(key) for key in store.keys("tact:*")}


def put_back(url: str, before: dict[bytes, bytes]) -> None:
    """Make the store what it was, as a failover to a replica that is behind does."""
    with Redis.from_url(url) as store:
        store.flushdb()
        for key, value in before.items():
            store.restore(key, 0, value)


async def test_what_is_switched_off_in_an_emptied_store_stays_off(clean_store_url: str) -> None:
    """A process that knows a higher version puts back what it knows beside what was acknowledged since, not over it."""
    async with opened(clean_store_url) as (_, switches):
        knows, fresh = switching(switches), switching(switches)
        for number in range(5):
            await knows.set(f"a{number}", WHY)
        Redis.from_url(clean_store_url).flushdb()
        await fresh.set("x", ("Urgent.", "op"))
        await knows.look(anew=False)
        await fresh.look(anew=False)
        want = Switched(frozenset({"x", "a0", "a1", "a2", "a3", "a4"}))
        assert {knows.off, fresh.off, *copies(clean_store_url)} == {want}
        listed = await switches.listed()
        assert {one.action: one.because for one in listed.off}["x"] == "Urgent."
        assert listed.version == 6 == listed.spread


@pytest.mark.parametrize("by", ["look", "list", "set"])
async def test_two_switches_of_the_same_version_both_hold(clean_store_url: str, by: str) -> None:
    """A failover lost one write, and another took its number: whoever knows the lost one tells it, whatever he does."""
    async with opened(clean_store_url) as (_, switches):
        one, other = switching(switches), switching(switches)
        await one.set("a", WHY)
        await other.look(anew=False)
        before = dumped(clean_store_url)
        await one.set("y", WHY)
        put_back(clean_store_url, before)
        await other.set("z", WHY)
        assert (await switches.listed()).version == one.known.version
        if by == "list":
            await one.listed()
        elif by == "set":
            await one.set("a", WHY)
        for process in (one, other, one):
            await process.look(anew=False)
        assert {one.off, other.off, *copies(clean_store_url)} == {Switched(frozenset({"a", "y", "z"}))}


async def test_a_switch_that_loses_its_store_half_way_holds_all_the_same(clean_store_url: str) -> None:
    """The store is emptied between looking and switching: what is acknowledged holds, and what was known before."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        await process.set("a", WHY)
        await process.set("b", WHY)
        set_it = switches.set

        async def emptied(
            action: str, details: tuple[str, str] | None, deadline_s: float | None = None, who: Who = NOBODY
        ) -> tuple[Switches, bool]:
            Redis.from_url(clean_store_url).flushdb()
            return await set_it(action, details, deadline_s, who)

        switches.set = emptied  # type: ignore[method-assign]  # the moment between two calls
        told, changed = await process.set("x", WHY)
        assert (told.switched, changed) == (Switched(frozenset({"a", "b", "x"})), True)
        assert {process.off, *copies(clean_store_url)} == {told.switched}


async def test_an_older_copy_of_the_store_takes_nothing_back_on_doubt(clean_store_url: str) -> None:
    """What an older master says is off, and was switched on since, is off again: on doubt it is not said."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        await process.set("a", WHY)
        before = dumped(clean_store_url)
        await process.set("a", None)
        put_back(clean_store_url, before)
        await process.look(anew=False)
        assert {process.off, *copies(clean_store_url)} == {Switched(frozenset({"a"}))}
        await process.set("a", None)
        assert {process.off, *copies(clean_store_url)} == {NOTHING_OFF}


async def test_thousands_of_switches_are_put_back(clean_store_url: str) -> None:
    """However many there are, the master is whole or as it was."""
    async with opened(clean_store_url) as (_, switches):
        many = tuple(Off(f"action-{number:05d}", 1, "Why.", "me") for number in range(9000))
        Redis.from_url(clean_store_url).hset(MASTER, "x", b"\x93\x01\xa1w\xa1m")
        await switches.restore(Switches(7, 0, many))
        listed = await switches.listed()
        assert listed.version == 8
        assert listed.switched.actions == {"x", *(one.action for one in many)}
        assert {one.because for one in listed.off if one.action != "x"} == {"Why."}


async def test_more_than_a_thousand_switches_are_refused_by_name(clean_store_url: str) -> None:
    """Then everything can still be switched off, what is off stays so, and one that is on again makes room."""
    async with opened(clean_store_url) as (_, switches):
        await switches.restore(Switches(1, 0, tuple(Off(f"a{number}", 1, "", "") for number in range(999))))
        await switches.set("one", WHY)
        with pytest.raises(TooManySwitches):
            await switches.set("two", WHY)
        assert (await switches.set("one", WHY))[1] is False
        assert (await switches.set(EVERYTHING, WHY))[1] is True
        await switches.set(EVERYTHING, None)
        await switches.set("a0", None)
        told, changed = await switches.set("two", WHY)
        assert (len(told.off), changed) == (1000, True)


@pytest.mark.parametrize("broken", ["a version", "a spread", "another type"])
async def test_a_master_that_cannot_be_read_switches_everything_off(
    clean_store_url: str, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once and loudly; when it is removed, what was off before is put back."""
    async with opened(clean_store_url) as (_, switches):
        process = switching(switches)
        told, _ = await process.set("a", WHY)
        with Redis.from_url(clean_store_url) as store:
            if broken == "another type":
                store.set(MASTER, "x")
            else:
                store.hset(MASTER, "#" if broken == "a version" else "=", "x1")
            for _ in range(2):
                with pytest.raises(StoreUnreadable):
                    await process.look(anew=False)
            assert process.off.everything
            assert process.version > told.version
            assert [one.action for one in process.told.off] == [EVERYTHING]
            assert [one.levelname for one in caplog.records].count("CRITICAL") == 1
            store.delete(MASTER)
        await process.look(anew=False)
        assert {process.off, *copies(clean_store_url)} == {told.switched}


async def test_who_knows_nothing_learns_from_the_buckets_after_an_unreadable_master(clean_store_url: str) -> None:
    """A process that began over it looks at every bucket again when it can be read."""
    async with opened(clean_store_url) as (_, switches):
        told, _ = await switching(switches).set("a", WHY)
        fresh = switching(switches)
        with Redis.from_url(clean_store_url) as store:
            store.hset(MASTER, "#", "x1")
            with pytest.raises(StoreUnreadable):
                await fresh.look(anew=True)
            store.delete(MASTER, *(keys.switch_key(f"{number:03x}") for number in range(1000)))
        await fresh.look(anew=False)
        assert {fresh.off, *copies(clean_store_url)} == {told.switched}


@pytest.mark.parametrize(("held", "told"), [("a", "ay"), ("ay", "a"), ("az", "ay"), ("ay", "ay")])
async def test_two_of_one_version_become_the_next_where_they_differ(clean_store_url: str, held: str, told: str) -> None:
    """Else the buckets, which keep the newer, would keep what one of them says."""
    async with opened(clean_store_url) as (_, switches):
        for names in (held, told):
            await switches.restore(Switches(2, 0, tuple(Off(name, 1, "Why.", "me") for name in names)))
        listed = await switches.listed()
        assert listed.switched.actions == {*held, *told}
        assert listed.version == (2 if held == told else 3)
