"""Calls get their own replies in time, or a typed error; nothing else."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from service.store import breaker, connection, pipeline
from service.store.connection import (
    Address,
    Connection,
    Connections,
    StoreError,
    StoreReplied,
    StoreTimeout,
    StoreUnavailable,
    pack,
)
from service.store.embedded import EmbeddedStore
from tests.conftest import absent
from tests.store.patience import patient
from tests.store.proxy import DelayingProxy


@pytest.fixture
def own_store(tmp_path: Path, store_program: Path | None) -> Iterator[EmbeddedStore]:
    """Return a store that no other test uses, not started yet."""
    store = EmbeddedStore(tmp_path / "store", server=store_program)
    yield store
    store.stop()


@asynccontextmanager
async def server(answer: Callable[[bytes], bytes], after_s: float = 0.0) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run a server that answers what `answer` says, each `after_s` after it came; give its URL and what it receives."""
    received: list[bytes] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(b"")
        try:
            while data := await reader.read(65536):
                received[-1] += data
                if not (reply := answer(data)):
                    break
                asyncio.get_running_loop().call_later(after_s, writer.write, reply)
        finally:
            writer.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    listening = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}", received
    finally:
        listening.close()
        await asyncio.wait(serving)


async def until_it_answers(store: Connections, within_s: float = 5.0) -> float:
    """Ask until there is an answer; return how long that took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.timeout(within_s):
        while True:
            try:
                await store.execute("PING", deadline_s=0.2)
                return loop.time() - started
            except StoreError:
                await asyncio.sleep(0.005)


def test_a_command_is_packed_as_the_protocol_says() -> None:
    """Bytes, text, whole and broken numbers are length-prefixed, so that no argument can be a command."""
    assert pack("SET", b"a\r\nDEL b", "é", 12, 0.5) == (
        b"*5\r\n$3\r\nSET\r\n$8\r\na\r\nDEL b\r\n$2\r\n\xc3\xa9\r\n$2\r\n12\r\n$3\r\n0.5\r\n"
    )


async def test_every_kind_of_reply_comes_back_as_it_is(clean_store_url: str) -> None:
    """Status, number, nothing, bytes, list, nested list and an error inside a list arrive unchanged."""
    async with patient(clean_store_url) as store:
        assert await store.execute("SET", "k", b"\r\n\x00\xff") == b"OK"
        assert await store.execute("GET", "k") == b"\r\n\x00\xff"
        assert await store.execute("GET", "missing") is None
        assert await store.execute("STRLEN", "k") == 4
        assert await store.execute("LRANGE", "missing", 0, -1) == []
        assert await store.execute("EVAL", "return {1, {'a', {}}, false}", 0) == [1, [b"a", []], None]
        await asyncio.gather(*(store.execute(*command) for command in (("MULTI",), ("INCR", "k"), ("GET", "k"))))
        refused, value = await store.execute("EXEC")
        assert isinstance(refused, StoreReplied)
        assert value == b"\r\n\x00\xff"


async def test_calls_of_one_turn_leave_in_few_writes(clean_store_url: str) -> None:
    """Five hundred calls made at once reach the store in far fewer reads, and each has its own reply."""
    async with patient(clean_store_url) as store:
        before = await reads_of(store)
        answers = await asyncio.gather(*(store.execute("ECHO", number) for number in range(500)))
        assert answers == [b"%d" % number for number in range(500)]
        assert await reads_of(store) - before < 500 / pipeline.MOST_HELD + 10


@pytest.mark.parametrize(("hold_s", "most", "together"), [(60.0, 32, [1, 5]), (60.0, 3, [1, 3, 2]), (0.0, 32, [1] * 6)])
async def test_calls_are_held_back_while_replies_are_due(
    hold_s: float, most: int, together: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked while a reply is due leaves with it: all together, not more at once than is allowed, nor later."""
    monkeypatch.setattr(pipeline, "HOLD_S", hold_s)
    monkeypatch.setattr(pipeline, "MOST_HELD", most)
    monkeypatch.setattr(pipeline, "STALLED_S", 60.0)  # or what is asked later would go another way
    left: list[int] = []

    class Telling(Connection):
        def _flush(self) -> None:
            left.append(len(self._outbox))
            super()._flush()

    def answer(data: bytes) -> bytes:
        return b"+OK\r\n" * data.count(b"*")

    async with server(answer, after_s=1.0) as (url, _), patient(url, protocol=Telling) as store:
        await store.execute("PING")
        await asyncio.sleep(1.2)  # it is open, and nothing is due, not even a reply to a nudge
        left.clear()
        calls = []
        for _ in range(6):  # each in a turn of its own
            calls.append(asyncio.ensure_future(store.execute("ECHO", "x")))
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*calls) == [b"OK"] * 6
    assert left == together


async def test_what_has_gathered_leaves_in_the_middle_of_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store has the first of many calls while the others are being made, and the last ones with the turn's end."""
    monkeypatch.setattr(pipeline, "MOST_HELD", 3)
    left: list[int] = []

    class Telling(Connection):
        def _flush(self) -> None:
            left.append(len(self._outbox))
            super()._flush()

    async with (
        server(lambda data: b"+OK\r\n" * data.count(b"*")) as (url, _),
        Connections(url, size=1, protocol=Telling) as store,
    ):
        await store.execute("PING")
        left.clear()
        calls = [store.call(pack("ECHO", "x")) for _ in range(8)]
        assert left == [3, 3]
        assert await asyncio.gather(*calls) == [b"OK"] * 8
        assert left == [3, 3, 2]


async def test_a_call_that_is_held_back_leaves_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though no reply comes and nobody asks for more: a slow or distant store has it while the one before is due."""
    monkeypatch.setattr(pipeline, "HOLD_S", 0.05)
    received: dict[bytes, float] = {}
    came, loop = asyncio.Event(), asyncio.get_running_loop()

    def answer(data: bytes) -> bytes:
        received[data] = loop.time()
        came.set()
        return b"+OK\r\n" * data.count(b"*")

    async with server(answer, after_s=0.3) as (url, _), Connections(url) as store:
        await store.execute("PING")
        came.clear()
        first = store.call(pack("ECHO", "x"))
        await came.wait()
        assert await store.execute("ECHO", "y") == await first == b"OK"
    assert 0.04 < received[pack("ECHO", "y")] - received[pack("ECHO", "x")] < 0.2


async def test_a_call_that_is_held_back_keeps_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the store is silent, what waits behind it fails in its own time, and nothing else is asked of it."""
    monkeypatch.setattr(pipeline, "HOLD_S", 60.0)
    async with server(lambda data: b"+" if b"ECHO" in data else b"+OK\r\n") as (url, received):
        async with Connections(url, timeout_ms=5_000) as store:
            await store.execute("PING", deadline_s=4.0)
            first = asyncio.ensure_future(store.execute("ECHO", "x", deadline_s=4.0))
            await asyncio.sleep(0.01)
            with pytest.raises(StoreTimeout):
                await store.execute("GET", "y", deadline_s=0.05)
            first.cancel()
        assert b"GET" not in received[-1]


async def reads_of(store: Connections) -> int:
    """Return how often the server has read from its connections."""
    lines = (await store.execute("INFO", "stats")).decode().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("total_reads_processed"))


async def test_an_error_reply_fails_its_own_call_only(clean_store_url: str) -> None:
    """Between two good calls a bad one fails with the store's prefix, and the connection stays."""
    async with patient(clean_store_url) as store:
        await store.execute("SET", "text", "word")
        answers = await asyncio.gather(
            store.execute("GET", "text"),
            store.execute("LPUSH", "text", "a"),
            store.execute("GET", "text"),
            return_exceptions=True,
        )
        assert answers[0] == answers[2] == b"word"
        assert isinstance(answers[1], StoreReplied)
        assert answers[1].prefix == "WRONGTYPE"


async def test_the_text_of_an_error_quotes_no_data(clean_store_url: str) -> None:
    """A command that the store does not know fails without its arguments in the text, for it will be logged."""
    async with patient(clean_store_url) as store:
        with pytest.raises(StoreReplied, match="ERR unknown command") as caught:
            await store.execute("NOSUCH", "anna@example.org")
    assert "anna" in caught.value.message
    assert "anna" not in str(caught.value) + repr(caught.value)


async def test_large_replies_arrive_whole(clean_store_url: str) -> None:
    """Twenty megabytes, and a list of a hundred thousand, come back as they are, small replies around them."""
    value = os.urandom(20_000_000)
    async with patient(clean_store_url) as store:
        await store.execute("SET", "large", value)
        script = "local t = {} for i = 1, 100000 do t[i] = i end return t"
        answers = await asyncio.gather(
            *(store.execute(*command) for command in (("PING",), ("GET", "large"), ("EVAL", script, 0), ("PING",)))
        )
    assert answers == [b"PONG", value, list(range(1, 100_001)), b"PONG"]


class TakesLittle(Connection):
    def __init__(self, *, timeout_s: float = 1.0) -> None:
        super().__init__(timeout_s=timeout_s, max_reply_bytes=100_000)


@pytest.mark.parametrize(
    "script", ["return string.rep('x', 1000000)", "local t = {} for i = 1, 99999 do t[i] = i end return t"]
)
async def test_a_reply_beyond_the_bound_ends_the_connection(clean_store_url: str, script: str) -> None:
    """A value or list larger than allowed is not collected: its call fails, and the next has a new connection."""
    async with patient(clean_store_url, protocol=TakesLittle) as store:
        small = [store.execute("EVAL", "return string.rep('y', 90000)", 0) for _ in range(20)]
        assert await asyncio.gather(*small) == [b"y" * 90_000] * 20
        with pytest.raises(StoreUnavailable, match="exceeds 100000 bytes"):
            await store.execute("EVAL", script, 0)
        assert await until_it_answers(store) < 1.0


async def test_a_hung_store_costs_a_call_its_deadline_and_no_more(own_store: EmbeddedStore) -> None:
    """A stopped server: calls fail within their time, then at once; when it goes on, answers are back within 2 s."""
    loop = asyncio.get_running_loop()
    async with Connections(own_store.start(), timeout_ms=300, connect_timeout_ms=300) as store:
        await asyncio.gather(store.execute("PING"), store.execute("PING"))
        os.kill(own_store.processes[1], signal.SIGSTOP)
        try:
            started = loop.time()
            with pytest.raises(StoreTimeout, match="in the time that was left"):
                await store.execute("PING", deadline_s=0.04)
            assert loop.time() - started < 0.15
            with pytest.raises(StoreTimeout, match="has not answered for 300 ms"):
                await asyncio.gather(*(store.execute("PING") for _ in range(100)))
            assert loop.time() - started < 0.6
            await known_to_be_down(store)
            assert await slowest_of(store, 80) < 0.03
        finally:
            os.kill(own_store.processes[1], signal.SIGCONT)
        assert await until_it_answers(store) < 2.0


async def test_waiting_for_a_connection_counts_against_the_deadline(clean_store_url: str) -> None:
    """A call that finds no connection waits for one no longer than its own time, and longer ones still get theirs."""
    loop = asyncio.get_running_loop()
    async with DelayingProxy(clean_store_url) as proxy, Connections(proxy.url, size=1) as store:
        proxy.hold()
        patient = store.call(pack("ECHO", "patient"), 0.9)
        started = loop.time()
        with pytest.raises(StoreTimeout, match="could not be reached in the time that was left"):
            await store.execute("PING", deadline_s=0.05)
        assert loop.time() - started < 0.15
        proxy.release()
        assert await patient == b"patient"


async def test_opening_and_asking_share_one_deadline() -> None:
    """Where opening took 0.2 s of 0.3 s, the command has 0.1 s left, and not 0.3 s again."""
    async with server(lambda _: b"+PONG\r\n", after_s=0.2) as (url, _), Connections(url, size=1) as store:
        with pytest.raises(StoreTimeout, match="did not answer in the time that was left"):
            await store.execute("PING", deadline_s=0.3)


async def known_to_be_down(store: Connections) -> None:
    """Call until a call fails at once."""
    while await slowest_of(store, 2) > 0.01:
        pass


async def slowest_of(store: Connections, calls: int) -> float:
    """Return the longest that one of these calls, 10 ms apart, took to fail."""
    loop = asyncio.get_running_loop()
    slowest = 0.0
    for _ in range(calls):
        started = loop.time()
        with pytest.raises(StoreError):
            await store.execute("PING", deadline_s=0.1)
        slowest = max(slowest, loop.time() - started)
        await asyncio.sleep(0.01)
    return slowest


async def test_a_caller_whose_time_is_over_sends_nothing(clean_store_url: str) -> None:
    """With no time left the call fails at once and the store never sees the command."""
    async with patient(clean_store_url) as store:
        await store.execute("SET", "count", 0)
        for deadline_s in (0.0, -1.0):
            with pytest.raises(StoreTimeout, match="No time was left"):
                await store.execute("INCR", "count", deadline_s=deadline_s)
        assert await store.execute("GET", "count") == b"0"


async def test_a_late_reply_is_nobodys(clean_store_url: str) -> None:
    """A reply that comes after its caller's time is thrown away; the next call gets its own, on the same connection."""
    async with DelayingProxy(clean_store_url) as proxy, Connections(proxy.url, size=1) as store:
        await store.execute("PING")
        proxy.hold()
        with pytest.raises(StoreTimeout):
            await store.execute("ECHO", "Anna's", deadline_s=0.02)
        answer = store.call(pack("ECHO", "Ben's"))
        proxy.release()
        assert await answer == b"Ben's"
        assert proxy.accepted == 1


async def test_shorter_deadlines_are_kept_behind_longer_ones(clean_store_url: str) -> None:
    """Calls with little time fail when their own time is over, though calls before them may wait longer."""
    loop = asyncio.get_running_loop()
    async with DelayingProxy(clean_store_url) as proxy, Connections(proxy.url, size=1) as store:
        await store.execute("PING")
        proxy.hold()
        patient = store.call(pack("ECHO", "patient"), 0.9)
        started = loop.time()
        hurried = [store.call(pack("PING"), deadline_s) for deadline_s in (0.3, 0.05, 0.1)]
        for answer, wanted_s in ((hurried[1], 0.05), (hurried[2], 0.1), (hurried[0], 0.3)):
            with pytest.raises(StoreTimeout):
                await answer
            assert wanted_s - 0.01 <= loop.time() - started < wanted_s + 0.1
        proxy.release()
        assert await patient == b"patient"


async def test_a_store_that_comes_back_is_found(own_store: EmbeddedStore, tmp_path: Path, free_port: int) -> None:
    """Kill -9 of the server fails the waiting calls at once; after a new start answers are back within 2 s."""
    own_store = EmbeddedStore(tmp_path / "again", port=free_port)
    url = own_store.start()
    try:
        async with Connections(url) as store:
            await store.execute("SET", "customer", "anna")
            os.kill(own_store.processes[1], signal.SIGSTOP)
            waiting = [store.call(pack("PING")) for _ in range(10)]
            await asyncio.sleep(0)
            os.kill(own_store.processes[1], signal.SIGKILL)
            failed = await asyncio.gather(*waiting, return_exceptions=True)
            assert {type(error) for error in failed} == {StoreUnavailable}
            own_store.stop()
            with pytest.raises(StoreUnavailable):
                await store.execute("PING")
            await asyncio.to_thread(own_store.start)
            assert await until_it_answers(store) < 2.0
            assert await store.execute("GET", "customer") == b"anna"
    finally:
        own_store.stop()


async def test_a_store_that_is_down_is_not_stormed() -> None:
    """A thousand calls a second to a server that hangs up make no more than a few attempts, and all fail at once."""
    async with server(lambda _: b"") as (url, attempts), Connections(url) as store:
        for _ in range(500):
            with pytest.raises(StoreUnavailable):
                await store.execute("PING", deadline_s=0.5)
            await asyncio.sleep(0.001)
    assert 2 <= len(attempts) <= 12


async def test_pauses_between_attempts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a store is down, it is looked for again after the longest pause."""
    monkeypatch.setattr(connection, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(breaker, "LONGEST_PAUSE_S", 0.1)
    async with server(lambda _: b"") as (url, attempts), Connections(url, size=1) as store:
        for _ in range(100):
            with pytest.raises(StoreUnavailable):
                await store.execute("PING")
            await asyncio.sleep(0.01)
    assert len(attempts) >= 7


@pytest.mark.parametrize(
    "rubbish",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b">2\r\n+invalidate\r\n*0\r\n", b"$-5\r\n", b"*1\r\n?\r\n"],
    ids=["no RESP", "push", "bad length", "bad type"],
)
async def test_a_reply_in_doubt_ends_the_connection(rubbish: bytes) -> None:
    """What cannot be a reply to a call fails all that wait, and not one reply behind it is believed."""

    def answer(data: bytes) -> bytes:
        return b"+PONG\r\n" if data == pack("PING") else rubbish + b"+a\r\n+b\r\n+c\r\n"

    async with server(answer) as (url, _), Connections(url, size=1) as store:
        await store.execute("PING")
        answers = [store.call(pack("GET", key)) for key in ("a", "b", "c")]
        for failed in await asyncio.gather(*answers, return_exceptions=True):
            assert isinstance(failed, StoreUnavailable)
            assert "no reply to any call" in str(failed)


async def test_a_reply_that_nobody_asked_for_is_nobodys(caplog: pytest.LogCaptureFixture) -> None:
    """A reply too many ends the connection, without a traceback in the log; the next call gets its own."""

    def answer(data: bytes) -> bytes:
        return b"+PONG\r\n" if data == pack("PING") else b"+OK\r\n+too many\r\n"

    async with server(answer) as (url, attempts), Connections(url, size=1) as store:
        assert await store.execute("GET", "a") == b"OK"
        await until_it_answers(store)
        assert await store.execute("PING") == b"PONG"
        assert len(attempts) == 2
    assert caplog.records == []


async def test_a_closed_way_takes_no_calls(clean_store_url: str) -> None:
    """close() fails the calls that wait and all later ones, also while the connection is still being opened."""
    async with DelayingProxy(clean_store_url) as proxy:
        store = Connections(proxy.url, size=1)
        await store.execute("PING")
        proxy.hold()
        opening = Connections(proxy.url, size=1)
        waiting = [store.call(pack("PING")), opening.call(pack("PING"))]
        await asyncio.sleep(0.02)
        await store.close()
        await opening.close()
        proxy.release()
        for answer in waiting:
            with pytest.raises(StoreUnavailable, match=r"was closed|was lost"):
                await answer
        for closed in (store, opening):
            with pytest.raises(StoreUnavailable, match="This way to the store is closed"):
                await closed.execute("PING")


async def test_too_many_waiting_calls_are_turned_away(clean_store_url: str) -> None:
    """The queue before a store that does not answer is bounded: the 10,001st call fails at once."""
    async with DelayingProxy(clean_store_url) as proxy, Connections(proxy.url, size=1, timeout_ms=5000) as store:
        await store.execute("PING")
        proxy.hold()
        waiting = [store.call(pack("PING")) for _ in range(10_000)]
        with pytest.raises(StoreUnavailable, match="10000 calls wait"):
            await store.call(pack("PING"))
        proxy.release()
        assert set(await asyncio.gather(*waiting)) == {b"PONG"}


async def test_password_user_and_database_are_used(own_store: EmbeddedStore) -> None:
    """A connection authenticates, as a user where one is named, and uses its database."""
    url = own_store.start()
    async with patient(url) as store:
        await store.execute("ACL", "SETUSER", "tact", "on", ">p@ss/word", "~*", "+@all")
        await store.execute("CONFIG", "SET", "requirepass", "secret")
        await store.execute("SET", "where", "0")
    place = url.removeprefix("redis://").removesuffix("/0")
    for login in (":secret", "tact:p%40ss%2Fword"):
        async with patient(f"redis://{login}@{place}/3") as store:
            await store.execute("SET", "where", "3")
            assert await store.execute("GET", "where") == b"3"
    async with patient(f"redis://:secret@{place}") as store:
        assert await store.execute("GET", "where") == b"0"


async def test_a_wrong_password_is_refused_without_showing_it(own_store: EmbeddedStore) -> None:
    """A refused login is `StoreUnavailable`, says why, and neither text nor repr holds a secret."""
    url = own_store.start()
    async with patient(url) as store:
        await store.execute("CONFIG", "SET", "requirepass", "right")
    async with patient(url.replace("//", "//anna:wr0ng@")) as store:
        with pytest.raises(StoreUnavailable, match=r"refused the connection.*WRONGPASS") as caught:
            await store.execute("PING")
        shown = f"{caught.value!r} {store!r} {Address.parse('redis://anna:wr0ng@host')!r}"
    assert "wr0ng" not in shown
    assert "anna" not in shown
    async with patient(url) as store:
        with pytest.raises(StoreUnavailable, match="NOAUTH"):
            await store.execute("PING")


async def test_a_unix_socket_is_a_way_to_the_store(clean_store_url: str, tmp_path: Path) -> None:
    """unix:// connects over a socket file; a missing one is named in the error."""
    async with DelayingProxy(clean_store_url, path=tmp_path / "s") as proxy, patient(proxy.url) as store:
        assert await store.execute("PING") == b"PONG"
    async with patient(f"unix://{tmp_path}/none") as store:
        with pytest.raises(StoreUnavailable, match=f"unix://{tmp_path}/none cannot be reached: No such file"):
            await store.execute("PING")


async def test_tls_is_verified(clean_store_url: str, certificate: Path) -> None:
    """rediss:// talks to a server whose certificate the named authority signed, and to no other."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    async with DelayingProxy(clean_store_url, certificate=context) as proxy:
        async with patient(f"{proxy.url}?ssl_ca_certs={certificate}") as store:
            assert await store.execute("PING") == b"PONG"
        async with patient(proxy.url) as store:
            with pytest.raises(StoreUnavailable, match=r"cannot be reached.*CERTIFICATE_VERIFY_FAILED"):
                await store.execute("PING")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Return a certificate for 127.0.0.1 that signs itself, its key beside it."""
    if shutil.which("openssl") is None:
        absent("There is no openssl on the PATH to make a certificate.")
    names = ("-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-keyout", str(tmp_path / "store.key"), "-out", str(tmp_path / "store.pem"))
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files)
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "store.pem"


def test_an_address_is_read_from_a_url() -> None:
    """Host, port, database, user, password and socket are found where redis-py finds them."""
    assert Address.parse("redis://:p%40ss@host:7000/2") == Address("redis", "host", 7000, db=2, password="p@ss")
    assert Address.parse("rediss://u:p@h") == Address("rediss", "h", username="u", password="p")
    assert Address.parse("unix:///run/store.sock?db=4&password=p") == Address(
        "unix", path="/run/store.sock", db=4, password="p"
    )
    assert Address.parse("redis://[::1]:6380") == Address("redis", "::1", 6380)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://:secret@host", "begins with 'http'"),
        ("secret", "begins with 'no scheme'"),
        ("redis://:secret@host/zero", "'zero', not a whole number"),
        ("redis://:secret@host:99999", "not a number from 1 to 65535"),
        ("redis://:secret@host?retry=1", "unknown option 'retry'"),
        ("unix://?password=secret", "names no socket"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, words: str) -> None:
    """An error about a URL says what is wrong and what one looks like, and never repeats the URL's secrets."""
    with pytest.raises(ValueError, match=words) as caught:
        Connections(url)
    assert "it looks like redis://" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_no_connections_are_refused() -> None:
    """A way to the store of size 0 could never answer."""
    with pytest.raises(ValueError, match="at least one connection, not 0"):
        Connections("redis://host", size=0)
