"""K-1: replies never cross callers, and the check that says so can fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest
import uvloop

from models import folds
from service.core.records import ConsentRecord, EventToFold
from service.store.connection import Connection, Connections
from service.store.store import Store
from tests.rpc.world import NOW_MS, strategy
from tests.store.crosstalk import (
    LEAVES,
    ForgetsWhoLeft,
    OvertakesWhatIsHeldBack,
    QueuesInTwoPlaces,
    Tally,
    count_foreign_values,
    read_customers_in_a_crowd,
)
from tests.store.proxy import DelayingProxy

READS = int(os.environ.get("TACT_CROSSTALK_READS", "2500"))
MOST = 3
"""Two connections, and the spare one, which is opened where something that is asked may be held up on its way."""
MUTANTS = (ForgetsWhoLeft, OvertakesWhatIsHeldBack, QueuesInTwoPlaces)
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
    """Of all values read while 40 % of the callers leave early none is another key's, and nobody else is hurt.

    No connection is dropped for those who left: those that are opened are enough.
    """
    tally, connections = await crosstalk(clean_store_url, Connection, READS)
    assert tally.foreign == 0
    assert tally.read >= READS
    assert tally.left > LEAVES * READS / 2
    assert tally.lost == 0
    assert connections <= MOST


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_the_check_catches_a_connection_that_misorders(clean_store_url: str, mutant: type[Connection]) -> None:
    """The same readers find foreign values where slots are forgotten, or queued in another order than bytes."""
    tally, _ = await crosstalk(clean_store_url, mutant, 1_000)
    assert tally.foreign > 0


async def crosstalk_of_customers(url: str, protocol: type[Connection], reads: int) -> tuple[Tally, int]:
    """Give 50 customers facts of their own, and read them as decisions do, behind the same proxy."""
    levels = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy().levels}
    schema = strategy().schema

    def over(connections: Connections) -> Store:
        return Store.over(connections, levels, strategy().levels[0].id, schema=schema)

    async with Connections(url, timeout_ms=10_000) as calm:
        store = over(calm)
        await store.calls.load_functions()
        for number in range(50):
            consent = ConsentRecord(strategy().levels[-1].id, (), NOW_MS, "test")
            await store.consents.set_consent(f"customer-{number}", consent, 10.0)
            happened = folds.operations(schema, "purchase", {"amount": float(number), "product": f"p-{number}"})
            await store.events.fold(f"customer-{number}", [EventToFold("e", NOW_MS, happened)], 10.0)
        expected = [(await store.customers.read(f"customer-{number}", None, 10.0)).groups for number in range(50)]
        assert len({tuple(sorted(groups.items())) for groups in expected}) == 50
    async with (
        DelayingProxy(url, delay_ms=10, seed=2) as proxy,
        Connections(proxy.url, size=2, timeout_ms=30_000, protocol=protocol) as crowded,
    ):
        return await read_customers_in_a_crowd(over(crowded).customers, expected, reads, seed=2), proxy.accepted


async def test_no_decision_reads_another_customer(clean_store_url: str) -> None:
    """Read as decisions read them, while 40 % of the callers leave early, customers have their own facts or none."""
    tally, connections = await crosstalk_of_customers(clean_store_url, Connection, READS // 10)
    assert tally.foreign == 0
    assert tally.read >= READS // 10
    assert tally.left > LEAVES * READS / 20
    assert tally.lost == 0
    assert connections <= MOST


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_customer_behind_a_connection_that_misorders_is_not_taken_for_another(
    clean_store_url: str, mutant: type[Connection]
) -> None:
    """Even then nobody is decided for with facts of another: the value says whose it is, and the reply is refused."""
    tally, _ = await crosstalk_of_customers(clean_store_url, mutant, 250)
    assert tally.foreign == 0
    assert tally.lost > 0
