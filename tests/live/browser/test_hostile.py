"""Slow, greedy and broken clients of the port for browsers: each is bounded, and who calls beside them is answered."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from service.rpc.access.who import Role
from service.rpc.event_batches import MAX_BATCH_BYTES
from service.rpc.web.connections import Patience
from tests.edge.access.world import OWN, token_of
from tests.live.browser.world import Port, Wire, framed, opened, request
from tests.profile import cases
from tests.rpc.messages import ask
from tests.rpc.world import Answering, edge_of

DECIDE, STREAM = "tact.v1.DecisionService/Decide", "tact.v1.DecisionService/DecideStream"
EVENTS = "tact.v1.ContextService/RecordEvents"
OURS = f"Bearer {token_of(Role.WEB)}"
STREAMING = request(STREAM, b"", "application/connect+proto", transfer_encoding="chunked").replace(
    b"content-length: 0\r\n", b""
)
BODY = f'{{"customerId": "{OWN}", "channel": "web", "placements": ["greeting"]}}'.encode()
HASTY = Patience(head_s=0.3, body_s=0.3, stream_s=0.3, read_s=0.5, idle_s=0.3)
SECRET = "anna.miller@example.org"


async def is_answered(port: Port) -> bool:
    """Tell whether a good call is answered now."""
    return (await port.call(DECIDE, BODY)).status == 200


@pytest.mark.parametrize(
    "sent",
    [b"P", b"POST /x HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\nhost: a\r\nx-"],
    ids=["a letter", "a line", "half a header"],
)
async def test_half_a_head_is_not_waited_for(tmp_path: Path, sent: bytes) -> None:
    """Who does not say what they want is hung up on, also when a byte comes now and then."""
    async with opened(tmp_path, guarded=False, patience=HASTY) as port, port.wire() as wire:
        began_s = time.monotonic()
        await wire.send(sent)
        trickling = asyncio.create_task(_trickle(port, wire.writer))
        assert await wire.is_hung_up()
        assert time.monotonic() - began_s < 5
        trickling.cancel()
        assert await is_answered(port)


async def test_who_says_nothing_is_hung_up_on(tmp_path: Path) -> None:
    """A connection that asks for nothing is not kept."""
    async with opened(tmp_path, guarded=False, patience=HASTY) as port, port.wire() as wire:
        began_s = time.monotonic()
        assert await wire.is_hung_up()
        assert time.monotonic() - began_s < 5


async def _trickle(port: Port, writer: asyncio.StreamWriter) -> None:
    while port.listening.port and not writer.is_closing():
        writer.write(b"a")
        await asyncio.sleep(0.05)


async def test_the_second_head_on_a_connection_is_not_waited_for_either(tmp_path: Path) -> None:
    """What was answered once has no more patience coming."""
    async with opened(tmp_path, guarded=False, patience=HASTY) as port, port.wire() as wire:
        await wire.send(request(DECIDE, BODY))
        assert (await wire.answer()).status == 200
        trickling = asyncio.create_task(_trickle(port, wire.writer))
        assert await wire.is_hung_up()
        trickling.cancel()


async def test_half_a_body_is_not_waited_for(tmp_path: Path) -> None:
    """A body that does not come to its end is given up, a byte now and then or not; nothing is decided for it."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), guarded=False, patience=HASTY) as port, port.wire() as wire:
        await wire.send(request(DECIDE, BODY).replace(f"{len(BODY)}".encode(), b"60000", 1))
        trickling = asyncio.create_task(_trickle(port, wire.writer))
        assert await wire.is_hung_up()
        trickling.cancel()
    assert decider.asked == []


async def test_a_stream_that_falls_silent_is_ended(tmp_path: Path) -> None:
    """A stream of questions may take as long as it likes, as long as something comes; when nothing does it is ended."""
    patience = Patience(body_s=0.3, stream_s=1.5)
    async with opened(tmp_path, guarded=False, patience=patience) as port, port.wire() as wire:
        head = request(STREAM, b"", "application/connect+proto", transfer_encoding="chunked")
        await wire.send(head.replace(b"content-length: 0\r\n", b""))
        question = framed(ask().SerializeToString())
        for _ in range(8):  # longer than a body may take
            await wire.send(f"{len(question):x}\r\n".encode() + question + b"\r\n")
            await asyncio.sleep(0.1)
        began_s = time.monotonic()
        assert await wire.is_hung_up()
        assert time.monotonic() - began_s < 5


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    """Who asks for nothing more gives the place back."""
    async with opened(tmp_path, guarded=False, patience=HASTY) as port, port.wire() as wire:
        await wire.send(request(DECIDE, BODY))
        await wire.answer()
        assert await wire.is_hung_up()


async def test_who_does_not_read_is_hung_up_on(tmp_path: Path) -> None:
    """Answers that nobody reads are not piled up: the stream is not read on, and ended after a while."""
    memory = psutil.Process().memory_info
    async with opened(tmp_path, guarded=False, patience=Patience(read_s=0.5)) as port, port.wire() as wire:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as for writing alone
        head = request(STREAM, b"", "application/connect+proto", transfer_encoding="chunked")
        await wire.send(head.replace(b"content-length: 0\r\n", b""))
        many = framed(ask().SerializeToString()) * 500
        before = memory().rss
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(_send_on(wire, f"{len(many):x}\r\n".encode() + many + b"\r\n"), 20)
        assert memory().rss - before < 30_000_000
        assert await is_answered(port)


async def _send_on(wire: Wire, part: bytes) -> None:
    while True:
        await wire.send(part)
        await asyncio.sleep(0)


async def test_connections_are_counted(tmp_path: Path) -> None:
    """Beyond the bound the newest is hung up on where all are at work; a place given back is taken by the next."""
    async with opened(tmp_path, guarded=False, patience=Patience(most=8)) as port, AsyncExitStack() as held:
        wires = [await held.enter_async_context(port.wire()) for _ in range(8)]
        for wire in wires:
            await wire.send(STREAMING)
        await asyncio.sleep(0.2)
        async with port.wire() as ninth:
            assert await ninth.is_hung_up()
        wires[1].close()
        await asyncio.sleep(0.1)
        assert await is_answered(port)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"GET / HT"], ids=["none", "all", "half"])
async def test_strangers_give_their_places_to_others(tmp_path: Path, sent: bytes) -> None:
    """Who took all places and asks for nothing that a gate lets in loses the longest idle; who is known keeps it."""
    async with opened(tmp_path, patience=Patience(most=8)) as port, AsyncExitStack() as held:
        known = await held.enter_async_context(port.wire())
        await known.send(request(DECIDE, BODY, authorization=OURS))
        assert (await known.answer()).status == 200
        strangers = [await held.enter_async_context(port.wire()) for _ in range(20)]
        for one in strangers[-7:]:
            await one.send(sent)
        await asyncio.sleep(0.1)
        said = await port.call(DECIDE, BODY, authorization=OURS)
        assert said.status == 200
        assert all([await one.is_hung_up() for one in strangers[:13]])
        await known.send(request(DECIDE, BODY, authorization=OURS))
        assert (await known.answer()).status == 200


def _with_head(*lines: bytes) -> bytes:
    """Return a call that would be answered, were its head not so long."""
    head, _, body = request(DECIDE, BODY).partition(b"\r\n\r\n")
    return b"\r\n".join((head, *lines)) + b"\r\n\r\n" + body


TOO_LONG = {
    "20 KiB": _with_head(b"x: " + b"a" * 20_000),
    "120 KB": _with_head(b"x: " + b"a" * 120_000),
    "blanks": _with_head(b"x:" + b" " * 20_000 + b"a"),
    "4,000 headers": _with_head(*[b"a: b"] * 4_000),
    "the second": _with_head() + _with_head(b"x: " + b"a" * 20_000),
}


@pytest.mark.parametrize("raw", TOO_LONG.values(), ids=TOO_LONG)
async def test_a_head_is_bounded_however_it_comes(tmp_path: Path, raw: bytes) -> None:
    """A call with too long a head is refused, also where all of it comes at once; one just below is answered."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), guarded=False) as port, port.wire() as wire:
        good = raw.count(b"POST") - 1
        await wire.send(raw)
        assert [(await wire.answer()).status for _ in range(good)] == [200] * good
        assert (await wire.answer()).status in (400, 431)
        assert await wire.is_hung_up()
        assert len(decider.asked) == good
        async with port.wire() as other:
            await other.send(_with_head(b"x: " + b"a" * 16_000))
            assert (await other.answer()).status == 200


BROKEN = {
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two lengths": b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    "a length below nought": b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n{}",
    "a chunk of no length": b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "two ways to end": b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "no host": b"POST /x HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "nought": bytes(4_000),
    "folded lines": b"POST /x HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
    "a space before the colon": b"POST /x HTTP/1.1\r\nhost : a\r\n\r\n",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
async def test_what_is_no_http_ends_the_connection(
    tmp_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused with 4xx or hung up on, nothing of it is called, and it fills no log."""
    with caplog.at_level(logging.DEBUG):
        async with opened(tmp_path, guarded=False, patience=HASTY) as port, port.wire() as wire:
            await wire.send(raw)
            said = await wire.reader.read(12)
            assert not said or 400 <= int(said.split()[1]) < 500
            assert await wire.is_hung_up()
            assert await is_answered(port)
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


BAD_BODIES = {
    "no JSON": (b"{", "cannot be read as JSON"),
    "no object": (b'["a"]', "is no JSON object"),
    "a text": (b'"customerId"', "is no JSON object"),
    "deep": (b'{"context": ' * 5_000 + b"{}" + b"}" * 5_000, ""),
    "deep lists": (b'{"placements": ' + b"[" * 60_000, "cannot be read as JSON"),
    "no UTF-8": (b'{"customerId": "\xff\xfe"}', "cannot be read as JSON"),
    "half a surrogate": (b'{"customerId": "\\ud800"}', "customerId: "),
    "an endless number": (b'{"context": {"a": {"intValue": ' + b"9" * 5_000 + b"}}}", ""),
    "twice": (b'{"customerId": "a", "customerId": "b"}', "cannot be read as JSON"),
    "another kind": (f'{{"customerId": {{"{SECRET}": 1}}}}'.encode(), "customerId: has a value of another kind"),
    "an unknown field": (f'{{"{SECRET}": 1}}'.encode(), 'has no field "…"'),
    "a moment": (f'{{"asOf": "{SECRET}"}}'.encode(), "asOf: has a value of another kind"),
    "infinite": (b'{"context": {"a": {"doubleValue": Infinity}}}', ""),
}


@pytest.mark.parametrize(("body", "says"), BAD_BODIES.values(), ids=BAD_BODIES)
async def test_bad_json_is_an_invalid_argument(
    tmp_path: Path, body: bytes, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The place of what is wrong is told, never what stands there; nothing is decided."""
    decider = Answering()
    async with opened(tmp_path, edge_of(decider), guarded=False) as port:
        said = await port.call(DECIDE, body)
    assert (said.status, said.ended[0]) == (400, "invalid_argument")
    assert says in said.ended[1]
    assert SECRET not in said.body.decode() + caplog.text
    assert decider.asked == []


@pytest.mark.parametrize("form", ["application/json", "application/grpc-web+proto", "application/connect+json"])
@pytest.mark.parametrize(
    ("token", "ended"),
    [("nobody", "unauthenticated"), (token_of(Role.OPERATOR), "permission_denied")],
    ids=["stranger", "other role"],
)
async def test_who_may_not_call_is_refused_before_the_body(tmp_path: Path, form: str, token: str, ended: str) -> None:
    """The headers are enough to refuse a call: nothing of its body is waited for, kept or unpacked."""
    path = STREAM if "connect" in form else DECIDE
    async with opened(tmp_path) as port, port.wire() as wire:
        head = request(path, b"", form, authorization=f"Bearer {token}", content_encoding="gzip")
        await wire.send(head.replace(b"content-length: 0", b"content-length: 60000"))
        async with asyncio.timeout(2):  # a body would have 10 s
            assert (await wire.answer()).ended[0] == ended


async def test_nothing_that_was_sent_is_repeated(tmp_path: Path) -> None:
    """What Connect itself refuses is refused in our words."""
    async with opened(tmp_path, guarded=False) as port:
        said = await port.call(DECIDE, BODY, content_encoding=SECRET)
        assert (said.ended[0], SECRET in str(said)) == ("unimplemented", False)
        said = await port.call(DECIDE, framed(BODY), "application/grpc-web+json", grpc_encoding=SECRET)
        assert (said.ended[0], SECRET in str(said)) == ("unimplemented", False)
        for name in ("connect_timeout_ms", "connect_protocol_version", "grpc_timeout"):
            for form in ("application/json", "application/grpc-web+json"):
                said = await port.call(DECIDE, BODY, form, None, **{name: SECRET})
                assert SECRET not in str(said), (name, form)


@contextmanager
def most_taken() -> Iterator[Callable[[], int]]:
    """Give what returns how many bytes Python held at most since then, beyond what it held at first."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def zeros(many: int) -> bytes:
    """Return so many zeros compressed by gzip, without ever having them all."""
    packer = zlib.compressobj(9, wbits=31)
    part = bytes(1_000_000)
    return b"".join(packer.compress(part) for _ in range(many // len(part))) + packer.flush()


async def test_too_much_is_not_read(tmp_path: Path) -> None:
    """A body beyond the limit is refused, compressed or not, before it is all there."""
    async with opened(tmp_path, guarded=False) as port:
        assert (await port.call(DECIDE, b"{" + b" " * 200_000)).ended[0] == "resource_exhausted"
        assert (await port.call(DECIDE, b"{" + b" " * 100_000 + b"}")).ended[0] == "invalid_argument"
        assert (await port.call(EVENTS, b"{" + b" " * MAX_BATCH_BYTES)).ended[0] == "resource_exhausted"
        bomb = zeros(100_000_000)
        assert len(bomb) < 128_000
        with most_taken() as taken:
            assert (await port.call(DECIDE, bomb, content_encoding="gzip")).ended[0] == "resource_exhausted"
            assert (await port.call(DECIDE, b"\x1f\x8bno", content_encoding="gzip")).ended[0] == "invalid_argument"
            assert taken() < 5_000_000
        huge = framed(b"")[:1] + (4_000_000_000).to_bytes(4, "big") + b"x" * 10
        assert (await port.call(STREAM, huge, "application/connect+proto")).ended[0] == "invalid_argument"
        assert (await port.call(DECIDE, huge, "application/grpc-web")).ended[0] == "resource_exhausted"
        assert await is_answered(port)


@pytest.mark.parametrize(
    "body", [b"\x7f\0\0\0\0", b"\0\0\0\0", b"\0\0\0\0\x09abc", framed(b"\xff" * 30), b""],
    ids=["flags", "half a head", "half a message", "no message", "nothing"],
)  # fmt: skip
async def test_broken_frames_end_the_call_alone(tmp_path: Path, body: bytes) -> None:
    """A stream that breaks off, or holds no messages, ends with a status, and no other call with it."""
    async with opened(tmp_path, guarded=False) as port:
        for path, form in ((STREAM, "application/connect+proto"), (DECIDE, "application/grpc-web+proto")):
            said = await port.call(path, body, form)
            assert said.status == 200
        assert await is_answered(port)


async def test_who_calls_beside_an_attack_is_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Random bytes, half requests and connections that say nothing: every call beside them is answered, and no error of
    ours is logged.
    """
    dice, took_ms = random.Random(7), []
    hasty = Patience(head_s=2.0, body_s=2.0)
    async with opened(tmp_path, guarded=False, patience=hasty) as port, AsyncExitStack() as held:
        for _ in range(cases(60, 300)):
            await held.enter_async_context(port.wire())
        for _ in range(cases(150, 10_000)):
            async with port.wire() as wire:
                await wire.send(_spoilt(dice))
            began_s = time.perf_counter()
            assert await is_answered(port)
            took_ms.append(1000 * (time.perf_counter() - began_s))
    took_ms.sort()
    print(f"\n{len(took_ms)} calls beside an attack: p99 {took_ms[int(0.99 * len(took_ms))]:.1f} ms, all answered")
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def _spoilt(dice: random.Random) -> bytes:
    """Return a good request with something of it changed, or cut off."""
    raw = bytearray(
        request(dice.choice((DECIDE, STREAM)), BODY, dice.choice(("application/json", "application/proto")))
    )
    for _ in range(dice.randrange(4)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw[: dice.randrange(len(raw) + 1)])
