"""The standard health service, behind the same care for bad bytes as our own methods.

Not that of grpcio-health-checking: its `Watch` writes with a lock held, so one watcher that does not read keeps the
server from saying anything to anybody, and from ending.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import grpc
from grpc_health.v1 import health_pb2

from service.rpc.checks import Findings, check_length
from service.rpc.wrapper import MAX_REQUEST_BYTES, Call, Gate, Handler, check_time, end, parsed

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WATCH = f"{SERVICE}/Watch"
_MAX_NAME_BYTES = 256
TURNS_AWAY_S = 0.1
"""How long who watches has to take its calls elsewhere, once it was told that the server ends."""
_Answer: TypeAlias = health_pb2.HealthCheckResponse


class Health:
    """Says of the whole server and of each service whether it serves; it begins with no."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = frozenset(("", *services))
        self._serving, self._leaves, self._ends = False, False, False
        self._news: set[asyncio.Event] = set()

    async def announce(self, *, serving: bool) -> None:
        """Say whether the server serves; has no effect after `leave`. Waits for nobody who watches."""
        self._serving = serving and not self._leaves
        self._wake()

    async def leave(self) -> None:
        """Say NOT_SERVING for good, and leave those who watch the time to hear it."""
        self._leaves = True
        await self.announce(serving=False)
        if self._news:
            await asyncio.sleep(TURNS_AWAY_S)

    def let_go(self) -> None:
        """End the calls of those who watch, which would go on for ever; gRPC ends those of who does not read."""
        self._ends = True
        self._wake()

    def handlers(self, watching: Gate | None = None) -> dict[str, Handler]:
        """Return the handlers of the health service. `watching` is asked who may watch: everybody may check."""

        async def answer_check(raw: bytes, call: Call) -> bytes:
            try:
                check_time(call)
                if (service := _asked(raw)) not in self._services:
                    await call.abort(grpc.StatusCode.NOT_FOUND)
                return self._answer(service).SerializeToString()
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
                await end(call, error)

        async def answer_watch(raw: bytes, call: Call) -> None:
            try:
                check_time(call)
                if watching is not None:
                    watching(call)
                await self._watch(_asked(raw), call)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - every error gets its status here
                await end(call, error)

        return {
            "Check": grpc.unary_unary_rpc_method_handler(answer_check),
            "Watch": grpc.unary_stream_rpc_method_handler(answer_watch),
        }

    def _wake(self) -> None:
        for news in self._news:
            news.set()

    def _answer(self, service: str) -> _Answer:
        if service not in self._services:
            return _Answer(status=_Answer.SERVICE_UNKNOWN)
        return _Answer(status=_Answer.SERVING if self._serving else _Answer.NOT_SERVING)

    async def _watch(self, service: str, call: Call) -> None:
        """Tell what is so, and again when it has changed; what changed and changed back meanwhile is not told."""
        news, told = asyncio.Event(), b""
        self._news.add(news)
        try:
            while not self._ends:
                news.clear()
                if (answer := self._answer(service).SerializeToString()) != told:
                    await call.write(answer)
                    told = answer
                await news.wait()
        finally:
            self._news.discard(news)


def _asked(raw: bytes) -> str:
    request = parsed(health_pb2.HealthCheckRequest, raw, MAX_REQUEST_BYTES)
    found = Findings()
    check_length(found, "service", request.service, _MAX_NAME_BYTES)
    found.end()
    return str(request.service)
