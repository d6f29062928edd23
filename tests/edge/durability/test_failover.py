"""Fail-overs under load, in durable mode: what was acknowledged is at the new master, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edge.durability.servers import Watched, program
from tests.edge.durability.serving import Service
from tests.edge.durability.workload import lost_and_doubled, run_clients
from tests.profile import full

RUNS_S, FAIL_OVERS, DOWN_AFTER_MS = 6.0, 10, 2000


@pytest.mark.skipif(
    not full(),
    reason="Where cores are busy sentinels take a new master for dead (decision 49): make test-full has this.",
)
@pytest.mark.parametrize("kind", ["redis-server", "valkey"])
async def test_nothing_acknowledged_is_lost_in_a_fail_over(
    kind: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The master is killed while 200 calls a second write, and a replica takes over: nothing confirmed is missing."""
    with Watched(tmp_path, program=program(kind), down_after_ms=DOWN_AFTER_MS) as watched:
        service = Service(watched.url, "--durability", "durable", "--durability-wait", "200")
        gaps: list[float] = []
        try:
            service.start()

            async def harm() -> None:
                for _ in range(FAIL_OVERS):
                    await asyncio.sleep(RUNS_S)
                    gaps.append(await asyncio.to_thread(watched.fail_over, within_s=45.0))
                await asyncio.sleep(RUNS_S)

            history = await run_clients(service.target, harm)
            wrong = await lost_and_doubled(history, service.target, watched.master)
        finally:
            service.end()
    longest = max(gaps)
    record_property(
        "printed",
        f"{FAIL_OVERS} fail-overs, {kind}, the longest {longest:.1f} s: {history}; {len(wrong)} lost or doubled",
    )
    assert wrong == []
    assert service.complaints == []
    assert len(gaps) == FAIL_OVERS
    assert history.acknowledged > 100
