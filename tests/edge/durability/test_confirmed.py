"""What is acknowledged in durable mode was confirmed by a replica, however it came there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from service.core.decision import Commit
from service.store import keys
from service.store.connection import StoreReplied, StoreTimeout, StoreUnavailable, pack
from service.store.durable import Confirmation, StoreUnconfirmed
from service.store.opening import open_store
from service.store.settings import check_store
from service.store.store import Store
from service.store.way import Way
from tests.edge.durability.servers import STARTS_WITHIN_S, Server, Watched, program, until
from tests.profile import full
from tests.store.running import LEVELS

KINDS = ["valkey", "redis-server"] if full() else ["valkey"]


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Return a master and its replica."""
    folder = tmp_path_factory.mktemp("pair")
    with Server(folder / "master", "--repl-diskless-sync-delay", 0, program=program(request.param)) as master:
        replica = Server(folder / "replica", program=program(request.param))
        replica.follows = master
        with replica:
            until(lambda: _confirms(master), STARTS_WITHIN_S, "no replica")
            yield master, replica


def _confirms(master: Server) -> bool:
    """Tell whether a replica is there that confirms at once; the first time after copying takes it up to a second."""
    with Redis(port=master.port) as client:
        client.set("{k}first", 1)
        return bool(client.wait(1, 2000) == 1)


@asynccontextmanager
async def confirmed(server: Server, replicas: int = 1, wait_ms: int = 150) -> AsyncIterator[Way]:
    """Open a way on which writes are confirmed."""
    way = open_store(server.url, protocol=Confirmation(replicas, wait_ms).connection)
    try:
        yield way
    finally:
        await way.close()


@asynccontextmanager
async def paused(server: Server) -> AsyncIterator[None]:
    """Let a server hang meanwhile."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


async def test_what_a_replica_has_is_acknowledged(pair: tuple[Server, Server]) -> None:
    """Many writes at once each get their own reply, and the replica has them all by then."""
    master, replica = pair
    async with confirmed(master, wait_ms=2000) as way:
        told = await asyncio.gather(*(way.execute("APPEND", f"{{k}}{n}", "x" * n) for n in range(200)))
        assert told == list(range(200))
        assert replica.ask("DBSIZE") >= 199


async def test_what_no_replica_has_is_not_acknowledged(pair: tuple[Server, Server]) -> None:
    """The write is stored at the master, which alone is not enough."""
    master, replica = pair
    async with confirmed(master) as way:
        await way.execute("SET", "{k}warm", 1)
        async with paused(replica):
            with pytest.raises(StoreUnconfirmed):
                await way.execute("SET", "{k}alone", 1)
            assert master.ask("GET", "{k}alone") == b"1"


async def test_more_replicas_than_there_are_confirm_nothing(pair: tuple[Server, Server]) -> None:
    """Two are wanted and there is one."""
    async with confirmed(pair[0], replicas=2, wait_ms=50) as way:
        with pytest.raises(StoreUnconfirmed):
            await way.execute("SET", "{k}two", 1)


async def test_a_repeated_write_is_not_acknowledged_before_the_first_one_is_safe(pair: tuple[Server, Server]) -> None:
    """Whoever repeats over another connection writes nothing, and yet waits for what was written before."""
    master, replica = pair
    async with confirmed(master) as first, confirmed(master) as second:
        assert await second.execute("SET", "{k}warm", 1) == b"OK"
        async with paused(replica):
            with pytest.raises(StoreUnconfirmed):
                await first.execute("SET", "{k}once", 1, "NX")
            with pytest.raises(StoreUnconfirmed):
                await second.execute("SET", "{k}once", 1, "NX")


async def test_an_error_and_a_deadline_are_told_as_they_are(pair: tuple[Server, Server]) -> None:
    """The store's refusal is not hidden behind the confirmation, and nobody waits longer than their time."""
    master, replica = pair
    async with confirmed(master, wait_ms=1000) as way:
        await way.execute("SET", "{k}text", "x")
        with pytest.raises(StoreReplied, match="WRONGTYPE"):
            await way.execute("LPUSH", "{k}text", 1)
        async with paused(replica):
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreTimeout):
                await way.execute("SET", "{k}late", 1, deadline_s=0.05)
            assert asyncio.get_running_loop().time() - began < 0.5


async def test_what_is_too_late_is_not_sent(pair: tuple[Server, Server]) -> None:
    """Neither what had no time from the start, nor what lost it while the process was busy."""
    master, _ = pair
    async with confirmed(master) as way:
        await way.execute("SET", "{k}warm", 1)
        none = way.call(pack("SET", "{k}none", 1), 0.0)
        assert none.done()
        late = way.call(pack("SET", "{k}busy", 1), 0.01)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is to be held up
        for answer in (none, late):
            with pytest.raises(StoreTimeout):
                await answer
        await way.execute("SET", "{k}next", 1)
        assert master.ask("MGET", "{k}none", "{k}busy") == [None, None]


@pytest.mark.parametrize("linked", [False, True], ids=["under the same id", "under another id of the person"])
async def test_a_repeated_decision_is_told_when_replicas_have_it(pair: tuple[Server, Server], linked: bool) -> None:
    """Nobody knows whether any replica heard of its commit: who asks again under its id waits until one has."""
    master, replica = pair
    quick = open_store(master.url)
    async with confirmed(master) as way, paused(replica):
        fast, durable = Store.over(quick, LEVELS, "none"), Store.over(quick, LEVELS, "none", confirmed=way)
        await fast.calls.load_functions()
        anna, asked = f"anna-{linked}", f"mother-{linked}" if linked else f"anna-{linked}"
        at_ms = (await durable.customers.context(anna, 1.0)).now_ms
        decision = keys.repeatable_decision_id(anna, "key")
        await fast.customers.commit(Commit(anna, decision, b"digest", at_ms, b"entry", (), at_ms, channel="web"))
        if linked:
            await fast.identities.link(anna, asked)
        again = keys.repeatable_decision_id(asked, "key")
        assert (await fast.customers.read(asked, again, 1.0, "key")).decided is not None
        with pytest.raises(StoreUnconfirmed):
            await durable.customers.read(asked, again, 1.0, "key")
        replica.resume()
        until(lambda: _confirms(master), STARTS_WITHIN_S, "no replica")
        decided = (await durable.customers.read(asked, again, 1.0, "key")).decided
    await quick.close()
    assert decided is not None
    assert decided.entry == b"entry"


async def test_a_lost_connection_fails_what_waits_and_is_opened_anew(pair: tuple[Server, Server]) -> None:
    """What was under way is doubtful; what comes next goes through."""
    master, replica = pair
    async with confirmed(master, wait_ms=1000) as way:
        await way.execute("SET", "{k}a", 1)
        async with paused(replica):
            waiting = [asyncio.ensure_future(way.execute("SET", "{k}a", n)) for n in range(3)]
            await asyncio.sleep(0.05)
            waiting.append(asyncio.ensure_future(way.execute("SET", "{k}held", 1)))
            await asyncio.sleep(0.01)
            master.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            failed = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(error, StoreUnavailable | StoreUnconfirmed) for error in failed), failed
        await asyncio.sleep(0.2)
        assert await way.execute("SET", "{k}a", 1) == b"OK"


async def test_a_store_without_what_durable_needs_is_told(pair: tuple[Server, Server], tmp_path: Path) -> None:
    """Too few replicas, and a master that would go on alone, are warned of; a store set well is not."""
    master, _ = pair
    async with confirmed(master) as way:
        told = " ".join(await check_store(way.execute, replicas=2))
        assert "The store has 1 replicas" in told
        assert "min-replicas-to-write is 0" in told
        master.ask("CONFIG", "SET", "min-replicas-to-write", 1)
        told = " ".join(await check_store(way.execute, replicas=1))
        master.ask("CONFIG", "SET", "min-replicas-to-write", 0)
        assert "replicas" not in told


@pytest.mark.skipif(not full(), reason="takes 15 s; in the full profile")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_paused_master_is_left_for_the_next(kind: str, tmp_path: Path) -> None:
    """A master that hangs is replaced; when it goes on, nothing is acknowledged that only it has (F-7)."""
    with Watched(tmp_path, program=program(kind), down_after_ms=300) as watched:
        way = open_store(watched.url, protocol=Confirmation(1, 200).connection)
        assert await way.execute("SET", "{k}n", 0) == b"OK"
        old = watched.master
        old.pause()
        acknowledged, began = [], asyncio.get_running_loop().time()
        resumed = False
        for n in range(1, 1000):
            try:
                await way.execute("SADD", "{k}s", n)
                acknowledged.append(n)
            except (StoreUnavailable, StoreTimeout, StoreUnconfirmed, StoreReplied):
                await asyncio.sleep(0.02)
            if not resumed and (await asyncio.to_thread(lambda: watched.master)) is not old:
                old.resume()
                resumed = True
            if len(acknowledged) > 50 or asyncio.get_running_loop().time() - began > 25:
                break
        await way.close()
        assert resumed
        assert len(acknowledged) > 50
        stored = {int(one) for one in watched.master.ask("SMEMBERS", "{k}s")}
        assert stored.issuperset(acknowledged)
