"""kill -9 of the service and of the store under load: what was acknowledged is there, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.durability.servers import Server, program
from tests.edge.durability.serving import Service
from tests.edge.durability.workload import lost_and_doubled, run_clients
from tests.profile import cases, full

RUNS_S = cases(1, 2) / 4


@pytest.mark.parametrize("kind", ["valkey", "redis-server"] if full() else ["valkey"])
async def test_nothing_acknowledged_is_lost_or_counts_twice(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Service and store are killed again and again, at 200 calls a second that clients repeat until acknowledged."""
    options = ("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
    kills = cases(3, 20)
    with Server(tmp_path / "store", *options, program=program(kind)) as store:
        service = Service(store.url)
        try:
            service.start()

            async def harm() -> None:
                for _ in range(kills):
                    for victim in (service, store):
                        await asyncio.sleep(RUNS_S)
                        await asyncio.to_thread(victim.kill)
                        await asyncio.sleep(0.1)
                        await asyncio.to_thread(victim.start)
                await asyncio.sleep(RUNS_S)

            history = await run_clients(service.target, harm)
            wrong = await lost_and_doubled(history, service.target, store)
        finally:
            service.end()
    record_property("printed", f"{kills} kills of each, {kind}: {history}; {len(wrong)} lost or doubled")
    assert wrong == []
    assert service.complaints == []
    assert service.starts == kills + 1
    assert history.codes["unavailable"] > 0
    assert history.acknowledged > 100 * kills
