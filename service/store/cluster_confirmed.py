"""The way to a Cluster for what is to be confirmed by replicas: each server over a connection that waits for them.

Such a connection has its own order of what it sends, so what a server did not run comes back here and is sent again
from here. That costs a task a call, which nothing is beside the wait for a replica.
"""

from __future__ import annotations

import asyncio

from service.store.breaker import Told
from service.store.cluster_address import ClusterAddress
from service.store.cluster_map import SlotMap
from service.store.cluster_node import NOT_RUN, NOT_SERVING, Entry, Node, Sent
from service.store.cluster_slots import slot_of
from service.store.connection import MakeConnection
from service.store.pipeline import Argument, Connection, Reply, StoreReplied, StoreUnavailable, pack
from service.store.way import Execute


class ConfirmedCluster:
    """Send commands with keys to a cluster over connections of a kind; a call waits `deadline_s` seconds at most.

    Who has the keys is asked over plain connections.
    """

    def __init__(
        self, url: str, protocol: MakeConnection, *, timeout_ms: float = 1000, connect_timeout_ms: float = 1000
    ) -> None:
        self._address = ClusterAddress.parse(url)
        self._timeout_s = timeout_ms / 1000
        tls = self._address.tls()
        self._map = SlotMap(self._address, Entry(tls, timeout_ms, connect_timeout_ms, lambda _: Connection))
        self._confirming = SlotMap(self._address, Entry(tls, timeout_ms, connect_timeout_ms, lambda _: protocol))

    def told(self, breaker: Told, hedges: Told) -> None:
        """Let somebody count what the breakers of the servers do, and what is hedged."""
        for one in (self._map, self._confirming):
            one.told(breaker, hedges)

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply once that is safe, or a `StoreError`."""
        patience_s = self._timeout_s if deadline_s is None else min(deadline_s, self._timeout_s)
        return asyncio.get_running_loop().create_task(self._call(packed, patience_s))

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send one command and wait for its reply, `deadline_s` seconds at most; raise a `StoreError`."""
        return await self.call(pack(*args), deadline_s)

    async def servers(self) -> tuple[Execute, ...]:
        """Return what sends commands to each master, whatever their keys."""
        await self._map.looked(self._timeout_s)
        return tuple(node.execute for node in self._map.masters)

    def distrust(self) -> None:
        """Drop every open connection, because a reply came that its caller cannot explain; waiting calls fail."""
        for one in (self._map, self._confirming):
            one.distrust()

    async def close(self) -> None:
        """Close all connections; calls that wait, and all later ones, fail with `StoreUnavailable`."""
        for one in (self._map, self._confirming):
            await one.close()

    def __repr__(self) -> str:
        return f"ConfirmedCluster('{self._address}')"

    async def _call(self, packed: bytes, patience_s: float) -> Reply:
        """Send a command to whoever has its keys, again where that server did not run it."""
        slot = slot_of(packed)
        if slot is None:
            raise StoreUnavailable("Only what has keys is confirmed.")
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        node = await self._map.owner(slot, patience_s)
        while True:
            if self._confirming.node(node.place).breaker.failures:
                self._map.look_soon()
            try:
                return await self._confirming.node(node.place).way.call(packed, until - loop.time())
            except StoreReplied as error:
                if error.prefix not in NOT_RUN:
                    raise
                packed = sent = Sent.of(packed, error)
            node = await self._next(node, slot, sent, until)

    async def _next(self, node: Node, slot: int, sent: Sent, until: float) -> Node:
        """Return the server to ask next, after a pause where none is told; raise the refusal where time is short."""
        loop = asyncio.get_running_loop()
        following = self._map.follow(sent, node.place) if sent.redirected else None
        if following is not None and sent.at_once:
            return following
        if sent.error.prefix in NOT_SERVING:
            self._map.look_soon()
        pause_s = sent.pause_s
        if sent.hopeless or loop.time() + pause_s >= until:
            raise sent.error
        await asyncio.sleep(pause_s)
        if following is not None and sent.asking:
            return following
        return await self._map.owner(slot, until - loop.time())
