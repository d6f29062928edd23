"""Who watches the health and does not read keeps nobody from hearing of it, nor the server from ending."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from grpc_health.v1 import health_pb2
from hyperframe.frame import DataFrame

from service.rpc.health import WATCH
from service.rpc.server import Listen, Server
from tests.edge.hostile.attacks import Raw, frame
from tests.rpc.world import channel_to, edge_of

NO_WINDOW = {4: 0}
EMPTY = b"\x00\x00\x00\x00\x00"
GRACE_S = 0.5
ANSWER = health_pb2.HealthCheckResponse


def watching(port: int) -> Raw:
    """Return a connection that watches, and takes no byte of an answer."""
    raw = Raw(port, NO_WINDOW)
    stream, opened = raw.opening(path=f"/{WATCH}")
    raw.send(opened, frame(DataFrame(stream, EMPTY, flags=["END_STREAM"])))
    return raw


async def test_a_watcher_that_does_not_read() -> None:
    """Others hear of each change at once, and the server ends within its grace."""
    server = Server(edge_of(), replace(Listen(), port=0))
    port = await server.start()
    holds = await asyncio.to_thread(watching, port)
    try:
        await asyncio.sleep(0.2)
        async with channel_to(f"127.0.0.1:{port}") as channel:
            heard = aiter(channel.unary_stream(f"/{WATCH}", None, ANSWER.FromString)(b""))
            assert (await anext(heard)).status == ANSWER.NOT_SERVING
            for serving in (True, False, True):
                await asyncio.wait_for(server.announce(serving=serving), 1)
                told = (await asyncio.wait_for(anext(heard), 1)).status
                assert told == (ANSWER.SERVING if serving else ANSWER.NOT_SERVING)
            began = time.monotonic()
            await asyncio.wait_for(server.drain(linger_s=0, grace_s=GRACE_S), 5)
            assert time.monotonic() - began < GRACE_S + 2
    finally:
        holds.close()


async def test_a_service_that_is_not_there() -> None:
    """Watching it says so, and goes on."""
    server = Server(edge_of(), replace(Listen(), port=0))
    async with channel_to(f"127.0.0.1:{await server.start()}") as channel:
        asked = health_pb2.HealthCheckRequest(service="no.such").SerializeToString()
        watch = channel.unary_stream(f"/{WATCH}", None, ANSWER.FromString)(asked)
        assert (await watch.read()).status == ANSWER.SERVICE_UNKNOWN
        watch.cancel()
    await server.drain(linger_s=0, grace_s=0)
