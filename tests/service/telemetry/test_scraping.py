"""The port for metrics answers Prometheus, and nothing that anybody else sends there matters to the service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop

from service.errors import CannotListen
from service.telemetry.families import Family, Kind, Point
from service.telemetry.openmetrics import OPENMETRICS, PLAIN
from service.telemetry.scraping import MOST_AT_ONCE, MOST_BYTES, Scraping
from tests.service.telemetry.world import OPENMETRICS as ACCEPT
from tests.service.telemetry.world import ask, hang_up

PATIENCE_S = 0.8
FAMILIES = (Family("tact.store.away", Kind.GAUGE, "", "Away.", (Point((), 0),)),)
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

pytestmark = pytest.mark.usefixtures("loop_factory")


@pytest.fixture(params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Run each test on the loop of the standard library and on the one that serves."""
    return LOOPS[request.param]


@asynccontextmanager
async def scraping() -> AsyncIterator[Scraping]:
    """Open a port for metrics."""
    port = Scraping(lambda: FAMILIES, patience_s=PATIENCE_S)
    await port.open("127.0.0.1", 0)
    try:
        yield port
    finally:
        await port.close()


@pytest.mark.parametrize(
    ("request_line", "accept", "status", "kind"),
    [
        ("GET /metrics HTTP/1.1", ACCEPT, 200, OPENMETRICS),
        ("GET /metrics HTTP/1.0", "", 200, PLAIN),
        ("GET /metrics?name=x HTTP/1.1", "accept: text/plain\r\n", 200, PLAIN),
        ("GET / HTTP/1.1", "", 404, PLAIN),
        ("GET /metrics/../../etc/passwd HTTP/1.1", "", 404, PLAIN),
        ("POST /metrics HTTP/1.1", "", 405, PLAIN),
        ("nonsense", "", 405, PLAIN),
        ("", "", 405, PLAIN),
    ],
)
async def test_a_request_is_answered(request_line: str, accept: str, status: int, kind: str) -> None:
    """`GET /metrics` is answered in the form that is asked for; all else in a few words, that quote nothing."""
    async with scraping() as port:
        answer = await ask(port.port, f"{request_line}\r\n", accept)
    assert (answer.status, answer.kind) == (status, kind)
    assert ("tact_store_away" in answer.text) == (status == 200)
    assert "passwd" not in answer.text


async def test_a_head_has_no_body() -> None:
    """Who asks with HEAD is told how long the answer is, and no more."""
    async with scraping() as port:
        answer = await ask(port.port, "HEAD /metrics HTTP/1.1\r\n")
    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize("sent", [b"x" * (2 * MOST_BYTES), b"\x16\x03\x01\x02\x00\x01\x00" * 2000, b"\r\n\r"])
async def test_what_is_no_request_is_hung_up_on(sent: bytes) -> None:
    """Who says too much, or speaks TLS, or breaks off, gets nothing; the next one is answered as ever."""
    async with scraping() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(sent)
        writer.write_eof()
        with suppress(ConnectionError):  # hung up on before all of it was sent
            assert await asyncio.wait_for(reader.read(), PATIENCE_S + 3) == b""
        await hang_up(writer)
        assert (await ask(port.port)).status == 200


async def test_who_says_too_much_is_hung_up_on_at_once() -> None:
    """Whoever sends more than a request can be is not listened to until the patience ends."""
    async with scraping() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(b"x" * (2 * MOST_BYTES))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE_S / 2)
        await hang_up(writer)


async def test_who_says_nothing_keeps_a_place_for_a_moment_only() -> None:
    """As many as there are places say nothing: the next is hung up on, and after the patience there is room again."""
    async with scraping() as port:
        silent = [await asyncio.open_connection("127.0.0.1", port.port) for _ in range(MOST_AT_ONCE)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), PATIENCE_S / 2)
        await hang_up(writer)
        for waiting, _ in silent:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(waiting.readexactly(1), PATIENCE_S + 3)
        assert (await ask(port.port)).status == 200
        for _, kept in silent:
            await hang_up(kept)


async def test_closing_hangs_up() -> None:
    """The end of the service waits for nobody who still asks."""
    async with scraping() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(PATIENCE_S / 2):
            await port.close()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        await hang_up(writer)


async def test_a_port_that_is_taken_is_told_in_words() -> None:
    """Who starts a second service on the same port for metrics hears which setting is wrong."""
    async with scraping() as port:
        with pytest.raises(CannotListen, match=rf"127.0.0.1:{port.port} for metrics.*--metrics-port"):
            await Scraping(lambda: FAMILIES).open("127.0.0.1", port.port)
