"""Bring the customers in, the way any caller would: events and consents over gRPC."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

import grpc

from benchmarks.population import Happened, Population
from tact.v1 import context_pb2, context_pb2_grpc

BATCH = 200
AT_ONCE = 8
PATIENCE_S = 30.0

T = TypeVar("T")


class NotLoaded(Exception):
    """The service did not take what it should have taken."""


def load(target: str, population: Population, events: Iterable[Happened]) -> int:
    """Send all events and consents; return the number of events. Raise `NotLoaded` unless each one was stored."""
    return asyncio.run(_load(target, population, events))


async def _load(target: str, population: Population, events: Iterable[Happened]) -> int:
    async with grpc.aio.insecure_channel(target) as channel:
        stub = context_pb2_grpc.ContextServiceStub(channel)
        statuses = Counter[int]()

        async def record(batch: list[Happened]) -> None:
            request = context_pb2.RecordEventsRequest(events=[event.message() for event in batch])
            try:
                reply = await stub.RecordEvents(request, timeout=PATIENCE_S)
            except grpc.aio.AioRpcError as error:
                raise NotLoaded(f"events were not taken: {error.code().name}: {error.details()}") from None
            statuses.update(result.status for result in reply.results)

        async def agree(customer: str, level: str) -> None:
            consent = context_pb2.Consent(level=level, source="benchmark")
            request = context_pb2.SetConsentRequest(customer_id=customer, consent=consent)
            await stub.SetConsent(request, timeout=PATIENCE_S)

        await few_at_once(record(batch) for batch in batches(events))
        levels = ((customer, population.level(customer)) for customer in population.customers)
        await few_at_once(agree(customer, level) for customer, level in levels if level)
    stored = statuses.pop(context_pb2.EVENT_STATUS_STORED, 0)
    if statuses or not stored:
        raise NotLoaded(f"{stored} events were stored, others ended as {dict(statuses)}")
    return stored


async def few_at_once(work: Iterable[Awaitable[object]], most: int = AT_ONCE) -> None:
    """Await everything, at most so many at a time; the first failure ends it."""
    waiting = iter(work)

    async def one_after_another() -> None:
        for awaitable in waiting:
            await awaitable

    async with asyncio.TaskGroup() as group:
        for _ in range(most):
            group.create_task(one_after_another())


def batches(things: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Cut things into lists of `size`; the last may be shorter."""
    source = iter(things)
    while batch := list(islice(source, size)):
        yield batch
