"""Calls end in time and in one way: sources of tokens that hang, clients that are closed, services without room."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import grpc
import pytest

from tact.client import AsyncClient, CallFailed, Client, question
from tact.client._policy import Retry
from tact.v1 import context_pb2, decision_pb2
from tests.edge.client.door import Door, standing

ASK = question("customer", "web", ["greeting"])
KINDS = pytest.mark.parametrize("kind", ["async", "sync"])


@pytest.fixture
def let_go() -> Iterator[threading.Event]:
    """Return what ends the sources that hang."""
    event = threading.Event()
    yield event
    event.set()


@KINDS
async def test_a_source_that_hangs_is_not_waited_for(kind: str, let_go: threading.Event) -> None:
    """A call ends at its deadline without a token; with a good one it is made all the same."""
    given: list[str] = []

    def source() -> str:
        given.append("good")
        if len(given) > 1:
            let_go.wait(10)
        return given[-1]

    async def on_a_loop() -> str:
        if given:
            await asyncio.sleep(10)
        return source()

    async def call(tact: AsyncClient | Client, timeout_s: float) -> float:
        begun = monotonic()
        with suppress(CallFailed):
            await _decided(tact, timeout_s)
        return monotonic() - begun

    door = Door({"good"})
    async with standing(door) as target:
        tact = AsyncClient(target, token=on_a_loop) if kind == "async" else Client(target, token=source)
        assert await call(tact, 5.0) < 2.0
        assert len(door.asked) == 1
        door.known = set()  # the service knows nobody any more, so the good token is given up
        assert await call(tact, 0.1) < 0.5
        await _close(tact)
    assert door.seen == ["good"] * 2


@KINDS
async def test_a_closed_client_ends_its_calls(kind: str, let_go: threading.Event) -> None:
    """What is under way when a client is closed, and what comes later, fails as CANCELLED, streams too."""

    async def hang(raw: bytes, context: Any) -> bytes:  # noqa: ANN401 - a servicer's context
        await asyncio.to_thread(let_go.wait, 3)
        return b""

    async with answering(hang) as target:
        tact = AsyncClient(target) if kind == "async" else Client(target)
        under_way = asyncio.create_task(_decided(tact, 5.0))
        await asyncio.sleep(0.2)
        await _close(tact)
        ended = [under_way, asyncio.create_task(_decided(tact, 5.0)), asyncio.create_task(_streamed(tact))]
        codes = [getattr(one, "code", one) for one in await asyncio.gather(*ended, return_exceptions=True)]
        let_go.set()
    assert codes == [grpc.StatusCode.CANCELLED] * 3


async def test_who_cancels_a_task_gets_it_cancelled(let_go: threading.Event) -> None:
    """A caller's own cancelling stays what it is while the client is open."""

    async def hang(raw: bytes, context: Any) -> bytes:  # noqa: ANN401 - as above
        await asyncio.to_thread(let_go.wait, 3)
        return b""

    async with answering(hang) as target, AsyncClient(target) as tact:
        under_way = asyncio.create_task(_decided(tact, 5.0))
        await asyncio.sleep(0.2)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        let_go.set()


@KINDS
async def test_a_token_that_is_refused_again_does_not_bring_the_next_at_once(kind: str) -> None:
    """A caller who is not known asks who makes tokens once a second, however many calls are made."""
    given: list[str] = []

    def source() -> str:
        given.append(f"token-{len(given)}")
        return given[-1]

    door = Door()
    async with standing(door) as target:
        tact = AsyncClient(target, token=source) if kind == "async" else Client(target, token=source)
        for _ in range(10):
            with pytest.raises(CallFailed, match="UNAUTHENTICATED"):
                await _decided(tact, 1.0)
        await _close(tact)
    assert len(given) == 2
    assert len(door.seen) == 11


@pytest.mark.parametrize("stamped", [False, True])
@KINDS
async def test_a_consent_without_a_moment_is_told_once(kind: str, stamped: bool) -> None:
    """Repeated it would undo a withdrawal that came between; one with a moment is made once more, and the same."""
    came: list[bytes] = []

    async def lost(raw: bytes, context: Any) -> bytes:  # noqa: ANN401 - as above
        came.append(raw)
        if len(came) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return context_pb2.SetConsentResponse().SerializeToString()

    given_at = datetime.now(UTC) if stamped else None
    async with answering(lost) as target:
        tact = AsyncClient(target, retry=Retry()) if kind == "async" else Client(target, retry=Retry())
        try:
            if isinstance(tact, AsyncClient):
                await tact.set_consent("ada", "full", given_at=given_at)
            else:
                await asyncio.to_thread(lambda: tact.set_consent("ada", "full", given_at=given_at))
            told = True
        except CallFailed:
            told = False
        finally:
            await _close(tact)
    assert told is stamped
    assert len(came) == 1 + stamped
    assert len(set(came)) == 1


@dataclass
class Busy:
    """Answers batches, but refuses a question for want of room as often as it is told to."""

    refusals: dict[str, int]
    asked: list[str] = field(default_factory=list)

    async def each(self, asked: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        """Answer each batch."""
        async for raw in asked:
            questions = decision_pb2.DecideBatchesRequest.FromString(raw).requests
            answers = [self.one(question) for question in questions]
            yield decision_pb2.DecideBatchesResponse(answers=answers).SerializeToString()

    def one(self, question: decision_pb2.DecideRequest) -> decision_pb2.DecideResponse:
        """Answer one question."""
        answer = decision_pb2.DecideResponse(request_id=question.request_id)
        self.asked.append(question.idempotency_key)
        if self.refusals.get(question.request_id, 0):
            self.refusals[question.request_id] -= 1
            answer.error.code = 8
        return answer


@KINDS
async def test_a_question_without_room_is_asked_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question of a batch that was shed is asked again under its key, in its turn; after five times it stays so."""
    monkeypatch.setattr("tact.client._runs.PAUSE_S", 0.001)
    busy = Busy({"3": 2, "60": 1, "70": 1_000})
    questions = [question(f"c-{n}", "web", ["greeting"], request_id=str(n)) for n in range(90)]
    async with answering(busy.each, streams=True) as target:
        if kind == "async":
            async with AsyncClient(target) as tact:
                answers = [one async for one in tact.decide_batches(questions)]
        else:
            with Client(target) as threaded:
                answers = await asyncio.to_thread(lambda: list(threaded.decide_batches(questions)))
    assert [one.request_id for one in answers] == [str(n) for n in range(90)]
    assert [one.request_id for one in answers if one.HasField("error")] == ["70"]
    assert busy.refusals["3"] == busy.refusals["60"] == 0
    assert 1_000 - 6 - 3 <= busy.refusals["70"] <= 1_000 - 6  # asked again with those before it, too
    assert len(set(busy.asked)) == 90


async def _decided(tact: AsyncClient | Client, timeout_s: float) -> object:
    if isinstance(tact, AsyncClient):
        return await tact.decide(ASK, timeout_s=timeout_s)
    return await asyncio.to_thread(tact.decide, ASK, timeout_s=timeout_s)


async def _streamed(tact: AsyncClient | Client) -> object:
    if isinstance(tact, AsyncClient):
        return [one async for one in tact.decide_stream([ASK])]
    return await asyncio.to_thread(lambda: list(tact.decide_stream([ASK])))


async def _close(tact: AsyncClient | Client) -> None:
    if isinstance(tact, AsyncClient):
        await tact.close()
    else:
        await asyncio.to_thread(tact.close)


@dataclass(frozen=True)
class _Any(grpc.GenericRpcHandler):
    answer: Callable[..., Any]
    streams: bool

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        make = grpc.stream_stream_rpc_method_handler if self.streams else grpc.unary_unary_rpc_method_handler
        return make(self.answer)


@asynccontextmanager
async def answering(answer: Callable[..., Any], *, streams: bool = False) -> AsyncIterator[str]:
    """Answer every method with bytes, on a port of its own."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    server.add_generic_rpc_handlers((_Any(answer, streams),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
