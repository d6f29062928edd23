"""A master dies: its replica takes over, and the service goes on with it; the others' customers notice nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.errors import StoreError
from service.store import keys
from service.store.cluster_slots import slot_of_key
from service.store.durable import Confirmation
from service.store.opening import open_store
from tests.cli.commands import Process
from tests.edge.cluster.load import load
from tests.edge.cluster.servers import Cluster, cluster
from tests.edge.durability.servers import program
from tests.profile import full
from tests.strategies import edited, write_strategy

SECONDS = 14.0
KILLED_AFTER_S = 3.0

pytestmark = pytest.mark.skipif(not full(), reason="takes 25 s; in the full profile")


@pytest.fixture(scope="module", params=["valkey", "redis-server"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Form a cluster whose servers nobody else needs: one is killed."""
    with cluster(tmp_path_factory.mktemp("cluster"), program(request.param), replicas=1) as formed:
        yield formed


def serve(stack: ExitStack, servers: Cluster, folder: Path) -> str:
    """Serve the small strategy on the cluster, and return where."""
    strategy = write_strategy(folder / "strategy", strategy=edited("strategy", "explore: 0.05", "explore: 0.0"))
    words = ("serve", "--store", servers.url, "--strategy", strategy, "--port", "0", "--json", "--store-wait", 1.0)
    return stack.enter_context(Process(*words)).serving().target


async def test_a_replica_takes_over_and_the_other_masters_customers_notice_nothing(
    servers: Cluster, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Calls for keys of a killed master get safe answers until its replica serves; those for the others are in full."""
    killed = servers.masters[2]
    customers = [f"failing-{number}" for number in range(300)]
    theirs = [name for name in customers if servers.owner(slot_of_key(keys.context_key(name))) is not killed]
    gone = [name for name in customers if name not in theirs]
    died = threading.Event()

    def kill() -> None:
        time.sleep(KILLED_AFTER_S)
        killed.server.kill()
        died.set()

    with ExitStack() as stack:
        target = serve(stack, servers, tmp_path)
        others = await load([target], theirs, SECONDS / 2, kill)
        assert died.is_set()
        back = await load([target], gone, SECONDS / 2, lambda: None)
    record_property("printed", f"the others: {others}; those of the killed one, later: {back}")
    assert others.success >= 0.999, f"{others} {others.late[:20]}"
    assert back.success >= 0.99, f"{back} {back.late[:20]}"


async def test_what_was_acknowledged_in_durable_mode_is_at_the_replica_that_takes_over(
    servers: Cluster, record_property: Callable[[str, object], None]
) -> None:
    """Writers go on while a master dies; whatever a replica had confirmed is stored, and nothing else was told."""
    killed = servers.masters[1]
    sets = [f"tact:{{{number:03x}}}:c:kept".encode() for number in range(48)]
    acknowledged: dict[bytes, set[int]] = {key: set() for key in sets}
    way = open_store(servers.url, protocol=Confirmation(1, 300).connection)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def write(key: bytes) -> None:
        number = 0
        while loop.time() - began < SECONDS / 2:
            number += 1
            try:
                await way.execute("SADD", key, number)
                acknowledged[key].add(number)
            except StoreError:
                await asyncio.sleep(0.05)

    try:
        writing = asyncio.gather(*(write(key) for key in sets))
        await asyncio.sleep(KILLED_AFTER_S / 2)
        theirs = [key for key in sets if servers.owner(slot_of_key(key)) is killed and acknowledged[key]]
        killed.server.kill()
        before = {key: len(acknowledged[key]) for key in sets}
        await writing
        stored = {key: {int(one) for one in await members(servers, key)} for key in sets}
    finally:
        await way.close()
    lost = {key: acknowledged[key] - stored[key] for key in sets if acknowledged[key] - stored[key]}
    told = sum(map(len, acknowledged.values()))
    record_property("printed", f"{told:,} acknowledged, {len(theirs)} sets of the killed master; lost: {lost}")
    assert not lost
    assert len(theirs) > 3
    assert any(len(acknowledged[key]) > before[key] + 20 for key in sets if key not in theirs), "the others go on"


async def members(servers: Cluster, key: bytes) -> list[bytes]:
    """Return the members of a set as its master knows them by now."""
    way = open_store(servers.url)
    try:
        return list(await way.execute("SMEMBERS", key))
    finally:
        await way.close()
