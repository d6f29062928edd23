"""Reads that are late are asked again elsewhere; writes never, and never more than a small share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from service.store.connection import Connections, pack
from service.store.hedging import BURST, EARLIEST_S, LATEST_S, SHARE, Hedging
from service.store.pipeline import StoreTimeout

READ = pack("FCALL_RO", "tact_read", 1, "k")
WRITE = pack("FCALL", "tact_commit", 1, "k")
PING = pack("PING")
Serve = Callable[[int, bytes, bytes], Awaitable[bytes]]
"""Answers what came over the n-th connection just now, after all that came over it so far."""


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that answers what comes over its n-th connection; give its URL and what came over each."""
    received: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(received)
        received.append(b"")
        try:
            while data := await reader.read(65536):
                received[number] += data
                writer.write(await serve(number, data, received[number]))
        except ConnectionError:
            return
        finally:
            writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(talk(reader, writer)))

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}", received
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def stuck(number: int, data: bytes, whole: bytes) -> bytes:
    """Answer everything, but over the first connection nothing any more from the first function on."""
    if number == 0 and b"FCALL" in whole:
        return b""
    return b"+second\r\n" * data.count(b"FCALL") + b"+PONG\r\n" * data.count(PING)


@asynccontextmanager
async def two_ways(url: str, counted: list[str]) -> AsyncIterator[Connections]:
    """Open both connections of a store, and let the first be next."""
    async with Connections(url, size=2) as store:
        store.told(lambda _: None, counted.append)
        for _ in range(2):
            await store.execute("PING")
            await asyncio.sleep(0.05)
        yield store


async def test_a_late_read_is_answered_over_another_connection() -> None:
    """The first connection is stuck: the read is sent once more over the second, whose answer counts."""
    counted: list[str] = []
    async with server(stuck) as (url, received), two_ways(url, counted) as store:
        first = store.call(READ, 0.5)
        second = store.call(READ, 0.5)
        assert [await first, await second] == [b"second"] * 2
    assert counted == ["hedged", "won"]
    assert sorted(one.count(READ) for one in received) == [1, 2]


async def test_a_late_write_is_never_sent_twice() -> None:
    """What may write waits for its own connection, and fails in its own time."""
    counted: list[str] = []
    async with server(stuck) as (url, received), two_ways(url, counted) as store:
        over_both = [store.call(WRITE, 0.2) for _ in range(2)]
        answers = await asyncio.gather(*over_both, return_exceptions=True)
        assert [type(one) for one in answers].count(StoreTimeout) == 1
    assert counted == []
    assert sum(one.count(WRITE) for one in received) == 2


async def test_a_single_connection_gets_company_when_a_read_is_late() -> None:
    """Where there is one connection, the first late read opens a spare one, and later ones are asked again there."""
    async with server(stuck) as (url, received), Connections(url) as store:
        await store.execute("PING")
        with pytest.raises(StoreTimeout):
            await store.call(READ, 0.3)
        assert await store.call(READ, 0.5) == b"second"
    assert len(received) == 2


async def test_what_is_held_up_is_nudged() -> None:
    """Behind a call that is late goes a PING, after which a lost packet is noticed; its reply is nobody's."""

    async def slowly(number: int, data: bytes, whole: bytes) -> bytes:
        await asyncio.sleep(0.06 if WRITE in data else 0.0)
        return b"+done\r\n" * data.count(WRITE) + b"+PONG\r\n" * data.count(PING)

    async with server(slowly) as (url, received), Connections(url) as store:
        await store.execute("PING")
        greeted = received[0].count(PING)
        assert await store.call(WRITE, 0.5) == b"done"
        assert await store.execute("PING") == b"PONG"
    assert received[0].count(PING) - greeted >= 2
    assert received[0].count(WRITE) == 1


class Nowhere:
    """Counts what is asked again, and has no answer."""

    def __init__(self) -> None:
        self.asked = 0

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[object]:
        """Take a call."""
        self.asked += 1
        return asyncio.get_running_loop().create_future()


async def test_no_more_than_a_small_share_is_asked_again() -> None:
    """Of 10,000 late reads in a row a fortieth, and what may come in one burst, are asked again."""
    elsewhere = Nowhere()
    hedging = Hedging(lambda _: elsewhere)  # type: ignore[arg-type, return-value]  # all that it needs
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    for _ in range(10_000):
        hedging.calls += 1
        hedging.ask_again(None, answer, READ, 0.1)  # type: ignore[arg-type]  # nobody looks at it
    assert 10_000 * SHARE * 0.9 <= elsewhere.asked <= 10_000 * SHARE + BURST


@pytest.mark.parametrize(("took_ms", "late_s"), [(1, EARLIEST_S), (12, 0.012), (90, LATEST_S)])
def test_what_is_late_follows_the_store(took_ms: float, late_s: float) -> None:
    """Late is later than most replies of late were, within bounds: 6 ms at a quick store, 16 ms at a slow one."""
    hedging = Hedging(lambda _: None)
    for _ in range(500):
        hedging.heard(took_ms / 1000)
    assert late_s * 0.99 <= hedging.late_s <= late_s * 1.25


async def test_what_is_asked_anew_goes_round_a_connection_that_is_held_up() -> None:
    """A write that was not sent yet needs not wait for a connection over which nothing comes."""
    async with server(stuck) as (url, received), two_ways(url, []) as store:
        held_up = [store.call(WRITE, 1.0) for _ in range(2)]
        await asyncio.sleep(0.2)
        answers = [await store.call(WRITE, 0.3) for _ in range(4)]
        assert answers == [b"second"] * 4
        for one in held_up:
            one.cancel()
    assert sorted(one.count(WRITE) for one in received) == [1, 5]
