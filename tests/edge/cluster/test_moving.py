"""One command at a time against keys that move: each is done once, by whoever has its keys, or fails in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import pytest

from service.store import keys
from service.store.audit import AuditStore
from service.store.calls import Calls
from service.store.cluster import ClusterConnections
from service.store.cluster_slots import slot_of_key
from service.store.connection import StoreReplied, StoreTimeout, StoreUnavailable, pack
from service.store.durable import Confirmation
from service.store.opening import open_store
from service.store.settings import StoreRefused, check_servers, server_runs
from service.store.suppression import Suppression
from service.store.way import Way
from tests.edge.cluster.servers import Cluster, Node

BOTH = pytest.mark.parametrize("confirmed", [False, True], ids=["quick", "confirmed"])


@asynccontextmanager
async def opened(servers: Cluster, confirmed: bool = False) -> AsyncIterator[Way]:
    """Open the cluster; what is confirmed waits for no replica, but goes the way on which it would."""
    way = open_store(servers.url, protocol=Confirmation(0).connection) if confirmed else open_store(servers.url)
    try:
        yield way
    finally:
        await way.close()


@contextmanager
def moving(servers: Cluster, key: bytes, carried: Callable[[bytes], bool]) -> Iterator[tuple[Node, Node]]:
    """Have the slot of a key be on its way, and of its keys those at the target that are carried; then end that."""
    slot = slot_of_key(key)
    source = servers.owner(slot)
    target = servers.masters[(servers.masters.index(source) + 1) % len(servers.masters)]
    servers.begin(slot, source, target)
    servers.carry(source, target, [there for there in source.keys_in(slot) if carried(there)])
    yield source, target
    while rest := source.keys_in(slot, 100):
        servers.carry(source, target, rest)
    servers.end(slot, target)


def key_of(number: int, name: str) -> bytes:
    """Return a key of a bucket that no other test uses."""
    return f"tact:{{{number:03x}}}:c:{name}".encode()


@BOTH
async def test_keys_are_read_and_written_wherever_they_are_just_now(servers: Cluster, confirmed: bool) -> None:
    """Half way, what has moved is asked for at the target, what is new is made there, and what stays is found."""
    gone, stays, new = (key_of(0x10 + confirmed, name) for name in ("gone", "stays", "new"))
    async with opened(servers, confirmed) as store:
        await store.execute("SET", gone, 1)
        await store.execute("SET", stays, 1)
        with moving(servers, gone, lambda key: key == gone) as (_, target):
            added = [await store.execute("INCR", key) for key in (gone, stays, new)]
            assert {gone, new} == {key for key in target.keys_in(slot_of_key(gone)) if key in (gone, stays, new)}
        added += [await store.execute("INCR", key) for key in (gone, stays, new)]
    assert added == [2, 2, 1, 3, 3, 2], "each was added once"


async def test_what_is_confirmed_together_is_confirmed_though_the_first_has_moved(servers: Cluster) -> None:
    """Writes that leave together are confirmed by whoever has them, also when the first is elsewhere by now."""
    gone = key_of(0x18, "gone")
    there = [key_of(number, "there") for number in range(0x19, 0x1F)]
    async with opened(servers, confirmed=True) as store:
        await asyncio.gather(*(store.execute("SET", key, 0) for key in (gone, *there)))
        source = servers.owner(slot_of_key(gone))
        target = servers.masters[(servers.masters.index(source) + 1) % len(servers.masters)]
        await asyncio.to_thread(servers.move, slot_of_key(gone), target)
        added = await asyncio.gather(*(store.execute("INCR", key) for key in (gone, *there)))
    assert added == [1] * 7


@BOTH
async def test_two_keys_of_which_one_has_moved_are_waited_for(servers: Cluster, confirmed: bool) -> None:
    """A command with several keys is done when the last of them has come, and within the caller's time."""
    one, two = (key_of(0x20 + confirmed, name) for name in ("one", "two"))
    async with opened(servers, confirmed) as store:
        await store.execute("SADD", one, "a")
        await store.execute("SADD", two, "b")
        with moving(servers, one, lambda key: key == one):
            both = asyncio.ensure_future(store.execute("SMOVE", one, two, "a", deadline_s=0.9))
            await asyncio.sleep(0.1)
            assert not both.done()
        assert await both == 1
        assert await store.execute("SCARD", two) == 2


async def test_what_is_confirmed_together_is_confirmed_though_a_mark_has_moved(servers: Cluster) -> None:
    """Half way the mark of one slot is at the target already; a mark in another slot confirms all the same."""
    first = key_of(0x60, "stays")
    source = servers.owner(slot_of_key(first))
    others = [one for one in (key_of(n, "x") for n in range(0x61, 0xA0)) if servers.owner(slot_of_key(one)) is source]
    async with opened(servers, confirmed=True) as store:
        for key in (first, *others[:3]):
            await store.execute("SET", key, 0)
        with moving(servers, first, lambda key: key.endswith(b":written")):
            added = await asyncio.gather(*(store.execute("INCR", key) for key in (first, *others[:3])))
    assert added == [1] * 4


@BOTH
async def test_who_waits_for_keys_on_their_way_is_told_in_time(servers: Cluster, confirmed: bool) -> None:
    """When the slot stays half moved, the refusal comes before the time is over, and nothing was done."""
    one, two = (key_of(0x30 + confirmed, name) for name in ("one", "two"))
    async with opened(servers, confirmed) as store:
        await store.execute("SADD", one, "a")
        await store.execute("SADD", two, "b")
        with moving(servers, one, lambda key: key == one):
            began = time.monotonic()
            with pytest.raises((StoreReplied, StoreTimeout)) as refused:
                await store.execute("SMOVE", one, two, "a", deadline_s=0.2)
            assert time.monotonic() - began < 0.3
        assert not isinstance(refused.value, StoreReplied) or refused.value.prefix in ("TRYAGAIN", "ASK")
        assert await store.execute("SCARD", two) == 1


async def test_calls_in_flight_while_a_slot_moves_are_each_done_once(servers: Cluster) -> None:
    """Thousands of increments, pipelined over few connections, are counted exactly while their slot goes round."""
    counted = [key_of(0x40, str(number)) for number in range(40)]
    async with opened(servers) as store:
        for key in counted:
            await store.execute("SET", key, 0)

        async def add(times: int) -> None:
            for number in range(times):
                await asyncio.gather(*(store.execute("INCR", key) for key in counted[number % 4 :: 4]))
                await asyncio.sleep(0.001)

        adding = [asyncio.create_task(add(100)) for _ in range(4)]
        moves = 0
        while not all(task.done() for task in adding):
            target = servers.masters[moves % len(servers.masters)]
            await asyncio.to_thread(partial(servers.move, slot_of_key(counted[0]), target))
            moves += 1
        await asyncio.gather(*adding)
        total = sum([int(await store.execute("GET", key)) for key in counted])
    assert moves >= 3
    assert total == 4 * 100 * 10


async def test_functions_are_loaded_where_they_are_missing(servers: Cluster) -> None:
    """A master without the functions, also one that keys are only coming to, is given them by the first call."""
    key = keys.switch_key("050")
    async with opened(servers) as store:
        calls = Calls(store)
        await calls.load_functions()
        assert all(
            calls.functions.version.encode() in str(node.ask("FUNCTION LIST")).encode() for node in servers.masters
        )
        packed = pack("FCALL", calls.functions.name("switch_copy"), 1, key, 1, b"\x80")
        servers.owner(slot_of_key(key)).ask("FUNCTION FLUSH")
        assert (await calls.call(packed, 1.0))[0] == key
        with moving(servers, key, lambda _: True) as (_, target):
            target.ask("FUNCTION FLUSH")
            assert (await calls.call(packed, 1.0))[0] == key
        assert calls.loads == 3


async def test_all_keys_are_gone_through_whoever_has_them(servers: Cluster) -> None:
    """The search for consents goes through every master, and is refused when keys moved to another meanwhile."""
    customers = {f"scanned-{number}" for number in range(60)}
    async with opened(servers) as store:
        for customer in customers:
            await store.execute("RPUSH", f"tact:{{{keys.bucket(customer)}}}:h:{customer}", "x")
        found = {customer async for customer in AuditStore(Calls(store), Suppression()).consenting(5.0)}
        assert found >= customers
        cursor, _ = await store.execute("SCAN", "0", "COUNT", 10)
        await asyncio.to_thread(partial(servers.move, 0x60, servers.masters[2]))
        await store.execute("GET", _key_in(0x60))
        with pytest.raises(StoreUnavailable, match="begin again"):
            await _scanned(store, cursor)


async def _scanned(store: Way, cursor: bytes) -> None:
    while cursor != b"0":
        cursor, _ = await store.execute("SCAN", cursor, "COUNT", 1_000)


def _key_in(slot: int) -> str:
    return next(f"{{{number}}}" for number in range(1_000_000) if slot_of_key(str(number).encode()) == slot)


async def test_every_master_must_be_set_as_the_store_must_be(servers: Cluster) -> None:
    """A master that drops keys when memory runs short is refused; one that refuses all when another is gone, told."""
    last = servers.masters[-1]
    async with opened(servers) as store:
        asked = await store.servers()
        assert len(asked) == len(servers.masters)
        assert len((await server_runs(asked)).split()) == len(servers.masters)
        assert await check_servers(asked) == []
        last.ask("CONFIG SET cluster-require-full-coverage yes")
        try:
            [warning] = await check_servers(asked)
            assert "cluster-require-full-coverage" in warning
            last.ask("CONFIG SET maxmemory-policy allkeys-lru")
            with pytest.raises(StoreRefused, match="allkeys-lru"):
                await check_servers(asked)
        finally:
            last.ask("CONFIG SET maxmemory-policy noeviction")
            last.ask("CONFIG SET cluster-require-full-coverage no")


async def test_a_master_that_hangs_takes_nothing_from_those_who_ask_others(servers: Cluster) -> None:
    """While one of three is silent, its calls fail, soon at once, and those of the other two do not."""
    hung = servers.masters[0]
    async with opened(servers) as store:
        assert isinstance(store, ClusterConnections)
        places = [key_of(number, "who") for number in range(0x100, 0x160)]
        await asyncio.gather(*(store.execute("SET", key, 1) for key in places))
        theirs = {key: servers.owner(slot_of_key(key)) is hung for key in places}
        hung.server.pause()
        try:
            ends: dict[bytes, bool] = {}
            for _ in range(3):
                asked = {key: _ended(store.execute("GET", key, deadline_s=0.05)) for key in places}
                ends = dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))
            began = time.monotonic()
            assert not await _ended(store.execute("GET", next(key for key in places if theirs[key]), deadline_s=0.05))
            took_s = time.monotonic() - began
        finally:
            hung.server.resume()
        assert {key: not ended for key, ended in ends.items()} == theirs
        assert set(theirs.values()) == {True, False}
        assert took_s < 0.02, "its breaker is open"
        until = time.monotonic() + 3.0
        while not all(await asyncio.gather(*(_ended(store.execute("GET", key, deadline_s=0.05)) for key in places))):
            assert time.monotonic() < until, "it is asked again when it is back"
            await asyncio.sleep(0.02)


async def _ended(asked: Awaitable[object]) -> bool:
    """Tell whether a call succeeded."""
    try:
        await asked
    except (StoreUnavailable, StoreTimeout):
        return False
    return True
