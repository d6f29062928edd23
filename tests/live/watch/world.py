"""A service of the demo strategy on a store of its own, and who watches its customers by the shipped client."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.store.embedded import EmbeddedStore
from tact.client import AsyncClient, event, question
from tact.client._watching import Watched, async_told
from tact.v1 import decision_pb2 as pb
from tests.cli.commands import DEMO
from tests.edge.client.world import Replica

STREAMS = 100
"""How many watches one connection carries; the service lets 144 through."""
SOON_S = 20.0
Message = pb.WatchResponse


@contextmanager
def served(folder: Path, *flags: str, strategy: Path = DEMO) -> Iterator[Replica]:
    """Run one `tact serve` until the end."""
    copied = shutil.copytree(strategy, folder / "strategy")
    with EmbeddedStore(folder / "store") as store:
        service = Replica(copied, store, folder / "log", flags)
        try:
            service.begin()
            service.await_serving()
            yield service
        finally:
            service.kill()


@dataclass
class Watcher:
    """Watches one customer at the desk, and keeps every message with when it came (s, monotonic)."""

    tact: AsyncClient
    customer: str
    channel: str = "desk"
    placements: tuple[str, ...] = ("greeting", "offer")
    heartbeat_s: float = 15.0
    every_cause: bool = False
    told: list[tuple[float, Message]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0

    @property
    def messages(self) -> list[Message]:
        """What came, without when."""
        return [message for _, message in self.told]

    @property
    def said(self) -> dict[str, str]:
        """What the last answer says at each placement, empty for nothing."""
        answers = [message.answer for message in self.messages if message.kind == pb.WATCH_KIND_ANSWER]
        return {placed.placement: said_at(placed) for placed in answers[-1].answers} if answers else {}

    @property
    def heard(self) -> list[tuple[str, int, list[str]]]:
        """What came in short: kind, number, and the ids of the causes."""
        kinds = pb.WatchKind.Name
        return [(kinds(one.kind), one.seq, [cause.id for cause in one.causes]) for one in self.messages]

    async def run(self) -> None:
        """Watch until cancelled."""
        asked = question(self.customer, self.channel, self.placements)
        watched = Watched.of(asked, "", self.heartbeat_s, every_cause=self.every_cause)
        async with aclosing(async_told(self._dial, watched)) as messages:
            async for message in messages:
                self.told.append((time.monotonic(), message))
                self.news.set()

    def _dial(self, asked: pb.WatchRequest) -> Any:  # noqa: ANN401 - gRPC's calls share no type
        self.streams += 1
        return self.tact.stubs.decision.Watch(asked)

    async def until(self, true: Callable[[], bool], what: str, within_s: float = SOON_S) -> None:
        """Wait until something is true of what was told."""
        async with asyncio.timeout(within_s) as limit:
            try:
                while not true():
                    self.news.clear()
                    await self.news.wait()
            except asyncio.CancelledError:
                if limit.expired():
                    raise AssertionError(f"{what} is not told of {self.customer}: {self.heard}") from None
                raise


def said_at(placed: pb.PlacementAnswer) -> str:
    """Return the action that is said at a placement; empty for nothing."""
    return placed.greeting.action_id or placed.offer.action_id


@asynccontextmanager
async def watching(
    address: str,
    customers: list[str],
    connections: int = 1,
    **how: Any,  # noqa: ANN401
) -> AsyncIterator[list[Watcher]]:
    """Watch customers, each once, from when all of them have their first answer."""
    connections = max(connections, 1 + (len(customers) - 1) // STREAMS)
    async with AsyncClient(address, timeout_s=5.0, connections=connections) as tact, asyncio.TaskGroup() as group:
        watchers = [Watcher(tact, customer, **how) for customer in customers]
        tasks = [group.create_task(watcher.run()) for watcher in watchers]
        for watcher in watchers:
            await watcher.until(lambda watcher=watcher: bool(watcher.told), "an answer")  # type: ignore[misc]
        yield watchers
        for task in tasks:
            task.cancel()


async def tell(tact: AsyncClient, customer: str, kind: str, event_id: str = "", /, **about: Any) -> float:  # noqa: ANN401
    """Record an event that must be stored; return when that was acknowledged (s, monotonic)."""
    recorded = await tact.record_events([event(customer, kind, about, event_id=event_id)])
    acknowledged = time.monotonic()
    assert recorded.results[0].status == 1, recorded
    return acknowledged


async def open_ticket(tact: AsyncClient, customer: str, name: str) -> float:
    """Open a support ticket."""
    return await tell(tact, customer, "ticket.opened", f"{name}-opened", ticket=name, topic="billing")


async def close_ticket(tact: AsyncClient, customer: str, name: str) -> float:
    """Close it."""
    return await tell(tact, customer, "ticket.closed", f"{name}-closed", ticket=name)
