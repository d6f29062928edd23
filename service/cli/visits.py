"""Let the customers of the demo's world come and go while it serves: they ask, hear something, and answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from service.cli.answers import action_of
from service.rpc.client import Ask, CallFailed, Event, Outcome, TactClient

FIRST = 1200
"""How many visits come at once when the demo begins to serve, as if before, so that there is something to see."""
BEFORE = timedelta(hours=24)
"""Over how long the first visits are spread."""
BUSY = (1, 1, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 7, 7, 7, 7, 6, 6, 5, 5, 4, 3, 2, 1)
"""How many come in an hour of the day (UTC), beside those of the others."""
PAUSE_S = 10.0
"""How long it takes then until the next one comes."""
AT_ONCE = 4


@asynccontextmanager
async def visited(
    client: TactClient, world: Path, *, first: int = FIRST, pause_s: float = PAUSE_S
) -> AsyncIterator[None]:
    """Let the visits of a world come for as long as the block runs; a world without any stays quiet.

    The service must let its callers choose the moment.
    """
    rows = read_visits(world / "visits.jsonl")
    coming = asyncio.create_task(Visits(client).come(rows, first, pause_s)) if rows else None
    try:
        yield
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait([coming])


class Visits:
    """Plays visits on a service. A call that fails is a visitor lost; the next one comes."""

    def __init__(self, client: TactClient) -> None:
        self._client = client
        self._run = f"{time.time_ns() // 1_000_000:x}"
        self._numbers = itertools.count(1)

    async def come(self, rows: list[dict[str, Any]], first: int, pause_s: float) -> None:
        """Play the first visits as of the hours before, then one every `pause_s` seconds, over and over again."""
        coming = itertools.cycle(rows)
        await self.came(itertools.islice(coming, first), first)
        while True:
            await asyncio.sleep(pause_s)
            await self._each([(None, next(coming))])

    async def came(self, rows: Iterable[dict[str, Any]], many: int) -> None:
        """Play visits as fast as they go, as if these many had been spread over the hours before."""
        before = zip(moments_before(datetime.now(UTC), many), rows, strict=False)
        await asyncio.gather(*(self._each(before) for _ in range(AT_ONCE)))

    async def _each(self, visits: Iterable[tuple[datetime | None, dict[str, Any]]]) -> None:
        for moment, row in visits:
            try:
                await self._visit(row, moment)
            except CallFailed:
                continue

    async def _visit(self, row: dict[str, Any], moment: datetime | None) -> None:
        if row["events"]:
            await self._client.record_events(self._events(row["events"], moment or datetime.now(UTC)))
        ask = Ask(row["customer_id"], row["channel"], tuple(row["placements"]), row["context"], as_of=moment)
        answer = await self._client.decide(ask)
        if outcomes := list(said(row, answer, moment)):
            await self._client.record_outcomes(outcomes)

    def _events(self, rows: list[dict[str, Any]], moment: datetime) -> list[Event]:
        return [Event(self._event_id(), one["customer_id"], one["type"], moment, one["attributes"]) for one in rows]

    def _event_id(self) -> str:
        return f"visit-{self._run}-{next(self._numbers)}"


def moments_before(now: datetime, many: int) -> Iterator[datetime]:
    """Yield so many moments before now, in order, more of them in the hours when more customers come."""
    first = now - BEFORE
    full = first.replace(minute=0, second=0, microsecond=0)
    hours = (full + timedelta(hours=each) for each in itertools.count(1))
    marks = [first, *itertools.takewhile(lambda hour: hour < now, hours), now]
    spans = [(later - one) / timedelta(hours=1) * BUSY[one.hour] for one, later in itertools.pairwise(marks)]
    come = [0.0, *itertools.accumulate(spans)]
    for number in range(many):
        place = come[-1] * (number + 0.5) / many
        span = bisect_right(come, place) - 1
        yield marks[span] + (marks[span + 1] - marks[span]) * ((place - come[span]) / spans[span])


def said(row: dict[str, Any], answer: dict[str, Any], moment: datetime | None = None) -> Iterator[Outcome]:
    """Yield what the visitor makes of an answer: everything is seen, some of it is taken, and some refused."""
    for placed in answer["answers"] if answer.get("decision_id") else ():
        action = action_of(placed)
        if action is None:
            continue
        yield Outcome(answer["decision_id"], action, "shown", occurred_at=moment)
        if action in row["takes"]:
            yield Outcome(answer["decision_id"], action, "accepted", row["takes"][action], moment)
        elif row["otherwise"] and "offer" in placed:
            yield Outcome(answer["decision_id"], action, row["otherwise"], occurred_at=moment)


def read_visits(file: Path) -> list[dict[str, Any]]:
    """Return the visits of a world; none where its file is not there."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
