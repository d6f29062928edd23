"""Asks for decisions from several processes at once while something happens to the cluster, and counts again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count

from service.rpc.client import Answer, Ask, CallFailed, Event, TactClient
from service.store import keys
from service.store.cluster_slots import slot_of_key
from tests.edge.cluster.servers import Cluster

WITHOUT_MODEL = {"no_model"}  # the small strategy has none
PATIENCE_S = 5.0
PREPARED_AT_ONCE = 16
IN_FLIGHT = 6  # of each process
DAY_MS = 86_400_000
MOST = 2  # the strategy's cap: two offers a week
SELLS = (b"fibre-upgrade", b"new-phone")


@dataclass(slots=True)
class Run:
    """What came of some load: how each decision ended, and how long it took (s)."""

    ends: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)
    late: list[tuple[float, str]] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """Return how many decisions were asked for."""
        return self.ends.total()

    @property
    def success(self) -> float:
        """Return the share of decisions that were made as if nothing had happened."""
        return self.ends["full"] / self.asked

    def note(self, answer: Answer, took_s: float, at: float) -> None:
        """Count an answer."""
        degraded = " ".join(sorted({str(reason["code"]) for reason in answer["degraded_reasons"]} - WITHOUT_MODEL))
        self.ends[degraded or "full"] += 1
        self.took_s.append(took_s)
        if degraded:
            self.late.append((round(at, 3), degraded))
        if answer["decision_id"]:
            self.decided.add(answer["decision_id"])

    def __str__(self) -> str:
        slow = sorted(self.took_s)
        return (
            f"{self.asked:,} decisions, {self.success:.3%} full, {dict(self.ends)}; "
            f"p50 {1000 * slow[len(slow) // 2]:.1f} ms, p99 {1000 * slow[len(slow) * 99 // 100]:.1f} ms, "
            f"longest {1000 * slow[-1]:.0f} ms"
        )


async def prepare(client: TactClient, customers: Sequence[str]) -> None:
    """Make customers to whom anything may be sold."""
    for at in range(0, len(customers), PREPARED_AT_ONCE):
        await asyncio.gather(*(_prepare(client, one) for one in customers[at : at + PREPARED_AT_ONCE]))


async def _prepare(client: TactClient, customer: str) -> None:
    now_ms = time.time_ns() // 1_000_000
    await client.set_consent(customer, "full", ("email",))
    await client.record_events(
        Event(f"{customer}-{what}", customer, f"ticket.{what}", now_ms - days * DAY_MS, {"ticket": "t1"})
        for what, days in (("opened", 3), ("closed", 2))
    )


async def load(
    targets: Sequence[str], customers: Sequence[str], seconds: float, meanwhile: Callable[[], object]
) -> Run:
    """Ask all processes for decisions while something happens in a thread; each customer is asked for everywhere."""
    run, numbers = Run(), count()
    places = (("web", "hero"), ("desk", "offer"))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(TactClient(target, timeout_s=PATIENCE_S)) for target in targets]
        await prepare(clients[0], customers)
        loop = asyncio.get_running_loop()
        begun, until = loop.time(), loop.time() + seconds

        async def one(client: TactClient) -> None:
            while loop.time() < until:
                number = next(numbers)
                channel, placement = places[number % 2]
                asked = loop.time()
                try:
                    answer = await client.decide(Ask(customers[number // 6 % len(customers)], channel, (placement,)))
                except CallFailed as failed:
                    run.ends[failed.code] += 1
                    run.late.append((round(asked - begun, 3), failed.code))
                else:
                    run.note(answer, loop.time() - asked, asked - begun)

        happening = loop.run_in_executor(None, meanwhile)
        await asyncio.gather(*(one(client) for client in clients for _ in range(IN_FLIGHT)), happening)
    return run


@dataclass(frozen=True, slots=True)
class Counted:
    """What the log alone says: decisions by customer, offers by customer, ids."""

    decisions: int
    offers: Counter[str]
    ids: set[str]

    @property
    def overrun(self) -> dict[str, int]:
        """Return the customers to whom more was offered than the cap allows."""
        return {customer: offers for customer, offers in self.offers.items() if offers > MOST}


def counted(cluster: Cluster, customers: Sequence[str]) -> Counted:
    """Count again, from the log in the servers, by a client of another make."""
    offers: Counter[str] = Counter()
    decisions, ids = 0, set()
    for bucket in {keys.bucket(customer) for customer in customers}:
        log = keys.log_key(bucket)
        node = cluster.owner(slot_of_key(log))
        for _, flat in node.ask("XRANGE", log, "-", "+"):
            entry = dict(zip(flat[::2], flat[1::2], strict=True))
            decisions += 1
            offers[entry[b"i"].decode()] += sum(entry[b"a"].count(action) for action in SELLS)
        for key in node.keys_in(slot_of_key(log)):
            if key.startswith(b"tact:{%s}:d:" % bucket.encode()):
                ids.add(key.rpartition(b":")[2].decode())
    return Counted(decisions, offers, ids)
