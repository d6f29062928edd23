"""What it costs others that a thousand desktops watch and nothing happens."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tact.client import AsyncClient, question
from tests.edge.client.world import Replica
from tests.live.watch.world import served, watching
from tests.profile import cases, full

WATCHERS = cases(40, 1_000)
ROUNDS, CALLS = cases(3, 40), cases(50, 200)
MOST_SLOWER, MOST_MB = (1.05, 40.0) if full() else (2.0, 0.1 * WATCHERS)
MEGABYTE = 1_048_576


async def test_idle_watchers_cost_next_to_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Of two services alike one has 1,000 idle watchers. Asked in turn, its decisions take at most 5 % longer, and it
    has grown by at most 40 MB more.

    The short profile opens 40 and asks for the order of magnitude, 100 KB each: other tests share the machine.
    """
    (tmp_path / "bare").mkdir()
    (tmp_path / "watched").mkdir()
    customers = [f"customer-{number}" for number in range(WATCHERS)]
    with served(tmp_path / "bare") as bare, served(tmp_path / "watched") as watched:
        async with AsyncClient(bare.address) as one, AsyncClient(watched.address) as other:
            for tact in (one, other, one, other):
                await _round(tact)
            before = _megabytes(watched)
            async with watching(watched.address, customers):
                await asyncio.sleep(1.0)
                grown = _megabytes(watched) - before
                rounds = [(await _round(one), await _round(other)) for _ in range(ROUNDS)]
    slower = statistics.median(with_them / without for without, with_them in rounds)
    without_ms, with_ms = (1000 * statistics.median(side) for side in zip(*rounds, strict=True))
    words = (
        f"{WATCHERS} idle watchers: decisions take {without_ms:.3f} ms without and {with_ms:.3f} ms with them "
        f"(x{slower:.3f}); {grown:.1f} MB more, {1024 * grown / WATCHERS:.1f} KB each"
    )
    record_property("printed", words)
    assert slower <= MOST_SLOWER, words
    assert grown <= MOST_MB, words


async def _round(tact: AsyncClient) -> float:
    """Return the median time of some decisions, one after another (s)."""
    took = []
    for number in range(CALLS):
        begun = time.perf_counter()
        await tact.decide(question(f"other-{number % 50}", "desk", ("greeting",)))
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def _megabytes(service: Replica) -> float:
    assert service.process is not None
    return float(psutil.Process(service.process.pid).memory_info().rss) / MEGABYTE
