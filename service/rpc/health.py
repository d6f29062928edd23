"""The standard health service, behind the same care for bad bytes as our own methods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2

from service.rpc.checks import Findings, check_length
from service.rpc.wrapper import MAX_REQUEST_BYTES, Call, Gate, Handler, check_time, end, parsed

SERVICE = str(health.SERVICE_NAME)
WATCH = f"{SERVICE}/Watch"
_MAX_NAME_BYTES = 256  # the servicer keeps every name that is watched
TURNS_AWAY_S = 0.1
"""How long who watches has to take its calls elsewhere, once it was told that the server ends."""
_Method: TypeAlias = Callable[[health_pb2.HealthCheckRequest, Any], Awaitable[Any]]


class Health:
    """Says of the whole server and of each service whether it serves; it begins with no."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = ("", *services)
        self._servicer = health.aio.HealthServicer()
        self._watched: set[asyncio.Timeout] = set()

    async def announce(self, *, serving: bool) -> None:
        """Say whether the server serves; has no effect after `leave`."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self._servicer.set(service, status)

    async def leave(self) -> None:
        """Say NOT_SERVING for good, and leave those who watch the time to hear it."""
        await self._servicer.enter_graceful_shutdown()
        if self._watched:
            await asyncio.sleep(TURNS_AWAY_S)

    def let_go(self) -> None:
        """End the calls of those who watch, which would go on for ever."""
        for watched in self._watched:
            if not watched.expired():
                watched.reschedule(asyncio.get_running_loop().time())

    def handlers(self, watching: Gate | None = None) -> dict[str, Handler]:
        """Return the handlers of the health service. `watching` is asked who may watch: everybody may check."""
        # They ask less of a call than their types say: to abort and to write.
        check: _Method = self._servicer.Check
        watch: _Method = self._servicer.Watch

        async def answer_check(raw: bytes, call: Call) -> bytes:
            try:
                answer: health_pb2.HealthCheckResponse = await check(_asked(raw, call), call)
                return answer.SerializeToString()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
                await end(call, error)

        async def answer_watch(raw: bytes, call: Call) -> None:
            try:
                if watching is not None:
                    watching(call)
                with suppress(TimeoutError):
                    async with self._until_ended():
                        await watch(_asked(raw, call), _Writing(call))
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
                await end(call, error)

        return {
            "Check": grpc.unary_unary_rpc_method_handler(answer_check),
            "Watch": grpc.unary_stream_rpc_method_handler(answer_watch),
        }

    @asynccontextmanager
    async def _until_ended(self) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as watched:
            self._watched.add(watched)
            try:
                yield
            finally:
                self._watched.discard(watched)


@dataclass(frozen=True, slots=True)
class _Writing:
    """A call that takes messages where ours takes bytes."""

    call: Call

    async def write(self, answer: health_pb2.HealthCheckResponse) -> None:
        await self.call.write(answer.SerializeToString())


def _asked(raw: bytes, call: Call) -> health_pb2.HealthCheckRequest:
    check_time(call)
    request = parsed(health_pb2.HealthCheckRequest, raw, MAX_REQUEST_BYTES)
    found = Findings()
    check_length(found, "service", request.service, _MAX_NAME_BYTES)
    found.end()
    return request
