"""Whom sentinels name is the master only when more than half say it, and is left when they name another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.store import sentinel_way
from service.store.connection import StoreError, StoreForbidden, StoreUnavailable
from service.store.durable import Confirmation
from service.store.embedded import EmbeddedStore, free_port
from service.store.opening import open_store
from service.store.sentinel import Sentinels
from service.store.way import Way

LEFT_WITHIN_S = 3.0


class FakeSentinel:
    """Says of every master that it is at one port of loopback, whatever is asked but PING; 0 for nothing at all."""

    def __init__(self, port: int) -> None:
        self.names = port
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeSentinel]:
        """Answer meanwhile."""
        async with await asyncio.start_server(self._talk, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            yield self

    async def _talk(self, asked: asyncio.StreamReader, said: asyncio.StreamWriter) -> None:
        while packed := await asked.read(65536):
            port = b"%d" % self.names
            told = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port) if self.names else b"*-1\r\n"
            said.write(b"+PONG\r\n" if b"SENTINEL" not in packed else told)
        said.close()


@asynccontextmanager
async def sentinels(*ports: int) -> AsyncIterator[list[FakeSentinel]]:
    """Run a sentinel for each port that is to be named."""
    fakes = [FakeSentinel(port) for port in ports]
    async with fakes[0].serving(), fakes[1].serving(), fakes[2].serving():
        yield fakes


def url_of(fakes: list[FakeSentinel]) -> str:
    """Return the URL of the master by these sentinels."""
    return f"redis+sentinel://{','.join(f'127.0.0.1:{fake.port}' for fake in fakes)}/main"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Return the ports of two stores that both take themselves for the master."""
    one, other = (EmbeddedStore(Path(tmp_path_factory.mktemp("store"))) for _ in range(2))
    with one as first, other as second:
        yield _port(first), _port(second)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


@pytest.mark.parametrize(
    ("names", "master"),
    [
        ((1, 1, 1), 1),
        ((1, 2, 1), 1),
        ((2, 1, 1), 1),
        ((0, 1, 1), 1),
        ((1, 2, 3), None),
        ((0, 0, 1), None),
        ((0, 1, 2), None),
        ((0, 0, 0), None),
    ],
)
async def test_more_than_half_of_all_sentinels_must_name_the_same_master(
    names: tuple[int, int, int], master: int | None
) -> None:
    """Those that do not answer, or know none, count as sentinels too; without a majority there is no master."""
    async with sentinels(*names) as fakes:
        asked = Sentinels.at(url_of(fakes))
        if master is None:
            with pytest.raises(StoreUnavailable, match=r"more than half must|knows no master"):
                await asked.named(1.0)
        else:
            assert (await asked.named(1.0)).port == master


async def test_two_sentinels_that_are_away_leave_no_majority() -> None:
    """One of three, which may not have heard of a fail-over, does not decide alone."""
    async with sentinels(7, 0, 0) as fakes:
        away = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        url = f"redis+sentinel://127.0.0.1:{fakes[0].port},{','.join(away)}/main"
        with pytest.raises(StoreUnavailable, match=r"1 of 3 sentinels"):
            await Sentinels.at(url).named(1.0)


@pytest.mark.parametrize("confirmed", [False, True], ids=["quick", "confirmed"])
async def test_a_master_that_answers_is_left_when_a_majority_names_another(
    two: tuple[int, int], confirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old one says is not heard for longer than a moment, though it says it is the master."""
    monkeypatch.setattr(sentinel_way, "ASKED_EVERY_S", 0.2)  # instead of a second
    old, new = two
    async with sentinels(old, old, old) as fakes:
        url = url_of(fakes)
        way = open_store(url, protocol=Confirmation(0).connection) if confirmed else open_store(url)
        try:
            assert await port_of(way) == old
            fakes[0].names = new
            await asyncio.sleep(0.7)  # each of the three has had its turn
            assert await port_of(way) == old, "one sentinel alone is not heard"
            fakes[1].names = new
            assert await _left(way, old) == new
        finally:
            await way.close()


async def port_of(way: Way) -> int:
    """Return the port of the server at the end of a way."""
    return int((await way.execute("CONFIG", "GET", "port", deadline_s=1.0))[1])


async def _left(way: Way, old: int) -> int:
    """Ask until another server answers, and return its port."""
    until = asyncio.get_running_loop().time() + LEFT_WITHIN_S
    while asyncio.get_running_loop().time() < until:
        try:
            if (port := await port_of(way)) != old:
                return port
        except StoreError:
            pass
        await asyncio.sleep(0.05)
    return old


async def test_a_server_that_may_not_say_its_role_is_refused_in_words(two: tuple[int, int]) -> None:
    """That is the user's rights, which time does not mend; each call is told the same."""
    admin = open_store(f"redis://127.0.0.1:{two[0]}/0")
    await admin.execute("ACL", "SETUSER", "tact", "on", ">p", "~*", "+@all", "-role")
    await admin.close()
    async with sentinels(two[0], two[0], two[0]) as fakes:
        way = open_store(url_of(fakes).replace("//", "//tact:p@"))
        for _ in range(2):
            with pytest.raises(StoreForbidden, match=r"does not say its role.*NOPERM"):
                await way.execute("GET", "k", deadline_s=1.0)
        await way.close()
