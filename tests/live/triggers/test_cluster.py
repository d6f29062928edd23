"""Moments on a Cluster: what stands in one call stands in one slot, and each comes to one consumer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.edge.cluster.servers import cluster
from tests.edge.durability.servers import program
from tests.live.triggers.world import CHANNEL, agreed, bought, client_of, customers_of, due, left, serving, told


async def test_moments_on_a_cluster(tmp_path: Path) -> None:
    """Two services share what is due, what was bought is not, what is dead is released, and erasing leaves nothing."""
    forming = cluster(tmp_path, await asyncio.to_thread(program, "redis-server"))
    formed = await asyncio.to_thread(forming.__enter__)
    key = b"k" * 32
    try:
        async with (
            serving(formed.url, tmp_path / "a", erasure_key=key) as a,
            serving(formed.url, tmp_path / "b", erasure_key=key) as b,
            client_of(a) as one,
            client_of(b) as other,
        ):
            customers = [f"c{number}" for number in range(30)]
            await agreed(one, *customers)
            await told(one, *(left(customer) for customer in customers))
            await told(other, *(bought(customer) for customer in customers[:10]))
            here, there = await asyncio.gather(due(one), due(other))
            assert sorted(customers_of(here + there)) == sorted(customers[10:])
            assert all((await one.triggers.acknowledge(CHANNEL, here + there))["held"])
            await told(one, left("c1", "c2"))
            for _ in range(5):
                assert customers_of(await due(other, 1)) == ["c1"]
                await asyncio.sleep(1.05)
            assert await due(other) == []
            dead = (await one.triggers.dead(CHANNEL, customer="c1"))["moments"]
            assert (await one.triggers.release(CHANNEL, dead))["released"] == 1
            assert (await other.rights.erase("c1"))["moments"] == 2
            assert await due(one) == []
    finally:
        await asyncio.to_thread(forming.__exit__, None, None, None)
