"""Ears over a real store, and what the tests have them hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from redis import Redis

from service.core.records import ConsentRecord, EventToFold
from service.store import keys
from service.store.calls import Calls
from service.store.ears import StoreEars
from service.store.heard import HeardStore
from service.store.opening import Ways, open_ways
from service.store.store import Store
from service.store.suppression import Suppression
from service.watching_people import Heard, Listening
from tests.store.persons import KEY, noted
from tests.store.running import LEVELS

SOON_S = 5.0
_numbers = count()


def somebody() -> str:
    """Return a customer of whom nothing is known."""
    return f"heard-{next(_numbers)}"


def event(kind: str = "visit") -> EventToFold:
    """Return an event of a type."""
    one = noted("x")
    return EventToFold(one.event_id, one.occurred_ms, one.operations, one.said, kind)


@dataclass(frozen=True, slots=True)
class Hearing:
    """A store, and ears that listen to it."""

    store: Store
    ears: StoreEars
    ways: Ways

    async def happen(self, customer: str, kind: str = "visit") -> str:
        """Fold one event; return its id."""
        one = event(kind)
        await self.store.events.fold(customer, [one])
        return one.event_id

    async def agree(self, customer: str, level: str = "full") -> None:
        """Set a consent."""
        await self.store.consents.set_consent(customer, ConsentRecord(level, (), 0, "form"))


@asynccontextmanager
async def hearing(url: str, line: str = "", every_s: float = 60.0) -> AsyncIterator[Hearing]:
    """Open a store with ears, whose line may lead elsewhere."""
    ways, lines = open_ways(url, None), open_ways(line or url, None)
    suppression = Suppression(KEY)
    store = Store.over(ways.quick, LEVELS, "none", suppression=suppression)
    ears = StoreEars(lines, HeardStore(Calls(ways.quick), suppression), every_s)
    ears.follow(store.identities)
    try:
        await store.calls.load_functions()
        yield Hearing(store, ears, ways)
    finally:
        await ears.close()
        await ways.close()
        await lines.close()


async def heard_until(listening: Listening, last: str) -> list[Heard]:
    """Return what is heard until something has this id or, where none has, this kind."""
    found: list[Heard] = []
    async with asyncio.timeout(SOON_S):
        while not any(last in (one.id, one.kind) for one in found):
            found += await listening.wait()
    return found


def marked(url: str, customer: str) -> bool:
    """Tell whether notes are taken of a customer."""
    with Redis.from_url(url) as raw:
        return bool(raw.exists(keys.heard_key(customer)))
