"""Every kind of refusal, provoked on a real server, has its row in the table and its status for the caller."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from service.rpc.refusals import refusal_of
from service.store.connection import Connection, StoreForbidden, StoreReplied, StoreUnavailable
from service.store.connection import Server as Target
from service.store.error_prefixes import BY_BEGINNING, BY_PREFIX, OTHER, REFUSALS, Remedy, meaning_of
from service.store.pipeline import Argument
from tests.edge.durability.servers import Server, program, until
from tests.profile import full

ENDLESS = "while true do end"
BY_SLOT = {"here": "b", "there": "a"}  # slots 3300 and 15495


Pair: TypeAlias = tuple[Server, Server]


class Provoking:
    """A folder to run servers in; `pair` are two that are a cluster, of which the first has the first half."""

    def __init__(self, folder: Path, kind: str, pair: Callable[[str], Pair] | None = None) -> None:
        self.folder, self.program = folder, program(kind)
        self._kind, self._pair = kind, pair

    @property
    def pair(self) -> Pair:
        """Return the cluster of two, which the tests of a kind share."""
        assert self._pair is not None
        return self._pair(self._kind)

    def server(self, name: str, *options: object) -> Server:
        """Make a server that is not started yet."""
        return Server(self.folder / name, *options, program=self.program)


@asynccontextmanager
async def opened(server: Server) -> AsyncIterator[Connection]:
    """Open a connection of our own to a server, without a greeting."""
    connection = (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", server.port))[1]
    try:
        yield connection
    finally:
        await connection.close()


async def refused(server: Server, *commands: tuple[Argument, ...]) -> StoreReplied:
    """Return how a server refuses the last of these commands."""
    async with opened(server) as connection:
        for command in commands[:-1]:
            await connection.execute(*command)
        with pytest.raises(StoreReplied) as caught:
            await connection.execute(*commands[-1])
        return caught.value


async def oom(at: Provoking) -> StoreReplied:
    """The memory is used up."""
    with at.server("oom", "--maxmemory-policy", "noeviction") as server:
        return await refused(server, ("CONFIG", "SET", "maxmemory", 1), ("SET", "k", "v"))


async def misconf(at: Provoking) -> StoreReplied:
    """Snapshots fail."""
    with at.server("misconf") as server:
        server.ask("CONFIG", "SET", "save", "3600 1")
        shutil.rmtree(at.folder / "misconf")
        server.ask("BGSAVE")
        until(lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == "err", 5, "the snapshot fails")
        return await refused(server, ("SET", "k", "v"))


async def readonly(at: Provoking) -> StoreReplied:
    """The server is a replica now."""
    with at.server("readonly") as server:
        return await refused(server, ("REPLICAOF", "127.0.0.1", "1"), ("SET", "k", "v"))


async def waiting_on_a_replica(at: Provoking) -> StoreReplied:
    """The server is a replica now, and nothing can be confirmed there."""
    with at.server("waiting") as server:
        return await refused(server, ("REPLICAOF", "127.0.0.1", "1"), ("WAIT", 1, 100))


async def masterdown(at: Provoking) -> StoreReplied:
    """The server is a replica that has lost its master, and says nothing that may be old."""
    with at.server("masterdown", "--replica-serve-stale-data", "no") as server:
        return await refused(server, ("REPLICAOF", "127.0.0.1", "1"), ("GET", "k"))


async def unblocked(at: Provoking) -> StoreReplied:
    """The server became a replica while a call was held up there."""
    with at.server("unblocked") as server:
        async with opened(server) as connection:
            waiting = connection.call(b"*3\r\n$5\r\nBLPOP\r\n$1\r\nk\r\n$1\r\n9\r\n")
            await asyncio.sleep(0.1)
            server.ask("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(StoreReplied) as caught:
                await waiting
            return caught.value


async def loading(at: Provoking) -> StoreReplied:
    """The server reads what it has."""
    with at.server("loading") as server:
        server.ask("EVAL", "for i = 1, 300 do redis.call('SET', i, string.rep('x', 9000)) end", 0)
        server.ask("SAVE")
    slow = Server(
        at.folder / "loading", "--key-load-delay", 10_000, "--loading-process-events-interval-bytes", 1024,
        program=at.program,
    )  # fmt: skip
    try:
        slow.start(wait=False)
        for _ in range(200):
            try:
                return await refused(slow, ("GET", "1"))
            except (OSError, StoreUnavailable):
                await asyncio.sleep(0.01)
        raise AssertionError("it never loaded")
    finally:
        slow.kill()


async def busy(at: Provoking) -> StoreReplied:
    """A script runs and runs."""
    with at.server("busy", "--lua-time-limit", 20) as server:
        async with opened(server) as connection:
            endless = asyncio.ensure_future(connection.execute("EVAL", ENDLESS, 0))
            await asyncio.sleep(0.15)
            error = await refused(server, ("GET", "k"))
            server.ask("SCRIPT", "KILL")
            await asyncio.gather(endless, return_exceptions=True)
            return error


async def noreplicas(at: Provoking) -> StoreReplied:
    """The replicas that must have what is written are away."""
    with at.server("noreplicas", "--min-replicas-to-write", 1) as server:
        return await refused(server, ("SET", "k", "v"))


async def wrongtype(at: Provoking) -> StoreReplied:
    """Something else wrote something else."""
    with at.server("wrongtype") as server:
        return await refused(server, ("LPUSH", "k", "v"), ("GET", "k"))


async def noscript(at: Provoking) -> StoreReplied:
    """The script is not there."""
    with at.server("noscript") as server:
        return await refused(server, ("EVALSHA", "0" * 40, 0))


async def no_function(at: Provoking) -> StoreReplied:
    """The function is not there."""
    with at.server("no_function") as server:
        return await refused(server, ("FCALL", "tact_none", 0))


async def noauth(at: Provoking) -> StoreReplied:
    """The store wants a password."""
    with at.server("noauth") as server:
        server.ask("CONFIG", "SET", "requirepass", "a secret")
        return await refused(server, ("GET", "k"))


async def wrongpass(at: Provoking) -> StoreReplied:
    """The password is another one."""
    with at.server("wrongpass") as server:
        return await refused(server, ("AUTH", "nobody", "no password"))


async def noperm(at: Provoking) -> StoreReplied:
    """The user may not do that."""
    with at.server("noperm") as server:
        server.ask("ACL", "SETUSER", "reader", "on", ">a secret", "~tact:*", "+get")
        return await refused(server, ("AUTH", "reader", "a secret"), ("SET", "tact:k", "v"))


async def maxclients(at: Provoking) -> StoreReplied:
    """So many are connected that nobody else is let in."""
    with at.server("maxclients") as server:
        async with opened(server) as connection:
            await connection.execute("CONFIG", "SET", "maxclients", 1)
            error = await refused(server, ("GET", "k"))
            await connection.execute("CONFIG", "SET", "maxclients", 100)
            return error


async def clusterdown(at: Provoking) -> StoreReplied:
    """Nobody serves the slot."""
    with at.server("clusterdown", "--cluster-enabled", "yes") as server:
        return await refused(server, ("GET", "k"))


async def moved(at: Provoking) -> StoreReplied:
    """Another server has the slot."""
    return await refused(at.pair[0], ("GET", BY_SLOT["there"]))


async def ask(at: Provoking) -> StoreReplied:
    """The slot moves, and the key has."""
    here, there = at.pair
    here.ask("CLUSTER", "SETSLOT", 3300, "MIGRATING", _text(there.ask("CLUSTER", "MYID")))
    return await refused(here, ("GET", BY_SLOT["here"]))


async def tryagain(at: Provoking) -> StoreReplied:
    """The slot moves, and one of two keys has."""
    here, there = at.pair
    here.ask("CLUSTER", "SETSLOT", 3300, "STABLE")
    here.ask("SET", "{b}1", "v")
    here.ask("CLUSTER", "SETSLOT", 3300, "MIGRATING", _text(there.ask("CLUSTER", "MYID")))
    return await refused(here, ("MGET", "{b}1", "{b}2"))


async def crossslot(at: Provoking) -> StoreReplied:
    """A command names keys of two slots."""
    return await refused(at.pair[0], ("MGET", "b", "c"))


PROVOKED: dict[str, tuple[Callable[[Provoking], Awaitable[StoreReplied]], str, Remedy]] = {
    "OOM": (oom, "oom", Remedy.ALARM),
    "MISCONF": (misconf, "misconf", Remedy.ALARM),
    "READONLY": (readonly, "readonly", Remedy.RECONNECT),
    "WAIT cannot be used with replica": (waiting_on_a_replica, "readonly", Remedy.RECONNECT),
    "MASTERDOWN": (masterdown, "masterdown", Remedy.RECONNECT),
    "UNBLOCKED": (unblocked, "unblocked", Remedy.RECONNECT),
    "LOADING": (loading, "loading", Remedy.DEGRADE),
    "BUSY": (busy, "busy", Remedy.DEGRADE),
    "NOREPLICAS": (noreplicas, "noreplicas", Remedy.ALARM),
    "WRONGTYPE": (wrongtype, "wrongtype", Remedy.ALARM),
    "NOSCRIPT": (noscript, "noscript", Remedy.LOAD),
    "Function not found": (no_function, "noscript", Remedy.LOAD),
    "NOAUTH": (noauth, "noauth", Remedy.REFUSE),
    "WRONGPASS": (wrongpass, "wrongpass", Remedy.REFUSE),
    "NOPERM": (noperm, "noperm", Remedy.REFUSE),
    "max number of clients": (maxclients, "maxclients", Remedy.DEGRADE),
    "CLUSTERDOWN": (clusterdown, "clusterdown", Remedy.DEGRADE),
    "MOVED": (moved, "moved", Remedy.REDIRECT),
    "ASK": (ask, "ask", Remedy.REDIRECT),
    "TRYAGAIN": (tryagain, "tryagain", Remedy.REDIRECT),
    "CROSSSLOT": (crossslot, "crossslot", Remedy.ALARM),
}
OF_OUR_OWN = {"ERASED", "LINKED", "CONSENT", "LATE", "MEMORY"}
"""Refusals of Tact's own functions, which the tests of the store provoke."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    """Return what runs a cluster of two servers of a kind; it ends with the tests of this file."""
    with ExitStack() as running:

        @cache
        def run(kind: str) -> Pair:
            at = Provoking(tmp_path_factory.mktemp("pair"), kind)
            options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
            here, there = (running.enter_context(at.server(name, *options)) for name in ("here", "there"))
            here.ask("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
            there.ask("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
            here.ask("CLUSTER", "MEET", "127.0.0.1", there.port, there.bus_port)
            until(lambda: _shared(here), 10, "the two do not find each other")
            return here, there

        yield run


@pytest.mark.parametrize("kind", ["valkey", "redis-server"] if full() else ["valkey"])
@pytest.mark.parametrize("said", PROVOKED)
async def test_a_refusal_is_known_by_how_it_begins(
    said: str, kind: str, tmp_path: Path, pair: Callable[[str], Pair]
) -> None:
    """The server says it for real; the table knows it, it is counted under its label, and the caller may repeat."""
    provoke, label, remedy = PROVOKED[said]
    before = REFUSALS.seen[label]
    error = await provoke(Provoking(tmp_path, kind, pair))
    assert said in (error.prefix, error.message[: len(said)])
    meaning = meaning_of(error.prefix, error.message)
    assert (meaning.label, meaning.remedy) == (label, remedy)
    assert meaning is not OTHER
    assert REFUSALS.seen[label] > before
    assert refusal_of(error).code is grpc.StatusCode.UNAVAILABLE


def test_no_row_of_the_table_is_a_guess() -> None:
    """Every row is provoked above, or by the functions' own tests."""
    assert set(BY_PREFIX) | {beginning for beginning, _ in BY_BEGINNING} == set(PROVOKED) | OF_OUR_OWN


async def test_a_server_that_is_a_replica_now_is_left(tmp_path: Path) -> None:
    """After READONLY the connection is given up, so that the next one finds out anew who serves."""
    with Provoking(tmp_path, "valkey").server("left") as server:
        async with opened(server) as connection:
            await connection.execute("REPLICAOF", "127.0.0.1", "1")
            assert connection.open
            with pytest.raises(StoreReplied):
                await connection.execute("SET", "k", "v")
            assert not connection.open


async def test_a_store_that_is_full_is_read_on(tmp_path: Path) -> None:
    """A store that cannot save refuses PING as well, and yet lets us in, for it serves reads."""
    at = Provoking(tmp_path, "valkey")
    with at.server("full") as server:
        server.ask("SET", "k", "v")
        server.ask("CONFIG", "SET", "save", "3600 1")
        shutil.rmtree(at.folder / "full")
        server.ask("BGSAVE")
        until(lambda: server.ask("INFO", "persistence")["rdb_last_bgsave_status"] == "err", 5, "the snapshot fails")
        connection = await Target.at(server.url).open(1.0, Connection)
        assert await connection.execute("GET", "k") == b"v"
        await connection.close()


async def test_only_a_refusal_that_stays_is_for_good(tmp_path: Path) -> None:
    """A wrong password ends the attempts in words; too many clients do not."""
    with Provoking(tmp_path, "valkey").server("in") as server:
        with pytest.raises(StoreForbidden):
            await Target.at(server.url.replace("redis://", "redis://nobody:none@")).open(1.0, Connection)
        async with opened(server) as connection:
            await connection.execute("CONFIG", "SET", "maxclients", 1)
            with pytest.raises(StoreUnavailable) as caught:
                await Target.at(server.url).open(1.0, Connection)
            assert not isinstance(caught.value, StoreForbidden)


def _shared(server: Server) -> bool:
    told = _text(server.ask("CLUSTER", "INFO"))
    return "cluster_slots_assigned:16384" in told and "cluster_state:ok" in told


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
