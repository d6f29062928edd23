"""The map of a cluster: what it says of servers that are none, and which servers without keys it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.store import keys
from service.store.cluster_address import ClusterAddress, Place
from service.store.cluster_map import SlotMap
from service.store.cluster_node import Entry, Sent
from service.store.connection import Connection, StoreForbidden, StoreReplied, pack
from service.store.opening import open_store

HERE, THERE = Place("127.0.0.1", 1), Place("127.0.0.1", 2)
TIMEOUT_S = 0.05


@asynccontextmanager
async def made() -> AsyncIterator[SlotMap]:
    """Return a map of servers to which nothing is sent."""
    entry = Entry(None, 1000 * TIMEOUT_S, 100, lambda _: Connection)
    slots = SlotMap(ClusterAddress.parse("redis+cluster://127.0.0.1:1/"), entry)
    yield slots
    await slots.close()


async def test_a_server_that_is_in_no_cluster_is_refused_in_words(store_url: str) -> None:
    """Each call and each look is told what is wrong: time does not mend it."""
    store = open_store(store_url.replace("redis://", "redis+cluster://").rpartition("/")[0] + "/")
    for _ in range(2):
        with pytest.raises(StoreForbidden, match="cluster support disabled"):
            await store.execute("GET", keys.context_key("anna"), deadline_s=1.0)
        with pytest.raises(StoreForbidden, match="cluster support disabled"):
            await store.servers()
    await store.close()


async def test_a_server_is_left_when_it_has_no_keys_and_nothing_is_sent_there() -> None:
    """Others stay: one that a MOVED gave a slot meanwhile, and one that keys are just coming to."""
    async with made() as slots:
        idle, given = slots.node(HERE), slots.node(THERE)
        slots.owners[7] = given
        for node in (idle, given):
            slots._leave(node)
        await asyncio.sleep(2 * TIMEOUT_S)
        assert slots.nodes == (given,)


async def test_a_server_that_keys_come_to_is_kept_while_it_is_asked() -> None:
    """An ASK that comes while it is about to be left keeps it."""
    async with made() as slots:
        coming = slots.node(THERE)
        slots._leave(coming)
        await asyncio.sleep(TIMEOUT_S / 2)
        ask = StoreReplied("ASK", f"7 {THERE.host}:{THERE.port}")
        assert slots.follow(Sent.of(pack("GET", "k"), ask), HERE) is coming
        await asyncio.sleep(TIMEOUT_S)
        assert slots.nodes == (coming,)
