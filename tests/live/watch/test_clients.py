"""The clients watch: on a loop, in threads, from the command line; each goes on where a stream broke."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.rpc.client import Ask, CallFailed, TactClient
from service.rpc.client_batches import Patience
from service.rpc.client_watch import Watching
from tact import client as shipped
from tact.v1 import decision_pb2 as pb
from tests.cli.commands import ROOT, TACT, clean
from tests.live.watch.at_hand import service
from tests.live.watch.test_stories import opened
from tests.strategies import write_strategy

BREAKS = 3


class Breaking:
    """A Watch before a real one that ends each stream after its first message, a few times."""

    def __init__(self, behind: Any) -> None:  # noqa: ANN401 - a channel
        self._behind = behind
        self.streams = 0
        self.cursors: list[str] = []

    async def watch(self, asked: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:  # noqa: ANN401
        """Tell what the real one tells."""
        self.streams += 1
        self.cursors.append(asked.cursor)
        breaks = self.streams <= BREAKS
        way = self._behind.unary_stream(
            "/tact.v1.DecisionService/Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )
        async for message in way(asked):
            yield message
            if breaks:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "made up")


@asynccontextmanager
async def breaking(behind: str) -> AsyncIterator[tuple[str, Breaking]]:
    """Stand before a service with streams that break."""
    server = grpc.aio.server()
    async with grpc.aio.insecure_channel(behind) as channel:
        front = Breaking(channel)
        handler = grpc.unary_stream_rpc_method_handler(
            front.watch,
            request_deserializer=pb.WatchRequest.FromString,
            response_serializer=pb.WatchResponse.SerializeToString,
        )
        handlers = grpc.method_handlers_generic_handler("tact.v1.DecisionService", {"Watch": handler})
        server.add_generic_rpc_handlers((handlers,))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}", front
        finally:
            await server.stop(0.0)


async def test_our_client_goes_on_where_streams_break(tmp_path: Path) -> None:
    """Three streams break after a message each: the fourth goes on by the cursor of the last, with no new decision."""
    async with (
        service(tmp_path, write_strategy(tmp_path / "s")) as running,
        breaking(running.address) as (target, front),
        TactClient(target) as tact,
    ):
        messages = tact.watch(Ask("anna", "desk", ("offer",)), heartbeat_s=1.0, patience=Patience(9, 0.01))
        kinds = [(await anext(messages))["kind"] for _ in range(BREAKS + 1)]
        assert kinds == ["answer", *["heartbeat"] * BREAKS]
        assert front.streams == BREAKS + 1
        assert "" not in front.cursors[1:]


async def test_our_client_waits_as_it_is_told_and_decides_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream ends before its first message, as of a token that has run out, or of a service that is full: the next
    one names the same watch, so that it decides nothing twice, and comes no sooner than it was told.
    """
    asked, waited, none = [], [], grpc.aio.Metadata()
    full = grpc.aio.Metadata(("grpc-retry-pushback-ms", "70"))
    ends = [(grpc.StatusCode.UNAUTHENTICATED, none), (grpc.StatusCode.RESOURCE_EXHAUSTED, full)]

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    class Ended:
        def __init__(self, request: pb.WatchRequest) -> None:
            asked.append(request.question.idempotency_key)
            self.code, self.trailers = ends[len(asked) - 1]

        def __aiter__(self) -> Ended:
            return self

        async def __anext__(self) -> pb.WatchResponse:
            raise grpc.aio.AioRpcError(self.code, none, self.trailers)

        def cancel(self) -> None:
            pass

    monkeypatch.setattr("service.rpc.client_watch.asyncio.sleep", sleep)
    with pytest.raises(CallFailed, match="RESOURCE_EXHAUSTED"):
        async for _ in Watching(Ended, pb.WatchRequest(heartbeat_ms=1000), Patience(2, 0.01)).messages():
            pass
    assert len(set(asked)) == 1
    assert asked[0]
    assert waited == [0.01]
    ends.insert(0, ends[1])
    asked.clear()
    with pytest.raises(CallFailed, match="UNAUTHENTICATED"):
        async for _ in Watching(Ended, pb.WatchRequest(heartbeat_ms=1000), Patience(2, 0.01)).messages():
            pass
    assert waited == [0.01, 0.07]


async def test_a_refusal_is_final(tmp_path: Path) -> None:
    """What the service refuses is raised and not tried again."""
    async with service(tmp_path, write_strategy(tmp_path / "s")) as running, TactClient(running.address) as tact:
        with pytest.raises(CallFailed, match="INVALID_ARGUMENT"):
            await anext(tact.watch(Ask("anna", "desk", ("nowhere",))))


async def test_the_shipped_client_goes_on_where_streams_break(tmp_path: Path) -> None:
    """Callers see each change once, and nothing of the streams that broke."""
    async with (
        service(tmp_path, write_strategy(tmp_path / "s")) as running,
        breaking(running.address) as (target, front),
        shipped.AsyncClient(target) as tact,
        TactClient(running.address) as telling,
    ):
        messages = tact.watch(shipped.question("anna", "desk", ["offer"]), heartbeat_s=1.0, every_cause=True)
        assert (await anext(messages)).kind == pb.WATCH_KIND_ANSWER
        await telling.set_consent("anna", "full")
        after = await anext(messages)
        assert [cause.kind for cause in after.causes] == [pb.WATCH_CAUSE_KIND_CONSENT]
        assert front.streams > 1


async def test_the_shipped_client_watches_in_a_thread(tmp_path: Path) -> None:
    """Without a loop the same: an answer, streams that break unseen, and what was written meanwhile."""
    async with (
        service(tmp_path, write_strategy(tmp_path / "s")) as running,
        breaking(running.address) as (target, front),
        TactClient(running.address) as telling,
    ):
        tact = shipped.Client(target)
        with closing(tact.watch(shipped.question("bert", "desk", ["offer"]), every_cause=True)) as messages:
            assert (await asyncio.to_thread(next, messages)).kind == pb.WATCH_KIND_ANSWER
            await telling.set_consent("bert", "full")
            after = await asyncio.to_thread(next, messages)
            assert [cause.kind for cause in after.causes] == [pb.WATCH_CAUSE_KIND_CONSENT]
            assert front.streams > 1
        tact.close()


async def test_the_command_tells_changes(tmp_path: Path) -> None:
    """`tact watch` prints the answer, then what changed and why, and as JSON a document a message."""
    async with service(tmp_path, write_strategy(tmp_path / "s")) as running, TactClient(running.address) as tact:
        await tact.set_consent("anna", "full")
        words = ("anna", "--channel", "desk", "--placement", "offer", "--every-cause", "--target", running.address)
        for more in ((), ("--json",)):
            process = await asyncio.create_subprocess_exec(
                *TACT, "watch", *words, *more, cwd=ROOT, env=clean(None), stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None
            try:
                first = await _line(process.stdout)
                await opened(tact, "anna", f"t{len(more)}")
                second = await _line(process.stdout, "ticket.opened")
            finally:
                process.terminate()
                await process.wait()
            if more:
                assert json.loads(first)["kind"] == "answer"
                assert json.loads(second)["causes"][0]["name"] == "ticket.opened"
            else:
                assert "to say now" in first


async def _line(stdout: asyncio.StreamReader, having: str = "") -> str:
    async with asyncio.timeout(30.0):
        while having not in (line := (await stdout.readline()).decode()):
            assert line, "the command ended"
        return line
