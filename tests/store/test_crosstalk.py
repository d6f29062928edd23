"""K-1: replies never cross callers, and the check that says so can fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop

from service.store.connection import Connection, Connections
from tests.store.crosstalk import LEAVES, ForgetsWhoLeft, QueuesInTwoPlaces, Tally, count_foreign_values
from tests.store.proxy import DelayingProxy

READS = int(os.environ.get("TACT_CROSSTALK_READS", "20000"))
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Run the test on the loop of the standard library and on the one that serves."""
    return LOOPS[request.param]


async def crosstalk(url: str, protocol: type[Connection], reads: int) -> tuple[Tally, int]:
    """Return what readers saw behind a proxy that delays and splits, and how many connections they needed."""
    async with (
        DelayingProxy(url, delay_ms=10, seed=1) as proxy,
        Connections(proxy.url, size=2, timeout_ms=30_000, protocol=protocol) as store,
    ):
        return await count_foreign_values(store, reads, seed=1), proxy.accepted


@pytest.mark.usefixtures("loop_factory")
async def test_no_reader_gets_a_foreign_value(clean_store_url: str) -> None:
    """Of 20,000 values read while 40 % of the callers leave early none is another key's, and nobody else is hurt.

    No connection is dropped for those who left: two are opened, and two are enough.
    """
    tally, connections = await crosstalk(clean_store_url, Connection, READS)
    assert tally.foreign == 0
    assert tally.read >= READS
    assert tally.left > LEAVES * READS / 2
    assert tally.lost == 0
    assert connections == 2


@pytest.mark.parametrize("mutant", [ForgetsWhoLeft, QueuesInTwoPlaces])
async def test_the_check_catches_a_connection_that_misorders(clean_store_url: str, mutant: type[Connection]) -> None:
    """The same readers find foreign values where slots are forgotten, or queued in another order than bytes."""
    tally, _ = await crosstalk(clean_store_url, mutant, 2_000)
    assert tally.foreign > 0
