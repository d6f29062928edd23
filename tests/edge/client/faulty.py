"""Something before a real service that answers for it that it is not available, as often as it is told to."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc

ATTEMPTS = "grpc-previous-rpc-attempts"
PUSHBACK = "grpc-retry-pushback-ms"


@dataclass
class Fault:
    """Which share of attempts fails, and how long the caller is asked to wait; `attempts` counts all that arrived.

    `repeated` counts those that said that they are not the first of their call.
    """

    share: float = 0.0
    pushback_ms: int | None = None
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    attempts: int = 0
    repeated: int = 0
    refused: int = 0
    keys: Counter[bytes] = field(default_factory=Counter)
    dice: random.Random = field(default_factory=lambda: random.Random(8))

    def begin(self, share: float) -> Fault:
        """Let this share fail from now on; return what was counted so far, and count anew."""
        before = replace(self)
        self.share, self.attempts, self.repeated, self.refused = share, 0, 0, 0
        return before

    def falls(self, metadata: dict[str, Any]) -> bool:
        """Count an attempt, and tell whether it is to fail."""
        self.attempts += 1
        self.repeated += ATTEMPTS in metadata
        fails = self.dice.random() < self.share
        self.refused += fails
        return fails


@dataclass(frozen=True)
class _Front(grpc.GenericRpcHandler):
    """Takes every call of one message, and gives on those that do not fail."""

    behind: grpc.aio.Channel
    fault: Fault

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = handler_call_details.method
        fails = self.fault.falls(dict(handler_call_details.invocation_metadata or ()))
        on: Any = self.behind.unary_unary(method)

        async def answer(raw: bytes, context: Any) -> Any:  # noqa: ANN401 - a servicer's context
            self.fault.keys[raw] += 1
            if fails:
                wait = self.fault.pushback_ms
                trailers = () if wait is None else ((PUSHBACK, str(wait)),)
                await context.abort(self.fault.code, "made up", trailers)
            return await on(raw, timeout=5.0)

        return grpc.unary_unary_rpc_method_handler(answer)


@asynccontextmanager
async def front(behind: str, fault: Fault) -> AsyncIterator[str]:
    """Stand before a service on a port of its own."""
    async with grpc.aio.insecure_channel(behind) as channel:
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        server.add_generic_rpc_handlers((_Front(channel, fault),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop(None)
