"""The standard health service, behind the same care for bad bytes as our own methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2

from service.errors import InvalidArgument
from service.rpc.refusals import refusal_of
from service.rpc.wrapper import Call, Handler, parsed

SERVICE = str(health.SERVICE_NAME)
_MAX_BYTES = 4_096
_Method: TypeAlias = Callable[[health_pb2.HealthCheckRequest, Any], Awaitable[Any]]


class Health:
    """Says of the whole server and of each service whether it serves; it begins with no."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = ("", *services)
        self._servicer = health.aio.HealthServicer()

    async def announce(self, *, serving: bool) -> None:
        """Say whether the server serves; has no effect after `leave`."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self._servicer.set(service, status)

    async def leave(self) -> None:
        """Say NOT_SERVING for good."""
        await self._servicer.enter_graceful_shutdown()

    def handlers(self) -> dict[str, Handler]:
        """Return the handlers of the health service."""
        # They ask less of a call than their types say: to abort and to write.
        check: _Method = self._servicer.Check
        watch: _Method = self._servicer.Watch

        async def answer_check(raw: bytes, call: Call) -> bytes:
            answer: health_pb2.HealthCheckResponse = await check(await _asked(raw, call), call)
            return answer.SerializeToString()

        async def answer_watch(raw: bytes, call: Call) -> None:
            await watch(await _asked(raw, call), _Writing(call))

        return {
            "Check": grpc.unary_unary_rpc_method_handler(answer_check),
            "Watch": grpc.unary_stream_rpc_method_handler(answer_watch),
        }


@dataclass(frozen=True, slots=True)
class _Writing:
    """A call that takes messages where ours takes bytes."""

    call: Call

    async def write(self, answer: health_pb2.HealthCheckResponse) -> None:
        await self.call.write(answer.SerializeToString())


async def _asked(raw: bytes, call: Call) -> health_pb2.HealthCheckRequest:
    try:
        return parsed(health_pb2.HealthCheckRequest, raw, _MAX_BYTES)
    except InvalidArgument as error:
        refusal = refusal_of(error)
        await call.abort(refusal.code, refusal.message)
