"""The part of the client that watches a customer, and goes on where a stream broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import grpc

from service.rpc.calling import Answer, CallFailed
from service.rpc.client_batches import Patience
from service.rpc.plain import plain
from tact.v1 import decision_pb2 as pb

RESUMED = frozenset({"UNAVAILABLE", "CANCELLED", "INTERNAL", "UNKNOWN", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED"})
"""How a stream ends that broke, or was too slow; a refusal is final. Who is known no more has another token then."""
BEATS_MISSED = 3.0
KEY_BYTES = 12


@dataclass(slots=True)
class Watching:
    """One watch over as many streams as it takes; `dial` opens one."""

    dial: Callable[[pb.WatchRequest], Any]
    asked: pb.WatchRequest
    patience: Patience

    async def messages(self) -> AsyncGenerator[Answer, None]:
        """Yield what is told, heartbeats too; raise `CallFailed` when it breaks again and again, or for good."""
        broken = 0
        if not (self.asked.cursor or self.asked.question.idempotency_key):
            self.asked.question.idempotency_key = token_hex(KEY_BYTES)  # what it begins with is decided once
        while True:
            try:
                async with aclosing(self._over_one_stream()) as messages:
                    async for message in messages:
                        self.asked.cursor, broken = message.cursor, 0
                        yield plain(message)
                return
            except CallFailed as error:
                broken += 1
                if error.code not in RESUMED or broken >= self.patience.attempts:
                    raise
                await asyncio.sleep(max(self.patience.first_pause_s * 2 ** (broken - 1), error.pushback_s))

    async def _over_one_stream(self) -> AsyncGenerator[pb.WatchResponse, None]:
        call = self.dial(self.asked)
        try:
            while (message := await self._next(aiter(call))) is not None:
                yield message
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()

    async def _next(self, messages: AsyncIterator[pb.WatchResponse]) -> pb.WatchResponse | None:
        try:
            async with asyncio.timeout(BEATS_MISSED * (self.asked.heartbeat_ms or 15_000) / 1000):
                return await anext(messages, None)
        except TimeoutError:
            raise CallFailed("UNAVAILABLE", "No heartbeat came in time.", ()) from None
