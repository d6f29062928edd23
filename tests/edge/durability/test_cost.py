"""What it costs to have every write confirmed: both modes against the same store, in turns, in one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from statistics import median

import pytest

from service.rpc.client import Ask, Event, TactClient
from service.rpc.plain import Plain
from tests.edge.durability.servers import STARTS_WITHIN_S, Server, program, until
from tests.edge.durability.serving import Service
from tests.edge.durability.workload import SINCE
from tests.profile import full

ROUNDS = 5
CALLS = 400
_numbers = count()


async def rate_and_p50(write: Callable[[int], Awaitable[object]], in_flight: int) -> tuple[float, float]:
    """Make calls with so many in flight; return calls a second, and the median (ms)."""
    took: list[float] = []

    async def one() -> None:
        for _ in range(CALLS // in_flight):
            began = time.perf_counter()
            await write(next(_numbers))
            took.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(in_flight)))
    return len(took) / (time.perf_counter() - began), median(took)


def kinds_of(client: TactClient) -> dict[str, Callable[[int], Awaitable[object]]]:
    """Return what is measured: decisions, and events."""
    bought: dict[str, Plain] = {"order": "o", "category": "phone", "amount": 1.0}
    return {
        "decisions": lambda n: client.decide(Ask(f"c{n}", "web", ("hero",))),
        "events": lambda n: client.record_events([Event(f"e{n}", f"c{n}", "purchase", SINCE, bought)]),
    }


@pytest.mark.skipif(not full(), reason="a measurement; in the full profile")
async def test_what_confirmation_costs(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """With a replica on the same machine a confirmed write takes less than eight times as long as one that is not."""
    options = ("--appendonly", "yes", "--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", 0)
    replica = Server(tmp_path / "replica", *options, program=program("valkey"))
    with Server(tmp_path / "master", *options, program=program("valkey")) as master:
        replica.follows = master
        with replica:
            until(lambda: _follows(master), STARTS_WITHIN_S, "no replica follows")
            fast, durable = Service(master.url), Service(master.url, "--durability", "durable")
            try:
                fast.start()
                durable.start()
                said, ratios = await compared(fast.target, durable.target)
            finally:
                fast.end()
                durable.end()
    record_property("printed", "\n".join(said))
    assert max(ratios) < 8


async def compared(fast: str, durable: str) -> tuple[list[str], list[float]]:
    """Measure both services in turns; return what to print, and how many times as long a confirmed write takes."""
    said, ratios = [], []
    async with TactClient(fast) as one, TactClient(durable) as other:
        kinds = [kinds_of(one), kinds_of(other)]
        for what in kinds[0]:
            for in_flight in (1, 8, 64):
                runs = [[await rate_and_p50(kind[what], in_flight) for kind in kinds] for _ in range(ROUNDS)]
                (rate, p50), (slow_rate, slow_p50) = (
                    (median(run[n][0] for run in runs), median(run[n][1] for run in runs)) for n in (0, 1)
                )
                ratios.append(slow_p50 / p50)
                said.append(
                    f"{what}, {in_flight} in flight: fast {rate:,.0f}/s, p50 {p50:.2f} ms; durable {slow_rate:,.0f}/s, "
                    f"p50 {slow_p50:.2f} ms; rate {slow_rate / rate:.2f}, p50 {ratios[-1]:.2f}"
                )
    return said, ratios


def _follows(master: Server) -> bool:
    return bool(master.ask("INFO", "replication").get("slave0", {}).get("state") == "online")
