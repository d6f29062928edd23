"""The server says when it serves, and says what is wrong when it cannot."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.core.decision import Decision, Request
from service.errors import CannotListen
from service.rpc.client import Ask, CallFailed, TactClient
from service.rpc.server import Listen, Server
from tests.rpc.messages import METHODS, ask, call_raw
from tests.rpc.world import Answering, answered, channel_to, edge_of, serving, strategy

CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


async def test_health_begins_with_no() -> None:
    """An open port is not yet a serving one: health is NOT_SERVING until it is announced, for each service too."""
    server = Server(edge_of(), Listen(port=0))
    async with TactClient(f"127.0.0.1:{await server.start()}") as tact:
        assert await tact.health() == "not_serving"
        assert await tact.health("tact.v1.DecisionService") == "not_serving"
        await server.announce(serving=True)
        assert await tact.health() == "serving"
        assert await tact.health("tact.v1.OutcomeService") == "serving"
        with pytest.raises(CallFailed, match="NOT_FOUND"):
            await tact.health("tact.v1.NoService")
    await server.drain(linger_s=0, grace_s=0)


async def test_draining() -> None:
    """A server that leaves says NOT_SERVING first and for good, and still answers what is under way."""
    begun, going = asyncio.Event(), asyncio.Event()

    async def wait(request: Request) -> Decision:
        begun.set()
        await going.wait()
        return answered(request)

    server = Server(edge_of(Answering(wait)), Listen(port=0))
    async with TactClient(f"127.0.0.1:{await server.start()}") as tact:
        await server.announce(serving=True)
        question = asyncio.create_task(tact.decide(Ask("c", "web", ("hero",))))
        await begun.wait()
        draining = asyncio.create_task(server.drain(linger_s=0.2, grace_s=5))
        await asyncio.sleep(0.05)
        await server.announce(serving=True)
        assert await tact.health() == "not_serving"
        await asyncio.sleep(0.2)
        assert not draining.done()
        going.set()
        assert (await question)["answers"]
        await draining
        await asyncio.wait_for(server.ended(), 1)


async def test_a_watcher_hears_of_the_drain() -> None:
    """Who watches the health of a server hears when it comes and goes."""
    server = Server(edge_of(), Listen(port=0))
    async with channel_to(f"127.0.0.1:{await server.start()}") as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", None, health_pb2.HealthCheckResponse.FromString)(
            b""
        )
        heard = [(await watch.read()).status]
        await server.announce(serving=True)
        heard.append((await watch.read()).status)
        draining = asyncio.create_task(server.drain(linger_s=0.1, grace_s=0))
        heard.append((await watch.read()).status)
        watch.cancel()
        await draining
    answer = health_pb2.HealthCheckResponse
    assert heard == [answer.NOT_SERVING, answer.SERVING, answer.NOT_SERVING]


async def test_a_watcher_holds_nothing_up() -> None:
    """Who watches the health has a moment to take its calls elsewhere, and is let go long before the grace ends."""
    server = Server(edge_of(), Listen(port=0))
    async with channel_to(f"127.0.0.1:{await server.start()}") as channel:
        await server.announce(serving=True)
        watching = channel.unary_stream(WATCH)(b"")
        answers = aiter(watching)
        heard = [health_pb2.HealthCheckResponse.FromString(await anext(answers)).status]
        begun = time.monotonic()
        draining = asyncio.create_task(server.drain(linger_s=0, grace_s=30))
        heard += [health_pb2.HealthCheckResponse.FromString(raw).status async for raw in answers]
        await draining
    assert heard == [health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING]
    assert await watching.code() is grpc.StatusCode.OK
    assert 0.1 <= time.monotonic() - begun < 5


async def test_health_takes_no_garbage() -> None:
    """Bytes that are no health question are INVALID_ARGUMENT, like everywhere."""
    async with serving(edge_of()) as target, channel_to(target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as checked:
            await channel.unary_unary(CHECK)(b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as watched:
            await channel.unary_stream(WATCH)(b"\xff\xff").read()
    assert {checked.value.code(), watched.value.code()} == {grpc.StatusCode.INVALID_ARGUMENT}


async def test_a_taken_port_is_told() -> None:
    """Two servers never share a port unless told to: the second says that it is taken, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"127.0.0.1:{port}: the port is taken.*--port"):
            await Server(edge_of(), Listen(port=port)).start()


async def test_two_of_us_do_not_share_a_port_by_accident() -> None:
    """A second server of ours on the same port is refused, and may share it when both are told to."""
    async with serving(edge_of()) as target:
        with pytest.raises(CannotListen):
            await Server(edge_of(), Listen(port=int(target.split(":")[1]))).start()
    async with serving(edge_of(), Listen(reuse_port=True)) as target:
        second = Server(edge_of(), Listen(port=int(target.split(":")[1]), reuse_port=True))
        assert await second.start() == int(target.split(":")[1])
        await second.drain(linger_s=0, grace_s=0)


@pytest.mark.parametrize("reflection", [False, True])
async def test_reflection_is_by_flag(reflection: bool) -> None:
    """Nobody can list the services unless the server was started so; then all of them are listed."""
    asked = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    async with (
        serving(edge_of(), Listen(reflection=reflection)) as target,
        channel_to(target) as channel,
    ):
        call = channel.stream_stream(REFLECT, None, reflection_pb2.ServerReflectionResponse.FromString)(iter([asked]))
        if reflection:
            listed = {service.name for service in (await call.read()).list_services_response.service}
            assert {method.containing_service.full_name for method in METHODS} < listed
            call.cancel()
            return
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_strategy_is_swapped_whole() -> None:
    """Calls see the strategy that was in force when they began: its words, its decider, its limits."""
    first, second = Answering(), Answering()
    server = Server(edge_of(first), Listen(port=0))
    async with channel_to(f"127.0.0.1:{await server.start()}") as channel:
        await call_raw(channel, METHODS[0], [ask().SerializeToString()])
        without_web = replace(strategy(), channels=tuple(c for c in strategy().channels if c.id != "web"))
        other = edge_of(second)
        server.swap(
            type(other).of(
                without_web,
                decider=second,
                stores=other.stores,
                limits=other.limits,
                clock=other.clock,
                validator=other.validator,
            )
        )
        with pytest.raises(grpc.aio.AioRpcError, match="channel"):
            await call_raw(channel, METHODS[0], [ask().SerializeToString()])
        await call_raw(channel, METHODS[0], [ask(channel="desk").SerializeToString()])
    await server.drain(linger_s=0, grace_s=0)
    assert (len(first.asked), len(second.asked)) == (1, 1)
