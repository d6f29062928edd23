"""The standard reflection service, behind the same care for bad bytes as our own methods."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from grpc_reflection.v1alpha import reflection, reflection_pb2

from service.rpc.wrapper import MAX_REQUEST_BYTES, Gate, Handler, Raws, TimeLeft, Times, conversing, parsed

SERVICE = str(reflection.SERVICE_NAME)
METHOD = f"{SERVICE}/ServerReflectionInfo"
_ANY_TIME = Times(60.0, 60.0)


def handlers(services: tuple[str, ...], gate: Gate | None = None) -> dict[str, Handler]:
    """Return the handler of the reflection service, which lists these services and itself."""
    servicer: Any = reflection.aio.ReflectionServicer((*services, SERVICE))

    async def answers(raws: Raws, left: TimeLeft) -> AsyncGenerator[bytes, None]:
        async for answer in servicer.ServerReflectionInfo(_requests(raws, left), None):
            yield answer.SerializeToString()

    return {"ServerReflectionInfo": conversing(answers, _ANY_TIME, gate)}


async def _requests(raws: Raws, left: TimeLeft) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
    async for raw in raws:
        left()
        yield parsed(reflection_pb2.ServerReflectionRequest, raw, MAX_REQUEST_BYTES)
