"""Rows of files into a service, in batches, several at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from models.context import ContextSchema
from service.cli.lines import Line, Lines, Tally
from service.rpc.client import CallFailed, Event, TactClient
from service.rpc.questions import Types

BATCH = 1_000
BATCH_BYTES = 500_000  # of JSON, which is longer than the message; the service takes messages of 512 KiB
BATCHES_AT_ONCE = 4
CONSENTS_AT_ONCE = 64
T = TypeVar("T")

Moved = Callable[[int, int], None]
"""Told the position in the file and how many more rows are done."""


class EventRow(msgspec.Struct, frozen=True):
    """A line of an events file; a null attribute is one that is not there."""

    event_id: str
    customer_id: str
    type: str
    occurred_at: int | str
    attributes: dict[str, bool | int | float | str | list[str] | None] = {}


class ConsentRow(msgspec.Struct, frozen=True):
    """A line of a consents file."""

    customer_id: str
    level: str
    contact: tuple[str, ...] = ()
    given_at: int | str | None = None
    source: str = ""


async def record_events(
    client: TactClient, path: Path, tally: Tally, schema: ContextSchema | None, moved: Moved
) -> None:
    """Record the events of a file; what is refused goes into the tally with its line."""
    lines, types = Lines(path, EventRow, tally), Types.of(schema)

    async def send(batch: list[Line[EventRow]]) -> None:
        events = [(line.number, _event(line.row)) for line in batch]
        try:
            results = await _recorded(client, events)
        except ValueError:  # a value is not of its declared type: then none of the batch was sent
            events = list(_convertible(events, types, tally, path))
            results = await _recorded(client, events) if events else []
        for (number, _), result in zip(events, results, strict=True):
            _count(tally, path, number, result)
        moved(lines.position, len(batch))

    await at_once(send, batches(lines), BATCHES_AT_ONCE)


async def set_consents(client: TactClient, path: Path, tally: Tally, moved: Moved) -> None:
    """Set the consents of a file; what is refused goes into the tally with its line.

    One that was given before what is stored counts as older, and changes nothing: what is stored holds.
    """
    lines = Lines(path, ConsentRow, tally)

    async def send(line: Line[ConsentRow]) -> None:
        row = line.row
        try:
            await client.set_consent(row.customer_id, row.level, row.contact, given_at=row.given_at, source=row.source)
            tally.add("stored")
        except ValueError as error:
            tally.refuse(path, line.number, f"given_at: {error}")
        except CallFailed as failed:
            if failed.erased:
                tally.refuse(path, line.number, failed.message)
            elif failed.older:
                tally.add("older")
            elif failed.code == "INVALID_ARGUMENT":
                tally.refuse(path, line.number, "; ".join(f"{v.field} {v.description}" for v in failed.violations))
            else:
                raise
        moved(lines.position, 1)

    await at_once(send, lines, CONSENTS_AT_ONCE)


async def at_once(work: Callable[[T], Awaitable[None]], items: Iterable[T], most: int) -> None:
    """Do the work on every item, at most so many at once; the first error ends all and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(most):
                group.create_task(worker())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


def batches(lines: Iterable[Line[T]]) -> Iterator[list[Line[T]]]:
    """Yield lines in batches that the service takes."""
    batch: list[Line[T]] = []
    size = 0
    for line in lines:
        if batch and (len(batch) == BATCH or size + line.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += line.size
    if batch:
        yield batch


async def _recorded(client: TactClient, events: list[tuple[int, Event]]) -> list[dict[str, Any]]:
    answer = await client.record_events([event for _, event in events])
    results: list[dict[str, Any]] = answer["results"]
    return results


def _convertible(
    events: list[tuple[int, Event]], types: Types, tally: Tally, path: Path
) -> Iterator[tuple[int, Event]]:
    """Yield the events whose values are of the declared types; the others go into the tally."""
    for number, event in events:
        try:
            types.batch([event])
        except ValueError as error:
            tally.refuse(path, number, str(error))
        else:
            yield number, event


def _event(row: EventRow) -> Event:
    known: dict[str, Any] = {name: value for name, value in row.attributes.items() if value is not None}
    return Event(row.event_id, row.customer_id, row.type, row.occurred_at, known)


def _count(tally: Tally, path: Path, number: int, result: dict[str, Any]) -> None:
    if result["status"] in ("refused", "conflict"):
        tally.refuse(path, number, "; ".join(f"{v['field']} {v['description']}" for v in result["violations"]))
    else:
        tally.add(result["status"])
